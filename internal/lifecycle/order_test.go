package lifecycle

import (
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/fault"
)

// authorization is one that offers HTTP-01 and DNS-01.
func authorization(name string, wildcard bool) acmev1.ACMEAuthorization {
	id := name
	if wildcard {
		id = "wild." + name
	}
	return acmev1.ACMEAuthorization{
		URL: "https://acme/a/" + id, Identifier: name, Wildcard: &wildcard, InitialState: acmev1.Pending,
		Challenges: []acmev1.ACMEChallenge{
			{URL: "https://acme/h/" + id, Type: "http-01", Token: "h-" + id},
			{URL: "https://acme/d/" + id, Type: "dns-01", Token: "d-" + id},
		},
	}
}

// ordered is an Order for a name and its wildcard: the server has made it, and
// its authorizations are known.
func ordered() Order {
	crt := certificate(func(c *cmv1.Certificate) { c.Spec.DNSNames = []string{"example.com", "*.example.com"} })
	r := request(crt, key(1), 1, requestIs(cmv1.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "x", "x", now))
	object := must2(BuildOrder(r, acmeIssuer.Spec.ACME))
	object.UID = "order-uid"
	object.Status = acmev1.OrderStatus{
		URL: "https://acme/o", FinalizeURL: "https://acme/f", State: acmev1.Pending,
		Authorizations: []acmev1.ACMEAuthorization{authorization("example.com", false), authorization("example.com", true)},
	}
	return Order{
		Object: object, Request: r, Account: &Account{Issuer: acmeIssuer.Spec.ACME, Thumbprint: "thumb"},
		Server: &acme.Order{URL: "https://acme/o", Status: acme.StatusPending}, FetchedAt: now,
	}
}

// challenges are those that an Order calls for, in a state each.
func challenges(o Order, states ...acmev1.State) []*acmev1.Challenge {
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
		if OrderFailed(state) {
			c.Status.Reason = string(state) + " because"
		}
		made = append(made, c)
	}
	return made
}

func TestOrder(t *testing.T) {
	const noSolver = `Failed to determine a valid solver configuration for the set of domains on the Order: no configured challenge solvers can be used for this challenge: none of the issuer's solvers matches "example.com" and offers one of dns-01, http-01`
	const http01 = `Failed to determine a valid solver configuration for the set of domains on the Order: the solver selected for "example.com" is HTTP-01, which this version of everleaf cannot do yet; configure a dns01 solver with rfc2136 for this name`
	server := func(status string, change ...func(*Order)) func(*Order) {
		return func(o *Order) {
			o.Server.Status = status
			for _, f := range change {
				f(o)
			}
		}
	}
	polls := func(n int) func(*Order) { return func(o *Order) { o.Polls = n } }
	unmade := func(o *Order) { o.Object.Status, o.Server = acmev1.OrderStatus{}, nil }
	restarted := func(o *Order) { o.Server, o.FetchedAt = nil, time.Time{} }
	are := func(states ...acmev1.State) func(*Order) {
		return func(o *Order) { o.Challenges = challenges(*o, states...) }
	}
	fail := func(state acmev1.State, reason string, events ...Event) func(*Order, *OrderPlan) {
		return func(_ *Order, p *OrderPlan) {
			p.Status.State, p.Status.Reason, p.Status.FailureTime, p.Events = state, reason, at(now), events
		}
	}
	step := func(s OrderStep) func(*Order, *OrderPlan) { return func(_ *Order, p *OrderPlan) { p.Step = s } }
	until := func(d time.Duration) func(*Order, *OrderPlan) {
		return func(_ *Order, p *OrderPlan) { p.Until = now.Add(d) }
	}
	none := func(*Order, *OrderPlan) {}
	solvers := func(s ...acmev1.ACMEChallengeSolver) func(*Order) {
		return func(o *Order) { o.Account = &Account{Issuer: &acmev1.ACMEIssuer{Solvers: s}, Thumbprint: "thumb"} }
	}
	state := func(s acmev1.State) func(*Order) { return func(o *Order) { o.Object.Status.State = s } }
	remove := func(from, to int) func(*Order, *OrderPlan) {
		return func(o *Order, p *OrderPlan) {
			p.Step, p.Persist, p.Delete = OrderDeleteChallenges, Before, o.Challenges[from:to]
		}
	}
	tests := []struct {
		name  string
		state []func(*Order)
		want  func(*Order, *OrderPlan)
	}{
		{"new", []func(*Order){unmade}, step(OrderCreate)},
		{"new, issuer not ready", []func(*Order){unmade, func(o *Order) { o.Account = nil }}, none},
		{"new, put off by the server", []func(*Order){unmade, func(o *Order) { o.RetryAt = now.Add(hour) }}, until(hour)},
		{"new, put off until now", []func(*Order){unmade, func(o *Order) { o.RetryAt = now }}, step(OrderCreate)},
		{"made, put off by the server", []func(*Order){are(acmev1.Valid, acmev1.Valid), func(o *Order) { o.RetryAt = now.Add(hour) }}, until(hour)},
		{"new, another goes first", []func(*Order){unmade, func(o *Order) { o.First = "older" }}, none},
		{"new, rate limited", []func(*Order){unmade, func(o *Order) { o.Account = &Account{Gate: now.Add(hour)} }}, until(hour)},
		{"new, limit over", []func(*Order){unmade, func(o *Order) { o.Account = &Account{Gate: now} }}, step(OrderCreate)},
		{"being deleted", []func(*Order){unmade, func(o *Order) { o.Object.DeletionTimestamp = at(now) }}, none},
		{"made, nothing known", []func(*Order){restarted, func(o *Order) { o.Object.Status.Authorizations = nil }}, step(OrderFetch)},
		{"made, no finalize URL", []func(*Order){restarted, func(o *Order) { o.Object.Status.FinalizeURL = "" }}, step(OrderFetch)},
		{"server tells no authorizations", []func(*Order){polls(2), func(o *Order) { o.Object.Status.Authorizations = nil }}, until(time.Second)},
		{"authorizations unknown", []func(*Order){func(o *Order) { o.Object.Status.Authorizations[1].Identifier = "" }}, step(OrderAuthorize)},
		{"no solver", []func(*Order){solvers()}, fail(acmev1.Errored, noSolver, Event{Warning: true, Reason: "Solver", Component: "cert-manager-orders", Message: noSolver})},
		{"solver to come", []func(*Order){solvers(acmev1.ACMEChallengeSolver{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{}})}, fail(acmev1.Errored, http01, Event{Warning: true, Reason: "Solver", Component: "cert-manager-orders", Message: http01})},
		{"no challenges yet", nil, func(o *Order, p *OrderPlan) {
			p.Step = OrderCreateChallenges
			p.Create, _ = WantedChallenges(o.Object, o.Account)
		}},
		{"one challenge missing", []func(*Order){are("")}, func(o *Order, p *OrderPlan) {
			wanted, _ := WantedChallenges(o.Object, o.Account)
			p.Step, p.Create = OrderCreateChallenges, wanted[1:]
		}},
		{"one name needs none", []func(*Order){func(o *Order) { o.Object.Status.Authorizations[0].InitialState = acmev1.Valid }, are(acmev1.Valid)}, step(OrderFinalize)},
		{"all names need none", []func(*Order){func(o *Order) {
			o.Object.Status.Authorizations[0].InitialState, o.Object.Status.Authorizations[1].InitialState = acmev1.Valid, acmev1.Valid
		}}, step(OrderFinalize)},
		{"challenge of another solver", []func(*Order){are("", ""), func(o *Order) { o.Challenges[0].Spec.Solver = rfc2136("old") }}, remove(0, 1)},
		{"challenge that leaves is waited for", []func(*Order){are("", ""), func(o *Order) { o.Challenges[0].DeletionTimestamp = at(now) }}, until(hour)},
		{"challenges pending", []func(*Order){are(acmev1.Valid, acmev1.Pending)}, until(hour)},
		{"challenges pending, restarted", []func(*Order){restarted, are(acmev1.Valid, acmev1.Pending)}, until(hour)},
		{"challenges pending for an hour", []func(*Order){are("", ""), func(o *Order) { o.FetchedAt = now.Add(-hour) }}, step(OrderFetch)},
		{"challenges tell what they wait for", []func(*Order){are(acmev1.Pending, acmev1.Pending), func(o *Order) {
			o.Challenges[0].Status.Reason, o.Challenges[1].Status.Reason = "b", "a"
		}}, func(_ *Order, p *OrderPlan) {
			p.Until, p.Status.Reason = now.Add(hour), `"*.example.com": a; "example.com": b`
		}},
		{"an old reason goes", []func(*Order){are("", ""), func(o *Order) { o.Object.Status.Reason = "old" }}, func(_ *Order, p *OrderPlan) {
			p.Until, p.Status.Reason = now.Add(hour), ""
		}},
		{"challenge failed", []func(*Order){are(acmev1.Valid, acmev1.Invalid)}, fail(acmev1.Invalid, "invalid because")},
		{"challenge errored", []func(*Order){are(acmev1.Errored, "")}, fail(acmev1.Errored, "errored because")},
		{"challenge expired", []func(*Order){are(acmev1.Expired, "")}, fail(acmev1.Expired, "An authorization has expired at the ACME server: expired because")},
		{"one expired, one failed", []func(*Order){are(acmev1.Invalid, acmev1.Expired)}, fail(acmev1.Invalid, "expired because; invalid because")},
		{"all valid", []func(*Order){are(acmev1.Valid, acmev1.Valid)}, step(OrderFinalize)},
		{"all valid, restarted", []func(*Order){restarted, are(acmev1.Valid, acmev1.Valid)}, step(OrderFetch)},
		{"all valid, server does not know yet", []func(*Order){polls(1), are(acmev1.Valid, acmev1.Valid)}, until(500 * time.Millisecond)},
		{"all valid, server asked again", []func(*Order){polls(1), are(acmev1.Valid, acmev1.Valid), func(o *Order) { o.FetchedAt = now.Add(-time.Second) }}, step(OrderFetch)},
		{"ready", []func(*Order){server(acme.StatusReady)}, step(OrderFinalize)},
		{"ready, and refused", []func(*Order){server(acme.StatusReady, polls(1))}, until(500 * time.Millisecond)},
		{"processing", []func(*Order){server(acme.StatusProcessing)}, until(250 * time.Millisecond)},
		{"processing for long", []func(*Order){server(acme.StatusProcessing, polls(99))}, until(5 * time.Second)},
		{"processing, looked at", []func(*Order){server(acme.StatusProcessing, func(o *Order) { o.FetchedAt = now.Add(-time.Second) })}, step(OrderFetch)},
		{"processing, server says when", []func(*Order){server(acme.StatusProcessing, func(o *Order) { o.Server.RetryAfter = now.Add(time.Minute) })}, until(time.Minute)},
		{"processing, server says at once", []func(*Order){server(acme.StatusProcessing, func(o *Order) { o.Server.RetryAfter = now })}, until(250 * time.Millisecond)},
		{"valid", []func(*Order){server(acme.StatusValid)}, step(OrderDownload)},
		{"valid, told by another", []func(*Order){restarted, state(acmev1.Valid)}, step(OrderFetch)},
		{"ready, told by another", []func(*Order){restarted, state(acmev1.Ready)}, step(OrderFetch)},
		{"processing, told by another", []func(*Order){restarted, state(acmev1.Processing)}, step(OrderFetch)},
		{"invalid", []func(*Order){are(acmev1.Invalid, ""), server(acme.StatusInvalid)}, fail(acmev1.Invalid, "invalid because")},
		{"invalid, no challenge tells why", []func(*Order){server(acme.StatusInvalid, func(o *Order) {
			o.Server.Error = &acme.Problem{Type: acme.ErrorNamespace + acme.TypeCAA, Detail: "forbidden"}
		})}, fail(acmev1.Invalid, "urn:ietf:params:acme:error:caa: forbidden")},
		{"invalid, nothing tells why", []func(*Order){server(acme.StatusInvalid)}, fail(acmev1.Invalid, "")},
		{"expired at the server", []func(*Order){server(acme.StatusExpired)}, fail(acmev1.Expired, "The order has expired at the ACME server")},
		{"failed: what works on is removed", []func(*Order){state(acmev1.Invalid), are(acmev1.Invalid, acmev1.Pending)}, remove(1, 2)},
		{"failed", []func(*Order){state(acmev1.Errored), are(acmev1.Errored)}, none},
		{"done: challenges are removed", []func(*Order){state(acmev1.Valid), are(acmev1.Valid, acmev1.Valid), func(o *Order) { o.Object.Status.Certificate = []byte("x") }}, remove(0, 2)},
		{"done", []func(*Order){state(acmev1.Valid), func(o *Order) { o.Object.Status.Certificate = []byte("x") }}, none},
		{"request not to be found", []func(*Order){func(o *Order) { o.Request = nil }}, none},
		{"forged", []func(*Order){unmade, func(o *Order) { o.Object.Spec.DNSNames = []string{"bank.example"} }}, fail(acmev1.Errored, "The Order asks for other names than the CertificateRequest that controls it")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := ordered()
			for _, f := range test.state {
				f(&o)
			}
			want := OrderPlan{Status: *o.Object.Status.DeepCopy()}
			test.want(&o, &want)
			samePlan(t, want, NextOrder(o, now))
		})
	}
}

func TestOrderStepFailed(t *testing.T) {
	const problem = "urn:ietf:params:acme:error:"
	wait := func(reason string, d time.Duration) func(*OrderPlan) {
		return func(p *OrderPlan) {
			p.Status.Reason = reason
			if d > 0 {
				p.Until = now.Add(d)
			}
		}
	}
	end := func(state acmev1.State, reason string) func(*OrderPlan) {
		return func(p *OrderPlan) { p.Status.State, p.Status.Reason, p.Status.FailureTime = state, reason, at(now) }
	}
	tests := []struct {
		name    string
		step    OrderStep
		refusal refusal
		gate    time.Duration
		want    func(*OrderPlan)
	}{
		{"rate limit", OrderCreate, refusal{429, acme.TypeRateLimited, "3600"}, hour, wait("Failed to create Order: 429 "+problem+"rateLimited: no", hour)},
		{"rate limit of no length", OrderCreate, refusal{429, acme.TypeRateLimited, ""}, 10 * time.Minute, wait("Failed to create Order: 429 "+problem+"rateLimited: no", 10*time.Minute)},
		{"busy", OrderFinalize, refusal{503, acme.TypeServerInternal, "60"}, 0, wait("Failed to finalize Order: 503 "+problem+"serverInternal: no", time.Minute)},
		{"broken", OrderFetch, refusal{500, acme.TypeServerInternal, ""}, 0, wait("Failed to retrieve Order resource: 500 "+problem+"serverInternal: no", 0)},
		{"account unknown", OrderCreate, refusal{400, acme.TypeAccountDoesNotExist, ""}, 0, wait("Failed to create Order: 400 "+problem+"accountDoesNotExist: no", 6*hour)},
		{"terms to be agreed to", OrderFinalize, refusal{403, acme.TypeUserActionRequired, ""}, 0, wait("Failed to finalize Order: 403 "+problem+"userActionRequired: no", 6*hour)},
		{"names refused", OrderCreate, refusal{400, acme.TypeRejectedIdentifier, ""}, 0, end(acmev1.Errored, "Failed to create Order: 400 "+problem+"rejectedIdentifier: no")},
		{"caa", OrderFinalize, refusal{403, acme.TypeCAA, ""}, 0, end(acmev1.Errored, "Failed to finalize Order: 403 "+problem+"caa: no")},
		{"bad request", OrderFinalize, refusal{400, acme.TypeBadCSR, ""}, 0, end(acmev1.Errored, "Failed to finalize Order: 400 "+problem+"badCSR: no")},
		{"malformed", OrderCreate, refusal{400, acme.TypeMalformed, ""}, 0, end(acmev1.Errored, "Failed to create Order: 400 "+problem+"malformed: no")},
		{"no such directory", OrderCreate, refusal{404, acme.TypeMalformed, ""}, 0, end(acmev1.Errored, "Failed to create Order: 404 "+problem+"malformed: no")},
		{"order gone", OrderFetch, refusal{404, acme.TypeMalformed, ""}, 0, end(acmev1.Expired, "Failed to retrieve Order resource: 404 "+problem+"malformed: no")},
		{"order of another account", OrderFetch, refusal{403, acme.TypeUnauthorized, ""}, 0, end(acmev1.Expired, "Failed to retrieve Order resource: 403 "+problem+"unauthorized: no")},
		{"authorization gone", OrderAuthorize, refusal{404, acme.TypeMalformed, ""}, 0, end(acmev1.Expired, "Failed to fetch authorization: 404 "+problem+"malformed: no")},
		{"gone at the end", OrderFinalize, refusal{404, acme.TypeMalformed, ""}, 0, end(acmev1.Expired, "Failed to finalize Order: 404 "+problem+"malformed: no")},
		{"certificate gone", OrderDownload, refusal{410, acme.TypeMalformed, ""}, 0, end(acmev1.Expired, "Failed to retrieve signed certificate: 410 "+problem+"malformed: no")},
		{"not ready", OrderFinalize, refusal{403, acme.TypeOrderNotReady, ""}, 0, func(p *OrderPlan) { p.Step = OrderFetch }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := ordered()
			want := OrderPlan{Status: *o.Object.Status.DeepCopy()}
			test.want(&want)
			plan, gate := OrderStepFailed(o, test.step, test.refusal.asked(t, orderRequests[test.step]), now)
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
	plan, _ := OrderStepFailed(again, OrderFinalize, refusal{403, acme.TypeOrderNotReady, ""}.asked(t, orderRequests[OrderFinalize]), now)
	if plan.Step != OrderFetch || plan.Status.Reason != "Failed to finalize Order: 403 "+problem+"orderNotReady: no" {
		t.Errorf("not ready for long: %+v", plan)
	}
	plan, _ = OrderStepFailed(ordered(), OrderFetch, &acme.NetworkError{Host: "acme", Why: "refused"}, now)
	if plan.Status.State != acmev1.Pending || plan.Status.Reason != "Failed to retrieve Order resource: cannot reach the ACME server acme: refused" {
		t.Errorf("no network: %+v", plan)
	}
	plan, _ = OrderStepFailed(ordered(), OrderDownload, fault.New(fault.Permanent, "X", "bad").Because(errors.New("x")), now)
	if plan.Status.State != acmev1.Errored || plan.Status.Reason != "Failed to retrieve signed certificate: bad" {
		t.Errorf("bad certificate: %+v", plan)
	}
}

func TestOrderStatus(t *testing.T) {
	status := OrderCreated(acmev1.OrderStatus{Reason: "old"}, acme.Order{URL: "o", Finalize: "f", Authorizations: []string{"a", "b"}})
	samePlan(t, acmev1.OrderStatus{
		URL: "o", FinalizeURL: "f", State: acmev1.Pending, Authorizations: []acmev1.ACMEAuthorization{{URL: "a"}, {URL: "b"}},
	}, status)
	status.Reason = "old"
	status = OrderAuthorized(status, []acme.Authorization{{
		URL: "a", Identifier: acme.Identifier{Type: "dns", Value: "example.com"}, Wildcard: true, Status: acme.StatusPending,
		Challenges: []acme.Challenge{{URL: "c", Type: "dns-01", Token: "t"}},
	}})
	samePlan(t, acmev1.OrderStatus{URL: "o", FinalizeURL: "f", State: acmev1.Pending, Authorizations: []acmev1.ACMEAuthorization{{
		URL: "a", Identifier: "example.com", Wildcard: ptr(true), InitialState: acmev1.Pending,
		Challenges: []acmev1.ACMEChallenge{{URL: "c", Type: "dns-01", Token: "t"}},
	}}}, status)

	o := ordered()
	want := OrderPlan{Status: *o.Object.Status.DeepCopy()}
	want.Status.State, want.Status.Certificate = acmev1.Valid, []byte("chain")
	want.Events = []Event{{Reason: "Complete", Message: "Order completed successfully", Component: "cert-manager-orders"}}
	samePlan(t, want, OrderCompleted(o, []byte("chain"), true, now))

	want = OrderPlan{Status: *o.Object.Status.DeepCopy()}
	want.Status.State, want.Status.FailureTime = acmev1.Expired, at(now)
	want.Status.Reason = "The ACME server returned a certificate for another key: the order was shared with another request and is replaced"
	samePlan(t, want, OrderCompleted(o, []byte("chain"), false, now))
}
