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

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// TestFailed has actions that the API server refuses or does not answer: they
// are tried again, and what lasts is in the condition and in an event.
func TestFailed(t *testing.T) {
	requests, secrets := schema.GroupResource{Group: "cert-manager.io", Resource: "certificaterequests"}, schema.GroupResource{Resource: "secrets"}
	terminating := apierrors.NewForbidden(requests, "web-1", nil)
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	invalid := func(errs ...*field.Error) error {
		return apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "web-tls", errs)
	}
	const next = "; the next try is within 30s"
	kept := []*facts.Secret{nextKey("web-k", key(1))}
	tests := []struct {
		name     string
		action   plan.Action
		err      error
		attempts int
		wait     time.Duration
		// cause is in the condition, and in the event except for its beginning.
		undone, cause string
	}{
		{
			"request over the quota",
			CreateRequest{Revision: 1},
			apierrors.NewForbidden(requests, "web-1", errors.New("exceeded quota: small, used: 5")), 0, 200 * time.Millisecond,
			`CertificateRequest "app/web-1" cannot be created`,
			"exceeded quota: small, used: 5; raise the quota, or delete objects that are not needed" + next,
		},
		{
			"request exists and is not ours",
			CreateRequest{Revision: 1},
			fault.New(fault.Transient, "RequestFailed", "one of this name exists; delete it"), 3, 1600 * time.Millisecond,
			`CertificateRequest "app/web-1" cannot be created`, "one of this name exists; delete it" + next,
		},
		{"request is that of a Certificate before", CreateRequest{Revision: 1}, fault.New(fault.Transient, "", "exists"), 0, 200 * time.Millisecond, "", ""},
		{
			"request is that of a Certificate before, for long",
			CreateRequest{Revision: 1},
			fault.New(fault.Transient, "", "exists"), 4, 3200 * time.Millisecond,
			`CertificateRequest "app/web-1" cannot be created`, "exists" + next,
		},
		{
			"Secret invalid",
			StoreSecret{},
			invalid(field.Invalid(field.NewPath("data").Key("tls.key"), "-----BEGIN PRIVATE KEY-----", "no"), field.Required(field.NewPath("type"), "no")), 0, 200 * time.Millisecond,
			`Secret "app/web-tls" cannot be written`,
			"data[tls.key]: Invalid value: no, type: Required value: no; correct what the API server refuses" + next,
		},
		{
			"Secret immutable",
			StoreSecret{},
			invalid(field.Forbidden(field.NewPath("data"), "field is immutable when `immutable` is set")), 0, 200 * time.Millisecond,
			`Secret "app/web-tls" cannot be written`, "it is immutable; delete the Secret, or use another spec.secretName" + next,
		},
		{
			"Secret with a bad label",
			StoreSecret{},
			invalid(field.Invalid(field.NewPath("metadata", "labels"), "a b", "no spaces")), 0, 200 * time.Millisecond,
			`Secret "app/web-tls" cannot be written`, `metadata.labels: Invalid value: "a b": no spaces; correct spec.secretTemplate` + next,
		},
		{
			"key refused",
			StoreKey{},
			apierrors.NewForbidden(secrets, "web-x", errors.New("-----BEGIN PRIVATE KEY-----")), 20, 30 * time.Second,
			`Secret "app/web-k" with the next private key cannot be created`,
			`the API server answers "Forbidden"; change the policy, or what it refuses` + next,
		},
		{
			"bad request",
			RepairSecret{},
			apierrors.NewBadRequest("-----BEGIN PRIVATE KEY-----"), 0, 200 * time.Millisecond,
			`Secret "app/web-tls" cannot be written`, `the API server answers "BadRequest"; correct what the API server refuses` + next,
		},
		{
			"key not deleted",
			DeleteKeys{kept},
			apierrors.NewForbidden(secrets, "web-k", errors.New("-----BEGIN PRIVATE KEY-----")), 0, 200 * time.Millisecond,
			`Secret "app/web-k" with a next private key cannot be deleted`, `the API server answers "Forbidden"; change the policy, or what it refuses` + next,
		},
		{
			"request not deleted",
			DeleteRequests{Requests: factsOf(newRequest(newCertificate(), key(1), 1))},
			apierrors.NewForbidden(requests, "web-1", errors.New("policy p")), 0, 200 * time.Millisecond,
			`CertificateRequest "app/web-1" cannot be deleted`, `policy p; change the policy, or what it refuses` + next,
		},
		{
			"key cannot be read",
			ReuseKey{},
			&pki.DataError{Err: pki.ErrNoPEM}, 0, 200 * time.Millisecond,
			`the private key in Secret "app/web-tls" cannot be read`, pki.ErrNoPEM.Error() + next,
		},
		{"namespace goes away", CreateRequest{Revision: 1}, terminating, 0, 200 * time.Millisecond, "", ""},
		{"conflict", CreateRequest{Revision: 1}, apierrors.NewConflict(requests, "web-1", nil), 0, 200 * time.Millisecond, "", ""},
		{
			"conflict, for long",
			StoreSecret{},
			apierrors.NewConflict(secrets, "web-tls", errors.New("-----BEGIN PRIVATE KEY-----")), 4, 3200 * time.Millisecond,
			`Secret "app/web-tls" cannot be written`, `the API server answers "Conflict"` + next,
		},
		{"no answer", CreateRequest{Revision: 1}, errors.New("no answer"), 1, 400 * time.Millisecond, "", ""},
		{"no answer, for long", CreateRequest{Revision: 1}, errors.New("no answer"), 4, 3200 * time.Millisecond, `CertificateRequest "app/web-1" cannot be created`, "no answer" + next},
		{"no answer about a key, for long", StoreKey{}, errors.New("-----BEGIN PRIVATE KEY-----"), 4, 3200 * time.Millisecond, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := State{Object: newCertificate(), Backoff: plan.DefaultIssuance}
			c.Object.Status = begun("web-k")
			want := Plan{Status: *c.Object.Status.DeepCopy(), Until: now.Add(test.wait)}
			if test.cause != "" {
				why := test.undone + ": " + test.cause
				want.Status.Conditions[0].Message += "; waiting: " + why
				want.Events = []plan.Event{{Warning: true, Reason: "WriteFailed", Message: why, Component: "cert-manager-certificates-issuing"}}
				if _, ok := test.action.(CreateRequest); ok {
					want.Events = []plan.Event{{
						Warning: true, Reason: "RequestFailed", Message: "Failed to create CertificateRequest: " + test.cause,
						Component: "cert-manager-certificates-request-manager",
					}}
				}
			}
			f := plan.Failure{Action: test.action, Err: test.err, Attempts: test.attempts, Began: now.Add(-hour)}
			p := c.Failed(f, now)
			samePlan(t, want, p)
			for _, e := range p.Events {
				if strings.Contains(e.Message, "PRIVATE") {
					t.Errorf("an event repeats a key: %s", e.Message)
				}
			}

			// The next failure changes nothing.
			c.Object.Status = p.Status
			samePlan(t, want, c.Failed(f, now))
		})
	}
}

// TestRefusedWrite has writes that the API server refuses for good, for
// Certificates in states that no status tells yet.
func TestRefusedWrite(t *testing.T) {
	refused := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "web-tls", errors.New("exceeded quota: small"))
	const why = `Secret "app/web-tls" cannot be written: exceeded quota: small; raise the quota, or delete objects that are not needed; the next try is within 30s`
	renewed := func(c *State, when time.Time) {
		next := newRequest(c.Object, key(2), 2, signed(when, when.Add(90*day)))
		c.Requests, c.Keys = append(c.Requests, factsOf(next)...), []*facts.Secret{nextKey("web-k", key(2))}
	}
	expiry := born.Add(90 * day)
	for _, test := range []struct {
		name  string
		state func() State
		now   time.Time
		ready cmv1.CertificateCondition
		begun cmv1.CertificateCondition
	}{
		{"new", func() State {
			c := State{Object: newCertificate(), Backoff: plan.DefaultIssuance, Keys: []*facts.Secret{nextKey("web-k", key(1))}}
			c.Requests = factsOf(newRequest(c.Object, key(1), 1, signed(now, now.Add(90*day))))
			return c
		}, now, readyIs(cmmeta.ConditionFalse, "DoesNotExist", noSecret, now), issuingIs(cmmeta.ConditionTrue, "DoesNotExist", noSecret, now)},
		{"other spec", func() State {
			c := issuedState()
			c.Object.Spec.DNSNames, c.Object.Generation = []string{"new.example.com"}, 2
			renewed(&c, now)
			return c
		}, now, readyIs(cmmeta.ConditionFalse, "RequestChanged", changedNames, now), issuingIs(cmmeta.ConditionTrue, "RequestChanged", changedNames, now)},
		{"expired", func() State {
			c := issuedState()
			renewed(&c, expiry)
			return c
		}, expiry, readyIs(cmmeta.ConditionFalse, "Expired", "Certificate expired on Wed, 10 Feb 2027 06:00:00 UTC", expiry), issuingIs(
			cmmeta.ConditionTrue, "Renewing", "Renewing certificate as renewal was scheduled at 2027-01-11 06:00:00 +0000 UTC", expiry)},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := test.state()
			action, ok := c.Next(test.now).Do.(StoreSecret)
			if !ok {
				t.Fatalf("the certificate is not stored: %+v", c.Next(test.now))
			}
			p := c.Failed(plan.Failure{Action: action, Err: refused}, test.now)
			test.begun.Message += "; waiting: " + why
			test.begun.ObservedGeneration, test.ready.ObservedGeneration = c.Object.Generation, c.Object.Generation
			for _, want := range []cmv1.CertificateCondition{test.ready, test.begun} {
				samePlan(t, &want, condition.Find(p.Status.Conditions, want.Type))
			}
			if p.Do != nil || p.Persist != plan.AtEnd || p.Until.IsZero() || len(p.Events) != 1 || p.Events[0].Message != why {
				t.Errorf("%+v", p)
			}
		})
	}
}

const changedNames = "Fields on existing CertificateRequest resource not up to date: [spec.dnsNames]"

// TestFailedForGood has a spec that turns out to fit no signing request: it ends
// the issuance.
func TestFailedForGood(t *testing.T) {
	c := State{Object: newCertificate(), Backoff: plan.DefaultIssuance, Keys: []*facts.Secret{nextKey("web-k", key(1))}}
	c.Object.Status = begun("web-k")
	const message = "The certificate request has failed to complete and will be retried: Failed to generate CSR: bad name; next try at 2026-11-22T07:00:00Z"
	want := Plan{Status: begun("")}
	want.Status.Conditions[0] = issuingIs(cmmeta.ConditionFalse, "RequestFailed", message, now)
	want.Status.LastFailureTime, want.Status.FailedIssuanceAttempts = at(now), ptr.To(1)
	want.Events = []plan.Event{{Warning: true, Reason: "RequestFailed", Message: message, Component: "cert-manager-certificates-request-manager"}}
	err := fault.New(fault.Permanent, "RequestFailed", "Failed to generate CSR: bad name")
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
		"delete next private keys": DeleteKeys{}, "create the CertificateRequest": CreateRequest{}, "delete CertificateRequests": DeleteRequests{}, "delete CertificateRequests of earlier revisions": DeleteRevisions{},
		"store the certificate": StoreSecret{}, "repair the Secret": RepairSecret{}, "announce the issuance": Announce{}, "forget the issuance": Forget{},
	} {
		if got := action.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestNextTry has issuances that fail: the message has the time of the next try if
// there is one.
func TestNextTry(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*State)
		want   string
	}{
		"asked for by a user":                  {func(*State) {}, "; there is no next try until somebody asks for one or the renewal is due: the present certificate is as the spec wants it"},
		"asked for, and the Secret is missing": {func(c *State) { c.Secret = nil }, "; next try at 2026-11-22T07:00:00Z"},
		"asked for, and the spec changed": {func(c *State) {
			c.Object.Spec.DNSNames = []string{"other.example.com"}
		}, "; next try at 2026-11-22T07:00:00Z"},
	} {
		c := issuedState()
		c.Object.Status.Conditions = append(c.Object.Status.Conditions, issuingIs(cmmeta.ConditionTrue, "ManuallyTriggered", "by hand", now))
		test.change(&c)
		err := fault.New(fault.Permanent, "RequestFailed", "no")
		p := c.Failed(plan.Failure{Action: CreateRequest{Revision: 2}, Err: err}, now)
		message := condition.Find(p.Status.Conditions, cmv1.CertificateConditionIssuing).Message
		if want := "The certificate request has failed to complete and will be retried: no" + test.want; message != want || p.Events[0].Message != want {
			t.Errorf("%s: %q, event %q", name, message, p.Events[0].Message)
		}
		c.Object.Status = p.Status
		next := c.Next(now.Add(hour))
		if due := strings.Contains(message, nextTry); issuing(next.Status) != due {
			t.Errorf("%s: an hour later: %+v", name, next)
		}
	}
}
