package byhand

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

func certificate() *cmv1.Certificate {
	return &cmv1.Certificate{
		ObjectMeta: metav1.ObjectMeta{Name: "www", Namespace: "shop", Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"a": "b"}},
		Spec:       cmv1.CertificateSpec{Duration: &metav1.Duration{Duration: time.Hour}, IsCA: true, IssuerRef: cmmeta.IssuerReference{Name: "ca"}},
	}
}

func TestRequest(t *testing.T) {
	crt := certificate()
	want := &cmv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "mine", Namespace: "shop", Labels: crt.Labels, Annotations: crt.Annotations},
		Spec:       cmv1.CertificateRequestSpec{Request: []byte("csr"), Duration: crt.Spec.Duration, IssuerRef: crt.Spec.IssuerRef, IsCA: true},
	}
	if diff := cmp.Diff(want, Request(crt, "mine", []byte("csr"))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSigningRequest(t *testing.T) {
	want := &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "mine", Labels: map[string]string{"app": "web"}, Annotations: map[string]string{
			"a": "b", "experimental.cert-manager.io/request-duration": "1h0m0s", "experimental.cert-manager.io/request-is-ca": "true",
		}},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: []byte("csr"), SignerName: "issuers.cert-manager.io/shop.ca",
			Usages: []certificatesv1.KeyUsage{"digital signature", "key encipherment"},
		},
	}
	issuers := schema.GroupResource{Group: "cert-manager.io", Resource: "issuers"}
	if diff := cmp.Diff(want, SigningRequest(certificate(), "mine", SignerName(issuers, true, "shop", "ca"), []byte("csr"))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := SignerName(schema.GroupResource{Group: "example.com", Resource: "roots"}, false, "shop", "ca"); got != "roots.example.com/ca" {
		t.Error(got)
	}
}

func TestOutcomes(t *testing.T) {
	is := func(kind cmv1.CertificateRequestConditionType, status cmmeta.ConditionStatus, reason string) cmv1.CertificateRequestCondition {
		return cmv1.CertificateRequestCondition{Type: kind, Status: status, Reason: reason, Message: "m"}
	}
	approved := is("Approved", "True", "R")
	for name, test := range map[string]struct {
		conditions  []cmv1.CertificateRequestCondition
		certificate string
		want        Outcome
	}{
		"new":         {nil, "", Outcome{WaitsFor: "it has not been approved"}},
		"approved":    {[]cmv1.CertificateRequestCondition{approved}, "", Outcome{WaitsFor: "its issuer has not answered"}},
		"pending":     {[]cmv1.CertificateRequestCondition{approved, is("Ready", "False", "Pending")}, "", Outcome{WaitsFor: "Pending: m"}},
		"issued":      {[]cmv1.CertificateRequestCondition{approved, is("Ready", "True", "Issued")}, "crt", Outcome{Certificate: []byte("crt")}},
		"failed":      {[]cmv1.CertificateRequestCondition{approved, is("Ready", "False", "Failed")}, "", Outcome{Failure: "Failed: m"}},
		"denied":      {[]cmv1.CertificateRequestCondition{is("Denied", "True", "Mine")}, "", Outcome{Failure: "it was denied: Mine: m"}},
		"not allowed": {[]cmv1.CertificateRequestCondition{is("InvalidRequest", "True", "Bad")}, "", Outcome{Failure: "Bad: m"}},
	} {
		request := &cmv1.CertificateRequest{Status: cmv1.CertificateRequestStatus{Conditions: test.conditions, Certificate: []byte(test.certificate)}}
		if diff := cmp.Diff(test.want, OutcomeOf(request)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
	signing := func(kind certificatesv1.RequestConditionType, certificate string) *certificatesv1.CertificateSigningRequest {
		return &certificatesv1.CertificateSigningRequest{
			ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: certificatesv1.CertificateSigningRequestSpec{SignerName: "s"},
			Status: certificatesv1.CertificateSigningRequestStatus{Certificate: []byte(certificate), Conditions: []certificatesv1.CertificateSigningRequestCondition{{Type: kind, Status: "True", Reason: "R"}}},
		}
	}
	for name, test := range map[string]struct {
		request *certificatesv1.CertificateSigningRequest
		want    Outcome
	}{
		"new":      {&certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, Outcome{WaitsFor: "it has not been approved: kubectl certificate approve a"}},
		"approved": {signing("Approved", ""), Outcome{WaitsFor: "its signer s has not answered; everleaf and cert-manager answer only with the feature gate ExperimentalCertificateSigningRequestControllers"}},
		"issued":   {signing("Approved", "crt"), Outcome{Certificate: []byte("crt")}},
		"failed":   {signing("Failed", ""), Outcome{Failure: "R"}},
		"denied":   {signing("Denied", ""), Outcome{Failure: "it was denied: R"}},
	} {
		if diff := cmp.Diff(test.want, OutcomeOfSigning(test.request)); diff != "" {
			t.Errorf("signing, %s: -want +got:\n%s", name, diff)
		}
	}
}
