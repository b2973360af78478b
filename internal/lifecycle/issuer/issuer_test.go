package issuer

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/plan"
)

var now, at = lifecycletest.Now, lifecycletest.At

func newIssuer(change ...func(*cmv1.Issuer)) *cmv1.Issuer {
	i := &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "i", Generation: 2}}
	i.Spec.CA = &cmv1.CAIssuer{SecretName: "ca"}
	for _, f := range change {
		f(i)
	}
	return i
}

func ready(status cmmeta.ConditionStatus, reason, message string, since time.Time, generation int64) cmv1.IssuerCondition {
	return cmv1.IssuerCondition{
		Type: cmv1.IssuerConditionReady, Status: status, Reason: reason, Message: message,
		LastTransitionTime: at(since), ObservedGeneration: generation,
	}
}

func has(conditions ...cmv1.IssuerCondition) func(*cmv1.Issuer) {
	return func(i *cmv1.Issuer) { i.Status.Conditions = conditions }
}

func acme(i *cmv1.Issuer) { i.Spec.IssuerConfig = cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{}} }

func status(conditions ...cmv1.IssuerCondition) cmv1.IssuerStatus {
	return cmv1.IssuerStatus{Conditions: conditions}
}

func TestNext(t *testing.T) {
	before := now.Add(-time.Hour)
	other := cmv1.IssuerCondition{Type: "example.com/Seen", Status: cmmeta.ConditionTrue}
	verified := &Checked{Reason: "KeyPairVerified", Message: "Signing CA verified"}
	announced := &Checked{Reason: "KeyPairVerified", Message: "Signing CA verified", Event: "Verified"}
	isReady := func(since time.Time, generation int64) cmv1.IssuerCondition {
		return ready(cmmeta.ConditionTrue, "KeyPairVerified", "Signing CA verified", since, generation)
	}
	event := plan.Event{Reason: "KeyPairVerified", Message: "Signing CA verified", Component: "cert-manager-issuers", Verbose: true}
	ofCluster := event
	ofCluster.Component = "cert-manager-clusterissuers"
	account := &acmev1.ACMEIssuerStatus{URI: "https://ca/acct/1"}
	tests := []struct {
		name  string
		state State
		want  Plan
	}{
		{"not checked yet", State{Object: newIssuer(has(other))}, Plan{Status: status(other), Do: CheckIssuer{}}},
		{"being deleted", State{Object: newIssuer(has(other), func(i *cmv1.Issuer) { i.DeletionTimestamp = at(now) })}, Plan{Status: status(other)}},
		{"ready", State{Object: newIssuer(has(other)), Checked: verified}, Plan{Status: status(other, isReady(now, 2)), Events: []plan.Event{event}}},
		{
			"ready as before",
			State{Object: newIssuer(has(isReady(before, 2))), Checked: verified},
			Plan{Status: status(isReady(before, 2))},
		},
		{
			"ready for a time",
			State{Object: newIssuer(has(isReady(before, 2))), Checked: &Checked{Reason: "KeyPairVerified", Message: "Signing CA verified", Until: now.Add(time.Hour)}},
			Plan{Status: status(isReady(before, 2)), Until: now.Add(time.Hour)},
		},
		{
			"ready with a new spec",
			State{Object: newIssuer(has(isReady(before, 1))), Checked: verified},
			Plan{Status: status(isReady(before, 2)), Events: []plan.Event{event}},
		},
		{
			"ready again",
			State{Object: newIssuer(has(ready(cmmeta.ConditionFalse, "x", "x", before, 2))), Checked: verified},
			Plan{Status: status(isReady(now, 2)), Events: []plan.Event{event}},
		},
		{
			"ClusterIssuer",
			State{Object: &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "i", Generation: 2}}, Checked: verified},
			Plan{Status: status(isReady(now, 2)), Events: []plan.Event{ofCluster}},
		},
		{
			"ready, with an event of its own",
			State{Object: newIssuer(has(other)), Checked: announced},
			Plan{Status: status(other, isReady(now, 2)), Events: []plan.Event{{Reason: "Ready", Message: "Verified", Verbose: true, Component: event.Component}}},
		},
		{
			"ready with a new spec, with an event of its own",
			State{Object: newIssuer(has(isReady(before, 1))), Checked: announced},
			Plan{Status: status(isReady(before, 2))},
		},
		{"ACME", State{Object: newIssuer(acme), Account: account, Checked: verified}, Plan{
			Status: cmv1.IssuerStatus{Conditions: []cmv1.IssuerCondition{isReady(now, 2)}, ACME: account}, Events: []plan.Event{event},
		}},
		{"no longer ACME", State{
			Object: newIssuer(has(isReady(before, 2)), func(i *cmv1.Issuer) { i.Status.ACME = account }), Account: account, Checked: verified,
		}, Plan{Status: status(isReady(before, 2)), Events: []plan.Event{event}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			lifecycletest.SamePlan(t, test.want, test.state.Next(now))
		})
	}
}

// TestWaiting holds that an issuer which has never been checked says why, and that
// the result of a check stays.
func TestWaiting(t *testing.T) {
	const cause = "waiting for the ACME server a, which has not answered other requests in time"
	ended := ready(cmmeta.ConditionFalse, "ErrRegisterACMEAccount", "no", now.Add(-time.Hour), 1)
	for name, test := range map[string]struct {
		state State
		want  cmv1.IssuerStatus
	}{
		"never checked": {State{Object: newIssuer()}, status(ready(cmmeta.ConditionFalse, "ErrInitIssuer", "Error initializing issuer: "+cause, now, 2))},
		"checked":       {State{Object: newIssuer(has(ended))}, status(ended)},
	} {
		got := test.state.Waiting(cause, now)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if waits := IsWaiting(got.Conditions[0]); waits != (name == "never checked") {
			t.Errorf("%s: it waits: %t", name, waits)
		}
	}
}

func TestFailed(t *testing.T) {
	before := now.Add(-time.Hour)
	account := &acmev1.ACMEIssuerStatus{URI: "https://ca/acct/1"}
	failed := func(reason, message string) Plan {
		return Plan{
			Status: status(ready(cmmeta.ConditionFalse, reason, message, now, 2)),
			Events: []plan.Event{{Warning: true, Reason: reason, Message: message, Component: "cert-manager-issuers", Verbose: true}},
		}
	}
	in := func(p Plan, wait time.Duration) Plan {
		p.Until = now.Add(wait)
		return p
	}
	held := func(p Plan, next string) Plan {
		p.Hold = true
		p.Status.Conditions[0].Message += "; the next try is " + next
		return p
	}
	without := fault.New(fault.User, "InvalidConfig", "no")
	verified := func(generation int64) cmv1.IssuerCondition {
		return ready(cmmeta.ConditionTrue, "VaultVerified", "Vault verified", before, generation)
	}
	withAccount := failed("ErrUpdateACMEAccount", "no")
	withAccount.Status.ACME = account
	tests := []struct {
		name     string
		state    State
		err      error
		attempts int
		want     Plan
	}{
		{"a user must act", State{Object: newIssuer()}, fault.New(fault.User, "ErrGetKeyPair", "none"), 0, in(failed("ErrGetKeyPair", "none"), fault.UserRetry)},
		{"for now", State{Object: newIssuer()}, fault.New(fault.Transient, "ErrGetKeyPair", "down"), 3, held(in(failed("ErrGetKeyPair", "down"), 1600*time.Millisecond), "within 5m")},
		{"later", State{Object: newIssuer()}, fault.Until(now.Add(time.Hour), "ErrRegisterACMEAccount", "busy"), 3, held(in(failed("ErrRegisterACMEAccount", "busy"), time.Hour), "at "+now.Add(time.Hour).Format(time.RFC3339))},
		{"never", State{Object: newIssuer()}, fault.New(fault.Permanent, "InvalidConfig", "no"), 0, in(failed("InvalidConfig", "no"), fault.UserRetry)},
		{"without a reason", State{Object: newIssuer()}, fault.New(fault.User, "", "no"), 0, in(failed("ErrInitIssuer", "no"), fault.UserRetry)},
		{
			"unclassified",
			State{Object: newIssuer()},
			errors.New("dial 10.0.0.1:6443"), 0,
			held(in(failed("ErrInitIssuer", "Error initializing issuer: the API server did not answer as expected"), 200*time.Millisecond), "within 5m"),
		},
		{
			"as before",
			State{Object: newIssuer(has(ready(cmmeta.ConditionFalse, "ErrGetKeyPair", "none", before, 2)))},
			fault.New(fault.User, "ErrGetKeyPair", "none"), 0,
			Plan{Status: status(ready(cmmeta.ConditionFalse, "ErrGetKeyPair", "none", before, 2)), Until: now.Add(fault.UserRetry)},
		},
		{"ACME, with an account", State{Object: newIssuer(acme), Account: account}, fault.New(fault.User, "ErrUpdateACMEAccount", "no"), 0, in(withAccount, fault.UserRetry)},
		{"type to come", State{Object: newIssuer(), Unserved: true}, without, 0, in(failed("InvalidConfig", "no"), fault.UserRetry)},
		{"type to come, judged by cert-manager", State{Object: newIssuer(has(verified(2))), Unserved: true}, without, 0, in(Plan{Status: status(verified(2)), Events: failed("InvalidConfig", "no").Events}, fault.UserRetry)},
		{"type to come, judged by cert-manager, announced", State{Object: newIssuer(has(verified(2))), Unserved: true, Announced: true}, without, 0, in(Plan{Status: status(verified(2))}, fault.UserRetry)},
		{"type to come, judged without a generation", State{Object: newIssuer(has(verified(0))), Unserved: true, Announced: true}, without, 0, in(Plan{Status: status(verified(0))}, fault.UserRetry)},
		{"type to come, judged for another spec", State{Object: newIssuer(has(verified(1))), Unserved: true, Announced: true}, without, 0, in(failed("InvalidConfig", "no"), fault.UserRetry)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := plan.Failure{Action: CheckIssuer{}, Err: test.err, Attempts: test.attempts}
			lifecycletest.SamePlan(t, test.want, test.state.Failed(f, now))
		})
	}
}
