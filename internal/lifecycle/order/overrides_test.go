package order

import (
	"strings"
	"testing"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	overrideName      = acmev1.ACMECertificateHTTP01IngressNameOverride
	overrideClass     = acmev1.ACMECertificateHTTP01IngressClassOverride
	overrideClassName = acmev1.ACMECertificateHTTP01IngressClassNameOverride
)

// overridden is an Order of two names over HTTP-01 that has been made with the class old,
// with Challenges in a state each.
func overridden(states ...acmev1.State) State {
	o := ordered()
	o.Account = &facts.Account{Thumbprint: "thumb", Issuer: &acmev1.ACMEIssuer{Solvers: []acmev1.ACMEChallengeSolver{
		{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{Ingress: &acmev1.ACMEChallengeSolverHTTP01Ingress{}}},
	}}}
	for i := range o.Object.Status.Authorizations {
		a := &o.Object.Status.Authorizations[i]
		a.Wildcard = ptr(false)
		a.Challenges = []acmev1.ACMEChallenge{{URL: a.URL + "/http", Type: acme.ChallengeHTTP01, Token: "t"}}
	}
	o.Object.Annotations = map[string]string{overrideClassName: "old", "other": "x"}
	o.Certificate = newCertificate()
	o.Certificate.ResourceVersion = "9"
	o.Certificate.Annotations = map[string]string{overrideClassName: "old", "other": "y"}
	o.Copied = everything
	o.Challenges = challenges(o, states...)
	return o
}

// TestNewOverrides: an Order follows the annotations of its Certificate while it waits.
func TestNewOverrides(t *testing.T) {
	type annotations = map[string]string
	are := func(a annotations) func(*State) { return func(o *State) { o.Certificate.Annotations = a } }
	newer := are(annotations{overrideClassName: "new"})
	made := func(a annotations) func(*State) { return func(o *State) { o.Object.Annotations = a } }
	pending, valid := acmev1.Pending, acmev1.Valid
	twice := annotations{overrideClassName: "new", overrideName: "web"}
	for _, test := range []struct {
		name   string
		states []acmev1.State
		change []func(*State)
		want   annotations
	}{
		{"nothing has changed", []acmev1.State{pending, pending}, nil, nil},
		{"another class", []acmev1.State{pending, pending}, []func(*State){newer}, annotations{overrideClassName: "new"}},
		{"before there are Challenges", nil, []func(*State){newer}, annotations{overrideClassName: "new"}},
		{"another way", []acmev1.State{pending, pending}, []func(*State){are(annotations{overrideName: "web"})}, annotations{overrideName: "web"}},
		{"none any more", []acmev1.State{pending, pending}, []func(*State){are(nil)}, annotations{}},
		{"added", []acmev1.State{pending, pending}, []func(*State){made(nil), newer}, annotations{overrideClassName: "new"}},
		{"not copied", []acmev1.State{pending, pending}, []func(*State){made(nil), newer, func(o *State) {
			o.Copied = func(key string) bool { return !strings.HasPrefix(key, "acme.cert-manager.io/") }
		}}, nil},
		{"no Certificate", []acmev1.State{pending, pending}, []func(*State){func(o *State) { o.Certificate = nil }}, nil},
		{"one is proved", []acmev1.State{valid, pending}, []func(*State){newer}, annotations{overrideClassName: "new"}},
		{"all are proved", []acmev1.State{valid, valid}, []func(*State){newer}, nil},
		{"the CA has been asked", []acmev1.State{acmev1.Processing, pending}, []func(*State){newer}, nil},
		{"one has failed", []acmev1.State{acmev1.Invalid, pending}, []func(*State){newer}, nil},
		{"no Challenge changes", []acmev1.State{pending, pending}, []func(*State){are(annotations{overrideClassName: "old", acmev1.ACMECertificateHTTP01ParentRefName: "gw"})}, nil},
		{"contradictory ones", []acmev1.State{pending, pending}, []func(*State){are(twice)}, nil},
		{"contradictory ones are corrected", nil, []func(*State){made(twice), newer}, annotations{overrideClassName: "new"}},
		{"contradictory ones are corrected by half", nil, []func(*State){made(annotations{overrideClassName: "a", overrideName: "b", overrideClass: "c"}), are(twice)}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := overridden(test.states...)
			for _, f := range test.change {
				f(&o)
			}
			want := Plan{Status: *o.Object.Status.DeepCopy()}
			if test.want != nil {
				want.Do = Override{Annotations: test.want}
				want.Confirm = []plan.Confirm{plan.AsSeen(cmv1.CertificateKind, o.Certificate)}
			}
			samePlan(t, want, o.newOverrides())
			if _, does := o.Next(now).Do.(Override); does != (test.want != nil) {
				t.Errorf("does %v", o.Next(now).Do)
			}
		})
	}
}

// TestAfterOverride: only the Challenges that are not proved are made again.
func TestAfterOverride(t *testing.T) {
	o := overridden(acmev1.Valid, acmev1.Pending)
	o.Certificate.Annotations = map[string]string{overrideClassName: "new"}
	o.Object = WithOverrides(o.Object, o.Next(now).Do.(Override).Annotations)
	samePlan(t, map[string]string{overrideClassName: "new", "other": "x"}, o.Object.Annotations)
	samePlan(t, plan.Action(DeleteChallenges{Challenges: o.Challenges[1:]}), o.Next(now).Do)
	o.Challenges = o.Challenges[:1]
	wanted, _ := WantedChallenges(o.Object, o.Account)
	samePlan(t, plan.Action(CreateChallenges{Specs: wanted[1:]}), o.Next(now).Do)
	if class := *wanted[1].Solver.HTTP01.Ingress.IngressClassName; class != "new" {
		t.Errorf("the class is %q", class)
	}
}

// TestContradictoryOverrides: an Order waits for its Certificate to be corrected, and for
// nothing if it has none.
func TestContradictoryOverrides(t *testing.T) {
	const why = "Failed to determine a valid solver configuration for the set of domains on the Order: may not specify more than one of: name, class, ingressClassName override annotations"
	o := overridden()
	o.Certificate.Name = "web"
	o.Object.Annotations = map[string]string{overrideClassName: "new", overrideName: "web"}
	o.Certificate.Annotations = o.Object.Annotations
	want := Plan{Status: *o.Object.Status.DeepCopy(), Until: now.Add(time.Hour)}
	want.Status.Reason = why + "; correct the annotations of Certificate web, and the Order goes on"
	want.Events = []plan.Event{{Warning: true, Reason: "Solver", Component: "cert-manager-orders", Message: want.Status.Reason}}
	samePlan(t, want, o.Next(now))

	o.FetchedAt = now.Add(-time.Hour)
	want.Until, want.Do, want.Events = time.Time{}, FetchOrder{URL: "https://acme/o"}, nil
	samePlan(t, want, o.Next(now))

	o.Certificate = nil
	want = Plan{Status: *o.Object.Status.DeepCopy(), Events: []plan.Event{{Warning: true, Reason: "Solver", Component: "cert-manager-orders", Message: why}}}
	want.Status.State, want.Status.Reason, want.Status.FailureTime = acmev1.Errored, why, at(now)
	samePlan(t, want, o.Next(now))
}
