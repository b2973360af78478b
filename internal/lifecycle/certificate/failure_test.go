package certificate

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

// TestFailed has actions that the API server refuses or does not answer: they
// are tried again, and a refusal is reported by an event.
func TestFailed(t *testing.T) {
	requests := schema.GroupResource{Group: "cert-manager.io", Resource: "certificaterequests"}
	terminating := apierrors.NewForbidden(requests, "web-1", nil)
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	invalid := apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "web-tls", field.ErrorList{
		field.Invalid(field.NewPath("data").Key("tls.key"), "-----BEGIN PRIVATE KEY-----", "no"),
		field.Required(field.NewPath("type"), "no"),
	})
	requestFailed := func(message string) []plan.Event {
		return []plan.Event{{Warning: true, Reason: "RequestFailed", Message: message, Component: "cert-manager-certificates-request-manager"}}
	}
	writeFailed := func(message string) []plan.Event {
		return []plan.Event{{Warning: true, Reason: "WriteFailed", Message: message, Component: "cert-manager-certificates-issuing"}}
	}
	tests := []struct {
		name     string
		action   plan.Action
		err      error
		attempts int
		wait     time.Duration
		events   []plan.Event
	}{
		{
			"request over the quota",
			CreateRequest{Revision: 1},
			apierrors.NewForbidden(requests, "web-1", errors.New("exceeded quota")), 0, 200 * time.Millisecond,
			requestFailed(`Failed to create CertificateRequest: certificaterequests.cert-manager.io "web-1" is forbidden: exceeded quota`),
		},
		{
			"request exists and is not ours",
			CreateRequest{Revision: 1},
			fault.New(fault.Transient, "RequestFailed", "Failed to create CertificateRequest: %q exists", "web-1"), 3, 1600 * time.Millisecond,
			requestFailed(`Failed to create CertificateRequest: "web-1" exists`),
		},
		{"request is that of a Certificate before", CreateRequest{Revision: 1}, fault.New(fault.Transient, "", "exists"), 0, 200 * time.Millisecond, nil},
		{
			"Secret invalid",
			StoreSecret{},
			invalid, 0, 200 * time.Millisecond,
			writeFailed("Failed to store the certificate: Invalid data[tls.key] type"),
		},
		{
			"key refused",
			StoreKey{},
			apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "web-x", errors.New("-----BEGIN PRIVATE KEY-----")), 20, 30 * time.Second,
			writeFailed("Failed to store the next private key: Forbidden"),
		},
		{"bad request", ApplyMetadata{}, apierrors.NewBadRequest("no"), 0, 200 * time.Millisecond, writeFailed("Failed to apply the Secret's metadata: BadRequest")},
		{"namespace goes away", CreateRequest{Revision: 1}, terminating, 0, 200 * time.Millisecond, nil},
		{"conflict", CreateRequest{Revision: 1}, apierrors.NewConflict(requests, "web-1", nil), 0, 200 * time.Millisecond, nil},
		{"no answer", CreateRequest{Revision: 1}, errors.New("no answer"), 1, 400 * time.Millisecond, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := State{Object: newCertificate(), Backoff: plan.DefaultIssuance}
			c.Object.Status = begun("web-k")
			p := c.Failed(plan.Failure{Action: test.action, Err: test.err, Attempts: test.attempts, Began: now.Add(-hour)}, now)
			samePlan(t, Plan{Status: c.Object.Status, Until: now.Add(test.wait), Events: test.events}, p)
			for _, e := range p.Events {
				if strings.Contains(e.Message, "PRIVATE") {
					t.Errorf("an event repeats a key: %s", e.Message)
				}
			}
		})
	}
}

// TestFailedForGood has a spec that turns out to fit no signing request: it ends
// the issuance.
func TestFailedForGood(t *testing.T) {
	c := State{Object: newCertificate(), Backoff: plan.DefaultIssuance, Keys: []*facts.Secret{nextKey("web-k", key(1))}}
	c.Object.Status = begun("web-k")
	const message = "The certificate request has failed to complete and will be retried: Failed to generate CSR: bad name"
	want := Plan{Status: begun("")}
	want.Status.Conditions[0] = issuingIs(cmmeta.ConditionFalse, "RequestFailed", message, now)
	want.Status.LastFailureTime, want.Status.FailedIssuanceAttempts = at(now), ptr.To(1)
	want.Events = []plan.Event{{Warning: true, Reason: "RequestFailed", Message: message, Component: "cert-manager-certificates-request-manager"}}
	err := fault.New(fault.Permanent, "RequestFailed", "bad name")
	samePlan(t, want, c.Failed(plan.Failure{Action: CreateRequest{Revision: 1, Key: c.Keys[0]}, Err: err}, now))

	// The key goes, and the issuance waits for its back-off or another spec.
	c.Object.Status = want.Status
	next := Plan{Do: DeleteKeys{c.Keys}, Confirm: []plan.Confirm{self}, Persist: plan.Before, Status: want.Status, Until: now.Add(hour)}
	samePlan(t, next, c.Next(now))
	c.Keys = nil
	samePlan(t, Plan{Status: want.Status, Until: now.Add(hour)}, c.Next(now))
	c.Object.Generation = 2
	if p := c.Next(now); p.Do != (GenerateKey{Spec: p256, Begins: true}) || !issuing(p.Status) {
		t.Errorf("another spec: %+v", p)
	}
}

// TestActionsSayWhatFails holds that each action reads well in messages.
func TestActionsSayWhatFails(t *testing.T) {
	for want, action := range map[string]plan.Action{
		"generate a private key": GenerateKey{}, "reuse the private key": ReuseKey{}, "store the next private key": StoreKey{},
		"delete next private keys": DeleteKeys{}, "create the CertificateRequest": CreateRequest{}, "delete CertificateRequests": DeleteRequests{},
		"store the certificate": StoreSecret{}, "apply the Secret's metadata": ApplyMetadata{}, "announce the issuance": Announce{}, "forget the issuance": Forget{},
	} {
		if got := action.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
