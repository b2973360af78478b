package order

import (
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

func TestOrderDone(t *testing.T) {
	leaving := &acmev1.Order{}
	leaving.DeletionTimestamp = at(now)
	if !Done(leaving) {
		t.Error("one that is being deleted needs its Challenges no more")
	}
	for state, want := range map[acmev1.State]bool{
		"": false, acmev1.Pending: false, acmev1.Ready: false, acmev1.Processing: false,
		acmev1.Valid: true, acmev1.Invalid: true, acmev1.Expired: true, acmev1.Errored: true,
	} {
		if got := Done(&acmev1.Order{Status: acmev1.OrderStatus{State: state}}); got != want {
			t.Errorf("%q: %t", state, got)
		}
	}
}

// ordered is an Order for a name and its wildcard: the server has made it, and
// its authorizations are known.
func ordered() State {
	crt := newCertificate(func(c *cmv1.Certificate) { c.Spec.DNSNames = []string{"example.com", "*.example.com"} })
	r := newRequest(crt, key(1), 1, requestIs(cmv1.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "x", "x", now))
	object := mustOrder(Build(r, acmeIssuer.Spec.ACME, pki.Limits{}))
	object.UID = "order-uid"
	object.Status = acmev1.OrderStatus{
		URL: "https://acme/o", FinalizeURL: "https://acme/f", State: acmev1.Pending,
		Authorizations: []acmev1.ACMEAuthorization{authorization("example.com", false), authorization("example.com", true)},
	}
	return State{
		Object: object, Request: r, Account: &facts.Account{Issuer: acmeIssuer.Spec.ACME, Thumbprint: "thumb"},
		Server: &acme.Order{URL: "https://acme/o", Status: acme.StatusPending}, FetchedAt: now,
	}
}

// challenges are those that an Order calls for, in a state each.
func challenges(o State, states ...acmev1.State) []*acmev1.Challenge {
	wanted, _ := WantedChallenges(o.Object, o.Account)
	var made []*acmev1.Challenge
	for i, state := range states {
		c := &acmev1.Challenge{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "app", Name: ChallengeName(o.Object.Name, wanted[i]),
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(o.Object, acmev1.SchemeGroupVersion.WithKind("Order"))},
			},
			Spec: wanted[i], Status: acmev1.ChallengeStatus{State: state},
		}
		if Failed(state) {
			c.Status.Reason = string(state) + " because"
		}
		made = append(made, c)
	}
	return made
}

func TestOrder(t *testing.T) {
	const noSolver = `Failed to determine a valid solver configuration for the set of domains on the Order: no configured challenge solvers can be used for this challenge: none of the issuer's solvers matches "example.com" and offers one of dns-01, http-01`
	const http01 = `Failed to determine a valid solver configuration for the set of domains on the Order: the solver selected for "example.com" is HTTP-01, which this version of everleaf cannot do yet; configure a dns01 solver with rfc2136 for this name`
	noHTTP01 := func(s *State) {
		s.Account.Unsupported = []string{"is HTTP-01, which this version of everleaf cannot do yet; configure a dns01 solver with rfc2136 for this name"}
	}
	server := func(status string, change ...func(*State)) func(*State) {
		return func(o *State) {
			o.Server.Status = status
			for _, f := range change {
				f(o)
			}
		}
	}
	polls := func(n int) func(*State) { return func(o *State) { o.Polls = n } }
	unmade := func(o *State) { o.Object.Status, o.Server = acmev1.OrderStatus{}, nil }
	restarted := func(o *State) { o.Server, o.FetchedAt = nil, time.Time{} }
	are := func(states ...acmev1.State) func(*State) {
		return func(o *State) { o.Challenges = challenges(*o, states...) }
	}
	fail := func(state acmev1.State, reason string, events ...plan.Event) func(*State, *Plan) {
		return func(_ *State, p *Plan) {
			p.Status.State, p.Status.Reason, p.Status.FailureTime, p.Events = state, reason, at(now), events
		}
	}
	step := func(s Step) func(*State, *Plan) { return func(_ *State, p *Plan) { p.Step = s } }
	until := func(d time.Duration) func(*State, *Plan) {
		return func(_ *State, p *Plan) { p.Until = now.Add(d) }
	}
	none := func(*State, *Plan) {}
	solvers := func(s ...acmev1.ACMEChallengeSolver) func(*State) {
		return func(o *State) {
			o.Account = &facts.Account{Issuer: &acmev1.ACMEIssuer{Solvers: s}, Thumbprint: "thumb"}
		}
	}
	state := func(s acmev1.State) func(*State) { return func(o *State) { o.Object.Status.State = s } }
	remove := func(from, to int) func(*State, *Plan) {
		return func(o *State, p *Plan) {
			p.Step, p.Persist, p.Delete = DeleteChallenges, plan.Before, o.Challenges[from:to]
		}
	}
	tests := []struct {
		name  string
		state []func(*State)
		want  func(*State, *Plan)
	}{
		{"new", []func(*State){unmade}, step(Create)},
		{"new, issuer not ready", []func(*State){unmade, func(o *State) { o.Account = nil }}, none},
		{"new, put off by the server", []func(*State){unmade, func(o *State) { o.RetryAt = now.Add(hour) }}, until(hour)},
		{"new, put off until now", []func(*State){unmade, func(o *State) { o.RetryAt = now }}, step(Create)},
		{"made, put off by the server", []func(*State){are(acmev1.Valid, acmev1.Valid), func(o *State) { o.RetryAt = now.Add(hour) }}, until(hour)},
		{"new, another goes first", []func(*State){unmade, func(o *State) { o.BlockedBy = "older" }}, none},
		{"new, rate limited", []func(*State){unmade, func(o *State) { o.Account = &facts.Account{NewOrderNotBefore: now.Add(hour)} }}, until(hour)},
		{"new, limit over", []func(*State){unmade, func(o *State) { o.Account = &facts.Account{NewOrderNotBefore: now} }}, step(Create)},
		{"being deleted", []func(*State){unmade, func(o *State) { o.Object.DeletionTimestamp = at(now) }}, none},
		{"made, nothing known", []func(*State){restarted, func(o *State) { o.Object.Status.Authorizations = nil }}, step(Fetch)},
		{"made, no finalize URL", []func(*State){restarted, func(o *State) { o.Object.Status.FinalizeURL = "" }}, step(Fetch)},
		{"server tells no authorizations", []func(*State){polls(2), func(o *State) { o.Object.Status.Authorizations = nil }}, until(time.Second)},
		{"authorizations unknown", []func(*State){func(o *State) { o.Object.Status.Authorizations[1].Identifier = "" }}, step(Authorize)},
		{"no solver", []func(*State){solvers()}, fail(acmev1.Errored, noSolver, plan.Event{Warning: true, Reason: "Solver", Component: "cert-manager-orders", Message: noSolver})},
		{"solver to come", []func(*State){solvers(acmev1.ACMEChallengeSolver{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{}}), noHTTP01}, fail(acmev1.Errored, http01, plan.Event{Warning: true, Reason: "Solver", Component: "cert-manager-orders", Message: http01})},
		{"no challenges yet", nil, func(o *State, p *Plan) {
			p.Step = CreateChallenges
			p.Create, _ = WantedChallenges(o.Object, o.Account)
		}},
		{"one challenge missing", []func(*State){are("")}, func(o *State, p *Plan) {
			wanted, _ := WantedChallenges(o.Object, o.Account)
			p.Step, p.Create = CreateChallenges, wanted[1:]
		}},
		{"one name needs none", []func(*State){func(o *State) { o.Object.Status.Authorizations[0].InitialState = acmev1.Valid }, are(acmev1.Valid)}, step(Finalize)},
		{"all names need none", []func(*State){func(o *State) {
			o.Object.Status.Authorizations[0].InitialState, o.Object.Status.Authorizations[1].InitialState = acmev1.Valid, acmev1.Valid
		}}, step(Finalize)},
		{"challenge of another solver", []func(*State){are("", ""), func(o *State) { o.Challenges[0].Spec.Solver = rfc2136("old") }}, remove(0, 1)},
		{"challenge that leaves is waited for", []func(*State){are("", ""), func(o *State) { o.Challenges[0].DeletionTimestamp = at(now) }}, until(hour)},
		{"challenges pending", []func(*State){are(acmev1.Valid, acmev1.Pending)}, until(hour)},
		{"challenges pending, restarted", []func(*State){restarted, are(acmev1.Valid, acmev1.Pending)}, until(hour)},
		{"challenges pending for an hour", []func(*State){are("", ""), func(o *State) { o.FetchedAt = now.Add(-hour) }}, step(Fetch)},
		{"challenges tell what they wait for", []func(*State){are(acmev1.Pending, acmev1.Pending), func(o *State) {
			o.Challenges[0].Status.Reason, o.Challenges[1].Status.Reason = "b", "a"
		}}, func(_ *State, p *Plan) {
			p.Until, p.Status.Reason = now.Add(hour), `"*.example.com": a; "example.com": b`
		}},
		{"an old reason goes", []func(*State){are("", ""), func(o *State) { o.Object.Status.Reason = "old" }}, func(_ *State, p *Plan) {
			p.Until, p.Status.Reason = now.Add(hour), ""
		}},
		{"challenge failed", []func(*State){are(acmev1.Valid, acmev1.Invalid)}, fail(acmev1.Invalid, "invalid because")},
		{"challenge errored", []func(*State){are(acmev1.Errored, "")}, fail(acmev1.Errored, "errored because")},
		{"challenge expired", []func(*State){are(acmev1.Expired, "")}, fail(acmev1.Expired, "An authorization has expired at the ACME server: expired because")},
		{"one expired, one failed", []func(*State){are(acmev1.Invalid, acmev1.Expired)}, fail(acmev1.Invalid, "expired because; invalid because")},
		{"all valid", []func(*State){are(acmev1.Valid, acmev1.Valid)}, step(Finalize)},
		{"all valid, restarted", []func(*State){restarted, are(acmev1.Valid, acmev1.Valid)}, step(Fetch)},
		{"all valid, server does not know yet", []func(*State){polls(1), are(acmev1.Valid, acmev1.Valid)}, until(500 * time.Millisecond)},
		{"all valid, server asked again", []func(*State){polls(1), are(acmev1.Valid, acmev1.Valid), func(o *State) { o.FetchedAt = now.Add(-time.Second) }}, step(Fetch)},
		{"ready", []func(*State){server(acme.StatusReady)}, step(Finalize)},
		{"ready, and refused", []func(*State){server(acme.StatusReady, polls(1))}, until(500 * time.Millisecond)},
		{"processing", []func(*State){server(acme.StatusProcessing)}, until(250 * time.Millisecond)},
		{"processing for long", []func(*State){server(acme.StatusProcessing, polls(99))}, until(5 * time.Second)},
		{"processing, looked at", []func(*State){server(acme.StatusProcessing, func(o *State) { o.FetchedAt = now.Add(-time.Second) })}, step(Fetch)},
		{"processing, server says when", []func(*State){server(acme.StatusProcessing, func(o *State) { o.Server.RetryAfter = now.Add(time.Minute) })}, until(time.Minute)},
		{"processing, server says at once", []func(*State){server(acme.StatusProcessing, func(o *State) { o.Server.RetryAfter = now })}, until(250 * time.Millisecond)},
		{"valid", []func(*State){server(acme.StatusValid)}, step(Download)},
		{"valid, told by another", []func(*State){restarted, state(acmev1.Valid)}, step(Fetch)},
		{"ready, told by another", []func(*State){restarted, state(acmev1.Ready)}, step(Fetch)},
		{"processing, told by another", []func(*State){restarted, state(acmev1.Processing)}, step(Fetch)},
		{"invalid", []func(*State){are(acmev1.Invalid, ""), server(acme.StatusInvalid)}, fail(acmev1.Invalid, "invalid because")},
		{"invalid, no challenge tells why", []func(*State){server(acme.StatusInvalid, func(o *State) {
			o.Server.Error = &acme.Problem{Type: acme.ErrorNamespace + acme.TypeCAA, Detail: "forbidden"}
		})}, fail(acmev1.Invalid, "urn:ietf:params:acme:error:caa: forbidden")},
		{"invalid, nothing tells why", []func(*State){server(acme.StatusInvalid)}, fail(acmev1.Invalid, "")},
		{"expired at the server", []func(*State){server(acme.StatusExpired)}, fail(acmev1.Expired, "The order has expired at the ACME server")},
		{"failed: what works on is removed", []func(*State){state(acmev1.Invalid), are(acmev1.Invalid, acmev1.Pending)}, remove(1, 2)},
		{"failed", []func(*State){state(acmev1.Errored), are(acmev1.Errored)}, none},
		{"done: challenges are removed", []func(*State){state(acmev1.Valid), are(acmev1.Valid, acmev1.Valid), func(o *State) { o.Object.Status.Certificate = []byte("x") }}, remove(0, 2)},
		{"done", []func(*State){state(acmev1.Valid), func(o *State) { o.Object.Status.Certificate = []byte("x") }}, none},
		{"request not to be found", []func(*State){func(o *State) { o.Request = nil }}, none},
		{"forged", []func(*State){unmade, func(o *State) { o.Object.Spec.DNSNames = []string{"bank.example"} }}, fail(acmev1.Errored, "The Order asks for other names than the CertificateRequest that controls it")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := ordered()
			for _, f := range test.state {
				f(&o)
			}
			want := Plan{Status: *o.Object.Status.DeepCopy()}
			test.want(&o, &want)
			samePlan(t, want, Next(o, now))
		})
	}
}

func TestOrderStepFailed(t *testing.T) {
	const problem = "urn:ietf:params:acme:error:"
	wait := func(reason string, d time.Duration) func(*Plan) {
		return func(p *Plan) {
			p.Status.Reason = reason
			if d > 0 {
				p.Until = now.Add(d)
			}
		}
	}
	end := func(state acmev1.State, reason string) func(*Plan) {
		return func(p *Plan) { p.Status.State, p.Status.Reason, p.Status.FailureTime = state, reason, at(now) }
	}
	tests := []struct {
		name    string
		step    Step
		refusal lifecycletest.Refusal
		gate    time.Duration
		want    func(*Plan)
	}{
		{"rate limit", Create, lifecycletest.Refuse(429, acme.TypeRateLimited, "3600"), hour, wait("Failed to create Order: 429 "+problem+"rateLimited: no", hour)},
		{"rate limit of no length", Create, lifecycletest.Refuse(429, acme.TypeRateLimited, ""), 10 * time.Minute, wait("Failed to create Order: 429 "+problem+"rateLimited: no", 10*time.Minute)},
		{"busy", Finalize, lifecycletest.Refuse(503, acme.TypeServerInternal, "60"), 0, wait("Failed to finalize Order: 503 "+problem+"serverInternal: no", time.Minute)},
		{"broken", Fetch, lifecycletest.Refuse(500, acme.TypeServerInternal, ""), 0, wait("Failed to retrieve Order resource: 500 "+problem+"serverInternal: no", 0)},
		{"account unknown", Create, lifecycletest.Refuse(400, acme.TypeAccountDoesNotExist, ""), 0, wait("Failed to create Order: 400 "+problem+"accountDoesNotExist: no", 6*hour)},
		{"terms to be agreed to", Finalize, lifecycletest.Refuse(403, acme.TypeUserActionRequired, ""), 0, wait("Failed to finalize Order: 403 "+problem+"userActionRequired: no", 6*hour)},
		{"names refused", Create, lifecycletest.Refuse(400, acme.TypeRejectedIdentifier, ""), 0, end(acmev1.Errored, "Failed to create Order: 400 "+problem+"rejectedIdentifier: no")},
		{"caa", Finalize, lifecycletest.Refuse(403, acme.TypeCAA, ""), 0, end(acmev1.Errored, "Failed to finalize Order: 403 "+problem+"caa: no")},
		{"bad request", Finalize, lifecycletest.Refuse(400, acme.TypeBadCSR, ""), 0, end(acmev1.Errored, "Failed to finalize Order: 400 "+problem+"badCSR: no")},
		{"malformed", Create, lifecycletest.Refuse(400, acme.TypeMalformed, ""), 0, end(acmev1.Errored, "Failed to create Order: 400 "+problem+"malformed: no")},
		{"no such directory", Create, lifecycletest.Refuse(404, acme.TypeMalformed, ""), 0, end(acmev1.Errored, "Failed to create Order: 404 "+problem+"malformed: no")},
		{"order gone", Fetch, lifecycletest.Refuse(404, acme.TypeMalformed, ""), 0, end(acmev1.Expired, "Failed to retrieve Order resource: 404 "+problem+"malformed: no")},
		{"order of another account", Fetch, lifecycletest.Refuse(403, acme.TypeUnauthorized, ""), 0, end(acmev1.Expired, "Failed to retrieve Order resource: 403 "+problem+"unauthorized: no")},
		{"authorization gone", Authorize, lifecycletest.Refuse(404, acme.TypeMalformed, ""), 0, end(acmev1.Expired, "Failed to fetch authorization: 404 "+problem+"malformed: no")},
		{"gone at the end", Finalize, lifecycletest.Refuse(404, acme.TypeMalformed, ""), 0, end(acmev1.Expired, "Failed to finalize Order: 404 "+problem+"malformed: no")},
		{"certificate gone", Download, lifecycletest.Refuse(410, acme.TypeMalformed, ""), 0, end(acmev1.Expired, "Failed to retrieve signed certificate: 410 "+problem+"malformed: no")},
		{"not ready", Finalize, lifecycletest.Refuse(403, acme.TypeOrderNotReady, ""), 0, func(p *Plan) { p.Step = Fetch }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := ordered()
			want := Plan{Status: *o.Object.Status.DeepCopy()}
			test.want(&want)
			plan, gate := StepFailed(o, test.step, test.refusal.Asked(t, orderRequests[test.step]), now)
			samePlan(t, want, plan)
			wantGate := time.Time{}
			if test.gate > 0 {
				wantGate = now.Add(test.gate)
			}
			if !gate.Equal(wantGate) {
				t.Errorf("the account rests until %s, want %s", gate, wantGate)
			}
		})
	}
	again := ordered()
	again.Polls = notReadyPatience + 1
	plan, _ := StepFailed(again, Finalize, lifecycletest.Refuse(403, acme.TypeOrderNotReady, "").Asked(t, orderRequests[Finalize]), now)
	if plan.Step != Fetch || plan.Status.Reason != "Failed to finalize Order: 403 "+problem+"orderNotReady: no" {
		t.Errorf("not ready for long: %+v", plan)
	}
	plan, _ = StepFailed(ordered(), Fetch, &acme.NetworkError{Host: "acme", Why: "refused"}, now)
	if plan.Status.State != acmev1.Pending || plan.Status.Reason != "Failed to retrieve Order resource: cannot reach the ACME server acme: refused" {
		t.Errorf("no network: %+v", plan)
	}
	plan, _ = StepFailed(ordered(), Download, fault.New(fault.Permanent, "X", "bad").Because(errors.New("x")), now)
	if plan.Status.State != acmev1.Errored || plan.Status.Reason != "Failed to retrieve signed certificate: bad" {
		t.Errorf("bad certificate: %+v", plan)
	}
}

func TestOrderStatus(t *testing.T) {
	status := Created(acmev1.OrderStatus{Reason: "old"}, acme.Order{URL: "o", Finalize: "f", Authorizations: []string{"a", "b"}})
	samePlan(t, acmev1.OrderStatus{
		URL: "o", FinalizeURL: "f", State: acmev1.Pending, Authorizations: []acmev1.ACMEAuthorization{{URL: "a"}, {URL: "b"}},
	}, status)
	status.Reason = "old"
	status = Authorized(status, []acme.Authorization{{
		URL: "a", Identifier: acme.Identifier{Type: "dns", Value: "example.com"}, Wildcard: true, Status: acme.StatusPending,
		Challenges: []acme.Challenge{{URL: "c", Type: "dns-01", Token: "t"}},
	}})
	samePlan(t, acmev1.OrderStatus{URL: "o", FinalizeURL: "f", State: acmev1.Pending, Authorizations: []acmev1.ACMEAuthorization{{
		URL: "a", Identifier: "example.com", Wildcard: ptr(true), InitialState: acmev1.Pending,
		Challenges: []acmev1.ACMEChallenge{{URL: "c", Type: "dns-01", Token: "t"}},
	}}}, status)

	o := ordered()
	want := Plan{Status: *o.Object.Status.DeepCopy()}
	want.Status.State, want.Status.Certificate = acmev1.Valid, []byte("chain")
	want.Events = []plan.Event{{Reason: "Complete", Message: "Order completed successfully", Component: "cert-manager-orders"}}
	samePlan(t, want, Completed(o, []byte("chain"), true, now))

	want = Plan{Status: *o.Object.Status.DeepCopy()}
	want.Status.State, want.Status.FailureTime = acmev1.Expired, at(now)
	want.Status.Reason = "The ACME server returned a certificate for another key: the order was shared with another request and is replaced"
	samePlan(t, want, Completed(o, []byte("chain"), false, now))
}
