package facts

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

// TestOfRequestEnds has the conditions with which a request waits or ends.
func TestOfRequestEnds(t *testing.T) {
	made := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	since, failed := made.Add(time.Hour), made.Add(2*time.Hour)
	condition := func(kind cmv1.CertificateRequestConditionType, status cmmeta.ConditionStatus, reason string) cmv1.CertificateRequestCondition {
		return cmv1.CertificateRequestCondition{Type: kind, Status: status, Reason: reason, Message: "message", LastTransitionTime: &metav1.Time{Time: since}}
	}
	ready := func(status cmmeta.ConditionStatus, reason string) cmv1.CertificateRequestCondition {
		return condition(cmv1.CertificateRequestConditionReady, status, reason)
	}
	denied := condition(cmv1.CertificateRequestConditionDenied, cmmeta.ConditionTrue, "policy")
	invalid := condition(cmv1.CertificateRequestConditionInvalidRequest, cmmeta.ConditionTrue, "Bad")
	unnamed := condition(cmv1.CertificateRequestConditionDenied, cmmeta.ConditionTrue, "")
	undated := invalid
	undated.LastTransitionTime = nil
	failure := func(reason string, at time.Time) *Failure {
		return &Failure{Reason: reason, Message: "message", At: at}
	}
	for _, test := range []struct {
		name       string
		conditions []cmv1.CertificateRequestCondition
		failedAt   *metav1.Time
		failure    *Failure
		issued     bool
		waiting    string
	}{
		{"new", nil, nil, nil, false, ""},
		{"pending", []cmv1.CertificateRequestCondition{ready(cmmeta.ConditionFalse, "Pending")}, nil, nil, false, "message"},
		{"issued", []cmv1.CertificateRequestCondition{ready(cmmeta.ConditionTrue, "Issued")}, nil, nil, true, ""},
		{"failed", []cmv1.CertificateRequestCondition{ready(cmmeta.ConditionFalse, "Failed")}, nil, failure("Failed", since), false, ""},
		{"failed, with its time", []cmv1.CertificateRequestCondition{ready(cmmeta.ConditionFalse, "Failed")}, &metav1.Time{Time: failed}, failure("Failed", failed), false, ""},
		{"refused by its issuer", []cmv1.CertificateRequestCondition{ready(cmmeta.ConditionFalse, "Denied")}, nil, failure("Denied", since), false, ""},
		{"denied", []cmv1.CertificateRequestCondition{denied}, nil, failure("policy", since), false, ""},
		{"denied without a reason", []cmv1.CertificateRequestCondition{unnamed}, nil, failure("Denied", since), false, ""},
		{"denied and issued", []cmv1.CertificateRequestCondition{ready(cmmeta.ConditionTrue, "Issued"), denied}, nil, failure("policy", since), false, ""},
		{"denied and invalid", []cmv1.CertificateRequestCondition{invalid, denied}, nil, failure("policy", since), false, ""},
		{"not denied", []cmv1.CertificateRequestCondition{condition(cmv1.CertificateRequestConditionDenied, cmmeta.ConditionFalse, "policy")}, nil, nil, false, ""},
		{"invalid", []cmv1.CertificateRequestCondition{invalid}, nil, failure("Bad", since), false, ""},
		{"invalid, without any time", []cmv1.CertificateRequestCondition{undated}, nil, failure("Bad", made), false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &cmv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.Time{Time: made}}}
			r.Status = cmv1.CertificateRequestStatus{Conditions: test.conditions, FailureTime: test.failedAt}
			f := OfRequest(r, pki.Limits{})
			same(t, test.failure, f.Failure)
			if f.Issued != test.issued || f.Waiting != test.waiting || f.Ended() != (test.issued || test.failure != nil) {
				t.Errorf("got %+v", f)
			}
		})
	}
}

func TestOfRequestRevision(t *testing.T) {
	for annotation, want := range map[string]int{"7": 7, "0": 0, "-1": 0, "x": 0, "": 0, "1 ": 0} {
		r := &cmv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{cmv1.CertificateRequestRevisionAnnotationKey: annotation}}}
		if got := OfRequest(r, pki.Limits{}).Revision; got != want {
			t.Errorf("%q: revision %d, want %d", annotation, got, want)
		}
	}
	if f := OfRequest(&cmv1.CertificateRequest{}, pki.Limits{}); f.Revision != 0 || f.CSRError == "" || f.Owner != "" || f.Answer != (Answer{}) {
		t.Errorf("an empty request: %+v", f)
	}
}
