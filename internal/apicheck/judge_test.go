package apicheck

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// answer is an error that the API server answers.
func answer(text string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: text}}
}

const calling = `Internal error occurred: failed calling webhook "webhook.cert-manager.io": failed to call webhook: `

// Texts of API servers.
const (
	saidWebhook = `admission webhook "webhook.cert-manager.io" denied the request: spec.request: Invalid value: "invalid-csr": error decoding certificate request PEM block`
	saidPolicy  = `certificaterequests.cert-manager.io "cmapichecker-invalid-x7k2p" is forbidden: ValidatingAdmissionPolicy 'certificaterequests.cert-manager.io' with binding 'certificaterequests.cert-manager.io' denied request: spec.request: Invalid value: "aW52YWxpZC1jc3I=": error decoding certificate request PEM block`
	// saidForeign is followed by what Go says about a certificate with other names.
	saidForeign = calling + `Post "https://cert-manager-webhook.cert-manager.svc:443/mutate?timeout=30s": tls: failed to verify certificate: x509: `
	saidOthers  = `admission webhook "policy.example.com" denied the request: no team label`
)

func TestClassify(t *testing.T) {
	group := schema.GroupKind{Group: "cert-manager.io", Kind: "CertificateRequest"}
	for name, test := range map[string]struct {
		err        error
		text, hint string
	}{
		"no resource":       {apierrors.NewGenericServerResponse(http.StatusNotFound, "POST", schema.GroupResource{}, "", "", 0, false), textCRDs, hintCRDs},
		"no group":          {errors.New(`failed to find API group "cert-manager.io"`), textCRDs, hintCRDs},
		"no resources":      {errors.New(`error finding the scope of the object: no resources found for group "cert-manager.io/v1"`), textCRDs, hintCRDs},
		"no kind in group":  {&meta.NoKindMatchError{GroupKind: group}, textCRDs, hintCRDs},
		"no kind":           {&meta.NoKindMatchError{GroupKind: group, SearchedVersions: []string{"v1"}}, textCRDs, hintCRDs},
		"no service":        {answer(calling + `Post "https://cert-manager-webhook.cert-manager.svc:443/mutate?timeout=30s": service "cert-manager-webhook" not found`), textService, hintService},
		"service, renamed":  {answer(calling + `Post "https://acme-webhook.tls.svc:443/mutate?timeout=30s": service "acme-webhook" not found`), textService, hintService},
		"refused":           {answer(calling + `Post "https://cert-manager-webhook.cert-manager.svc:443/validate?timeout=30s": dial tcp 10.96.12.9:443: connect: connection refused`), textRefused, hintWebhook},
		"unknown authority": {answer(calling + `Post "https://cert-manager-webhook.cert-manager.svc:443/mutate?timeout=30s": tls: failed to verify certificate: x509: certificate signed by unknown authority`), textCA, hintInjector},
		"and as Go 1.19 said it": {
			answer(calling + `Post "https://cert-manager-webhook.cert-manager.svc:443/mutate?timeout=30s": x509: certificate signed by unknown authority (possibly because of "x509: ECDSA verification failure")`), textCA, hintInjector,
		},
		"the kubelet answers": {
			answer(saidForeign + `certificate is valid for node-1, not cert-manager-webhook.cert-manager.svc`), saidForeign + `certificate is valid for node-1, not cert-manager-webhook.cert-manager.svc`, hintOtherServer,
		},
		"a server without names": {
			answer(saidForeign + `certificate is not valid for any names, but wanted to match cert-manager-webhook.cert-manager.svc`), saidForeign + `certificate is not valid for any names, but wanted to match cert-manager-webhook.cert-manager.svc`, hintOtherServer,
		},
		"a server with an old certificate": {
			answer(saidForeign + `certificate relies on legacy Common Name field, use SANs instead`), saidForeign + `certificate relies on legacy Common Name field, use SANs instead`, hintOtherServer,
		},
		"a url with an address": {
			answer(saidForeign + `cannot validate certificate for 10.0.0.7 because it doesn't contain any IP SANs`), saidForeign + `cannot validate certificate for 10.0.0.7 because it doesn't contain any IP SANs`, hintOtherServer,
		},
		"the API server's name": {
			errors.New(`Post "https://10.96.0.1:443/apis": tls: failed to verify certificate: x509: certificate is valid for kubernetes, not 10.96.0.1`), `Post "https://10.96.0.1:443/apis": tls: failed to verify certificate: x509: certificate is valid for kubernetes, not 10.96.0.1`, hintAPIServer,
		},
		"mutated by others":            {answer(`admission webhook "webhook.cert-manager.io" denied the request: spec.username: Forbidden: username identity must be that of the requester`), textMutated, hintOtherMutation},
		"mutated, policies":            {answer(`certificaterequests.cert-manager.io "cmapichecker-valid-a" is forbidden: ValidatingAdmissionPolicy 'certificaterequests.cert-manager.io' with binding 'certificaterequests.cert-manager.io' denied request: spec.username: Forbidden: username identity must be that of the requester`), textPolicyMutated, hintPolicies},
		"no right":                     {answer(`certificaterequests.cert-manager.io is forbidden: User "jane" cannot create resource "certificaterequests" in API group "cert-manager.io" in the namespace "default"`), textFailed, hintRole},
		"another webhook":              {answer(saidOthers), textFailed, hintForeign},
		"time-out":                     {answer(calling + `Post "https://cert-manager-webhook.cert-manager.svc:443/mutate?timeout=10s": context deadline exceeded`), calling + `Post "https://cert-manager-webhook.cert-manager.svc:443/mutate?timeout=10s": context deadline exceeded`, hintPath},
		"no endpoints":                 {answer(calling + `Post "https://cert-manager-webhook.cert-manager.svc:443/mutate?timeout=30s": no endpoints available for service "cert-manager-webhook"`), calling + `Post "https://cert-manager-webhook.cert-manager.svc:443/mutate?timeout=30s": no endpoints available for service "cert-manager-webhook"`, hintPath},
		"no namespace":                 {answer(`namespaces "missing" not found`), `namespaces "missing" not found`, ""},
		"another policy":               {answer(`certificaterequests.cert-manager.io "a" is forbidden: ValidatingAdmissionPolicy 'team' with binding 'team' denied request: no team label`), `certificaterequests.cert-manager.io "a" is forbidden: ValidatingAdmissionPolicy 'team' with binding 'team' denied request: no team label`, ""},
		"the API server itself":        {errors.New(`Post "https://10.96.0.1:443/apis/cert-manager.io/v1/namespaces/default/certificaterequests?dryRun=All": dial tcp 10.96.0.1:443: connect: connection refused`), `Post "https://10.96.0.1:443/apis/cert-manager.io/v1/namespaces/default/certificaterequests?dryRun=All": dial tcp 10.96.0.1:443: connect: connection refused`, hintAPIServer},
		"the API server's certificate": {errors.New(`Post "https://10.96.0.1:443/apis": tls: failed to verify certificate: x509: certificate signed by unknown authority`), `Post "https://10.96.0.1:443/apis": tls: failed to verify certificate: x509: certificate signed by unknown authority`, hintAPIServer},
		"wrapped":                      {fmt.Errorf("create: %w", answer(`Post "https://a": service "a-webhook" not found`)), textService, hintService},
	} {
		got := classify(test.err)
		if diff := cmp.Diff([]string{test.text, test.hint}, []string{got.Text, got.Hint}); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
		if !errors.Is(got, test.err) {
			t.Errorf("%s: the answer is lost", name)
		}
	}
}

func TestJudge(t *testing.T) {
	mutated := &cmv1.CertificateRequest{Spec: cmv1.CertificateRequestSpec{Username: "jane"}}
	same := &cmv1.CertificateRequest{}
	for name, test := range map[string]struct {
		valid   *cmv1.CertificateRequest
		invalid error
		// want is the text for auto, webhook and policies; "" is ready.
		want [3]string
	}{
		"webhook":               {mutated, answer(saidWebhook), [3]string{"", "", textPolicyNotValidated}},
		"policies":              {mutated, answer(saidPolicy), [3]string{"", textNotValidated, ""}},
		"not mutated":           {same, answer(saidWebhook), [3]string{textNotMutated, textNotMutated, textPolicyNotMutated}},
		"not validated":         {mutated, nil, [3]string{textNotValidated, textNotValidated, textPolicyNotValidated}},
		"validated by others":   {mutated, answer(saidOthers), [3]string{textFailed, textFailed, textFailed}},
		"not there for long":    {mutated, answer(`Post "https://a": service "a-webhook" not found`), [3]string{textService, textService, textService}},
		"mutated, a user's UID": {&cmv1.CertificateRequest{Spec: cmv1.CertificateRequestSpec{UID: "9a7c"}}, answer(saidWebhook), [3]string{"", "", textPolicyNotValidated}},
		"policies, not mutated": {same, answer(saidPolicy), [3]string{textNotMutated, textNotMutated, textPolicyNotMutated}},
	} {
		var got [3]string
		for i, by := range []Admission{Auto, Webhook, Policies} {
			err := by.judgeValid(test.valid, nil)
			if err == nil {
				err = by.judgeInvalid(test.invalid)
			}
			var notReady *NotReady
			if errors.As(err, &notReady) {
				got[i] = notReady.Text
			} else if err != nil {
				t.Errorf("%s: %v is no *NotReady", name, err)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

func TestNotReadyError(t *testing.T) {
	for want, err := range map[string]error{
		"a (b); c": &NotReady{Text: "a", Cause: errors.New("b"), Hint: "c"},
		"a (b)":    &NotReady{Text: "a", Cause: errors.New("b")},
		"a; c":     &NotReady{Text: "a", Hint: "c"},
		"b; c":     &NotReady{Text: "b", Cause: errors.New("b"), Hint: "c"},
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}
