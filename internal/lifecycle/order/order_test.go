package order

import (
	"encoding/pem"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
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

func TestOrderEnded(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*acmev1.Order)
		want   bool
	}{
		{"new", func(*acmev1.Order) {}, false},
		{"pending", func(o *acmev1.Order) { o.Status.State = acmev1.Pending }, false},
		{"valid, not downloaded", func(o *acmev1.Order) { o.Status.State = acmev1.Valid }, false},
		{"complete", func(o *acmev1.Order) { o.Status.State, o.Status.Certificate = acmev1.Valid, []byte("x") }, true},
		{"a certificate before the state", func(o *acmev1.Order) { o.Status.State, o.Status.Certificate = acmev1.Processing, []byte("x") }, false},
		{"a certificate without a state", func(o *acmev1.Order) { o.Status.Certificate = []byte("x") }, false},
		{"failed", func(o *acmev1.Order) { o.Status.State = acmev1.Expired }, true},
		{"failed, with a certificate", func(o *acmev1.Order) { o.Status.State, o.Status.Certificate = acmev1.Errored, []byte("x") }, true},
		{"deleted", func(o *acmev1.Order) { o.DeletionTimestamp = at(now) }, true},
	} {
		o := &acmev1.Order{}
		test.change(o)
		if got := Ended(o); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}

// ordered is an Order for a name and its wildcard: the server has made it, and
// its authorizations are known.
func ordered() State {
	crt := newCertificate(func(c *cmv1.Certificate) { c.Spec.DNSNames = []string{"example.com", "*.example.com"} })
	r := newRequest(crt, key(1), 1, requestIs(cmv1.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "x", "x", now))
	object := mustOrder(Build(r, acmeIssuer.Spec.ACME, pki.Limits{}))
	object.UID, object.ResourceVersion = "order-uid", "7"
	object.Status = acmev1.OrderStatus{
		URL: "https://acme/o", FinalizeURL: "https://acme/f", State: acmev1.Pending,
		Authorizations: []acmev1.ACMEAuthorization{authorization("example.com", false), authorization("example.com", true)},
	}
	return State{
		Object: object, Request: r, Account: &facts.Account{Issuer: acmeIssuer.Spec.ACME, Thumbprint: "thumb"},
		Memory: &Memory{Loaded: now, Server: &acme.Order{URL: "https://acme/o", Status: acme.StatusPending}, FetchedAt: now},
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
	const noSolver = `Failed to determine a valid solver configuration for the set of domains on the Order: no configured challenge solvers can be used for this challenge: ClusterIssuer ca has no spec.acme.solvers`
	const http01 = `Failed to determine a valid solver configuration for the set of domains on the Order: the solver selected for "example.com", spec.acme.solvers[0] of ClusterIssuer ca, is HTTP-01, which this version of everleaf cannot do yet; configure a dns01 solver with rfc2136 for this name`
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
	unstored := func(o *State) {
		o.Object.Status = acmev1.OrderStatus{}
		o.Server.Finalize, o.Server.Authorizations = "https://acme/f", []string{"a", "b"}
	}
	urls := func(s *acmev1.OrderStatus) {
		s.URL, s.FinalizeURL, s.State = "https://acme/o", "https://acme/f", acmev1.Pending
		s.Authorizations = []acmev1.ACMEAuthorization{{URL: "a"}, {URL: "b"}}
	}
	restarted := func(o *State) { o.Server, o.FetchedAt = nil, time.Time{} }
	are := func(states ...acmev1.State) func(*State) {
		return func(o *State) { o.Challenges = challenges(*o, states...) }
	}
	fail := func(state acmev1.State, reason string, events ...plan.Event) func(*State, *Plan) {
		return func(_ *State, p *Plan) {
			p.Status.State, p.Status.Reason, p.Status.FailureTime, p.Events = state, reason, at(now), events
		}
	}
	do := func(a plan.Action) func(*State, *Plan) { return func(_ *State, p *Plan) { p.Do = a } }
	names := []acme.Identifier{{Type: "dns", Value: "*.example.com"}, {Type: "dns", Value: "example.com"}}
	create := func(_ *State, p *Plan) {
		p.Do = CreateOrder{Request: acme.OrderRequest{Identifiers: names}}
		p.Confirm = []plan.Confirm{orderIs("7")}
	}
	fetch := do(FetchOrder{URL: "https://acme/o"})
	authorize := do(FetchAuthorizations{URLs: []string{"https://acme/a/example.com", "https://acme/a/wild.example.com"}})
	finalize := func(o *State, p *Plan) {
		block, _ := pem.Decode(o.Object.Spec.Request)
		p.Do = Finalize{URL: "https://acme/f", CSR: block.Bytes}
	}
	download := do(Download{URL: "https://acme/c"})
	stores := func(persist plan.Persist, change func(*acmev1.OrderStatus)) func(*State, *Plan) {
		return func(_ *State, p *Plan) {
			p.Persist = persist
			change(&p.Status)
		}
	}
	until := func(d time.Duration) func(*State, *Plan) {
		return func(_ *State, p *Plan) { p.Until = now.Add(d) }
	}
	none := func(*State, *Plan) {}
	waits := func(d time.Duration, reason string) func(*State, *Plan) {
		return func(_ *State, p *Plan) {
			if p.Status.Reason = reason; d > 0 {
				p.Until = now.Add(d)
			}
		}
	}
	const processing = "Waiting for the ACME server to issue the certificate: the order is processing"
	const elsewhere = "The issuer uses another ACME server or account than the one that has the order"
	moved := &acmev1.ACMEIssuer{Server: "https://other/directory", Solvers: acmeIssuer.Spec.ACME.Solvers}
	fetched := func(status string) func(*State) {
		return func(o *State) {
			for i := range o.Object.Status.Authorizations {
				a := &o.Object.Status.Authorizations[i]
				o.Authorizations = append(o.Authorizations, acme.Authorization{URL: a.URL, Identifier: acme.Identifier{Type: "dns", Value: a.Identifier}, Status: status})
				a.Identifier = ""
			}
		}
	}
	solvers := func(s ...acmev1.ACMEChallengeSolver) func(*State) {
		return func(o *State) {
			o.Account = &facts.Account{Issuer: &acmev1.ACMEIssuer{Solvers: s}, Thumbprint: "thumb"}
		}
	}
	state := func(s acmev1.State) func(*State) { return func(o *State) { o.Object.Status.State = s } }
	remove := func(from, to int) func(*State, *Plan) {
		return func(o *State, p *Plan) {
			p.Do, p.Persist = DeleteChallenges{Challenges: o.Challenges[from:to]}, plan.Before
		}
	}
	tests := []struct {
		name  string
		state []func(*State)
		want  func(*State, *Plan)
	}{
		{"new", []func(*State){unmade}, create},
		{"new, issuer not ready", []func(*State){unmade, func(o *State) { o.Account, o.NotReady = nil, `Issuer "x" is not ready: no` }}, waits(0, `Waiting for the issuer: Issuer "x" is not ready: no`)},
		{"new, account not set up yet", []func(*State){unmade, func(o *State) { o.Account = nil }}, until(quiet)},
		{"new, account not set up for long", []func(*State){unmade, func(o *State) { o.Account, o.Loaded = nil, now.Add(-quiet) }}, waits(0, "Waiting for the issuer: its ACME account is not set up yet")},
		{"new, another goes first", []func(*State){unmade, func(o *State) { o.BlockedBy = "app/older" }}, waits(5*time.Minute, "Waiting for Order app/older, which asks the ACME server for the same names")},
		{"new, another goes first, and is stuck", []func(*State){unmade, func(o *State) { o.BlockedBy, o.BlockedUntil = "app/older", now.Add(time.Minute) }}, waits(time.Minute, "Waiting for Order app/older, which asks the ACME server for the same names, until "+now.Add(time.Minute).Format(time.RFC3339))},
		{"new, rate limited", []func(*State){unmade, func(o *State) { o.Account = &facts.Account{NewOrderNotBefore: now.Add(hour)} }}, waits(hour, "Waiting until "+now.Add(hour).Format(time.RFC3339)+": the ACME server limits the new orders of the account")},
		{"new, rate limited, and why", []func(*State){unmade, func(o *State) {
			o.Account = &facts.Account{NewOrderNotBefore: now.Add(hour), NewOrdersLimited: "429 too many"}
		}}, waits(hour, "Waiting until "+now.Add(hour).Format(time.RFC3339)+": the ACME server limits the new orders of the account: 429 too many")},
		{"new, refused for now", []func(*State){unmade, func(o *State) {
			o.Object.Status.Reason, o.NotBefore, o.NotBeforeOf, o.Account.URL = "Failed to create Order: 429", now.Add(hour), "https://acme/1", "https://acme/1"
		}}, until(hour)},
		{"made, to be left alone for now", []func(*State){are(acmev1.Valid, acmev1.Valid), func(o *State) { o.NotBefore = now.Add(hour) }}, waits(hour, "Waiting until "+now.Add(hour).Format(time.RFC3339)+", as the ACME server has asked")},
		{"new, refused for now by another server", []func(*State){unmade, func(o *State) {
			o.NotBefore, o.NotBeforeOf, o.Account.URL = now.Add(hour), "https://acme/1", "https://other/1"
		}}, create},
		{"the issuer has moved to another server", []func(*State){restarted, func(o *State) { o.Account.URL, o.Account.Issuer = "https://other/1", moved }}, fail(acmev1.Expired, elsewhere)},
		{"the issuer has another account", []func(*State){func(o *State) { o.Account.URL, o.Memory.Account = "https://acme/2", "https://acme/1" }}, fail(acmev1.Expired, elsewhere)},
		{"orders are at another host than accounts", []func(*State){are(acmev1.Pending, acmev1.Pending), func(o *State) {
			o.Account.URL, o.Account.Issuer, o.Memory.Account = "https://other/1", moved, "https://other/1"
		}}, until(quiet)},
		{"more authorizations than names", []func(*State){func(o *State) { o.Server.Authorizations = []string{"a", "b", "c"} }}, fail(acmev1.Errored, "The ACME server named 3 authorizations for an order of 2 names")},
		{"an authorization for another name", []func(*State){func(o *State) { o.Object.Status.Authorizations[0].Identifier = "login.victim.example.org" }}, fail(acmev1.Errored, `The ACME server named an authorization for "login.victim.example.org", which the Order does not ask for`)},
		{"an authorization for the wildcard of another name", []func(*State){func(o *State) { o.Object.Status.Authorizations[1].Identifier = "victim.example.org" }}, fail(acmev1.Errored, `The ACME server named an authorization for "*.victim.example.org", which the Order does not ask for`)},
		{"an authorization that keeps the wildcard's prefix", []func(*State){func(o *State) { o.Object.Status.Authorizations[1].Identifier = "*.Example.com." }}, func(o *State, p *Plan) {
			wanted, _ := WantedChallenges(o.Object, o.Account)
			p.Do = CreateChallenges{Specs: wanted}
		}},
		{"authorization deactivated when it is first fetched", []func(*State){fetched(acme.StatusDeactivated)}, fail(acmev1.Expired, `The authorization for "example.com" is deactivated at the ACME server`)},
		{"authorization expired when it is first fetched", []func(*State){fetched(acme.StatusExpired)}, fail(acmev1.Expired, `The authorization for "example.com" is expired at the ACME server`)},
		{"authorization invalid when it is first fetched", []func(*State){fetched(acme.StatusInvalid)}, fail(acmev1.Invalid, `The authorization for "example.com" is invalid at the ACME server`)},
		{"new, limit over", []func(*State){unmade, func(o *State) { o.Account = &facts.Account{NewOrderNotBefore: now} }}, create},
		{"being deleted", []func(*State){unmade, func(o *State) { o.Object.DeletionTimestamp = at(now) }}, none},
		{"made, nothing known", []func(*State){restarted, func(o *State) { o.Object.Status.Authorizations = nil }}, fetch},
		{"made, no finalize URL", []func(*State){restarted, func(o *State) { o.Object.Status.FinalizeURL = "" }}, fetch},
		{"server sends no authorizations", []func(*State){polls(2), func(o *State) { o.Object.Status.Authorizations = nil }}, until(time.Second)},
		{"authorizations unknown", []func(*State){func(o *State) { o.Object.Status.Authorizations[1].Identifier = "" }}, authorize},
		{"no solver", []func(*State){solvers()}, fail(acmev1.Errored, noSolver, plan.Event{Warning: true, Reason: "Solver", Component: "cert-manager-orders", Message: noSolver})},
		{"solver to come", []func(*State){solvers(acmev1.ACMEChallengeSolver{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{}}), noHTTP01}, fail(acmev1.Errored, http01, plan.Event{Warning: true, Reason: "Solver", Component: "cert-manager-orders", Message: http01})},
		{"no challenges yet", nil, func(o *State, p *Plan) {
			wanted, _ := WantedChallenges(o.Object, o.Account)
			p.Do = CreateChallenges{Specs: wanted}
		}},
		{"one challenge missing", []func(*State){are("")}, func(o *State, p *Plan) {
			wanted, _ := WantedChallenges(o.Object, o.Account)
			p.Do = CreateChallenges{Specs: wanted[1:]}
		}},
		{"one name needs none", []func(*State){func(o *State) { o.Object.Status.Authorizations[0].InitialState = acmev1.Valid }, are(acmev1.Valid)}, finalize},
		{"all names need none", []func(*State){func(o *State) {
			o.Object.Status.Authorizations[0].InitialState, o.Object.Status.Authorizations[1].InitialState = acmev1.Valid, acmev1.Valid
		}}, finalize},
		{"challenge of another solver", []func(*State){are("", ""), func(o *State) { o.Challenges[0].Spec.Solver = rfc2136("old") }}, remove(0, 1)},
		{"challenge that leaves is waited for", []func(*State){are("", ""), func(o *State) { o.Challenges[0].DeletionTimestamp = at(now) }}, until(quiet)},
		{"challenges pending", []func(*State){are(acmev1.Valid, acmev1.Pending)}, until(quiet)},
		{"challenges pending, restarted", []func(*State){restarted, are(acmev1.Valid, acmev1.Pending)}, until(quiet)},
		{"challenges pending for long", []func(*State){are(acmev1.Valid, acmev1.Pending), func(o *State) { o.Loaded, o.FetchedAt = now.Add(-quiet), now.Add(-quiet) }}, waits(hour-quiet, `Waiting for the challenges of "*.example.com"`)},
		{"challenges pending for an hour", []func(*State){are("", ""), func(o *State) { o.FetchedAt = now.Add(-hour) }}, fetch},
		{"challenges report what they wait for", []func(*State){are(acmev1.Pending, acmev1.Pending), func(o *State) {
			o.Challenges[0].Status.Reason, o.Challenges[1].Status.Reason = "b", "a"
		}}, func(_ *State, p *Plan) {
			p.Until, p.Status.Reason = now.Add(hour), `"*.example.com": a; "example.com": b`
		}},
		{"challenges are tried again", []func(*State){are(acmev1.Pending, acmev1.Pending), func(o *State) {
			o.Challenges[0].Status.Reason, o.Challenges[1].Status.Reason = "b; the next try is within 30m", "a; the next try is within 30m"
		}}, func(_ *State, p *Plan) {
			p.Until, p.Status.Reason = now.Add(hour), `"*.example.com": a; "example.com": b; the next try is within 30m`
		}},
		{"an old reason goes", []func(*State){are("", ""), func(o *State) { o.Object.Status.Reason = "old" }}, func(_ *State, p *Plan) {
			p.Until, p.Status.Reason = now.Add(quiet), ""
		}},
		{"challenge failed", []func(*State){are(acmev1.Valid, acmev1.Invalid)}, fail(acmev1.Invalid, "invalid because")},
		{"challenge errored", []func(*State){are(acmev1.Errored, "")}, fail(acmev1.Errored, "errored because")},
		{"challenge expired", []func(*State){are(acmev1.Expired, "")}, fail(acmev1.Expired, "An authorization has expired at the ACME server: expired because")},
		{"one expired, one failed", []func(*State){are(acmev1.Invalid, acmev1.Expired)}, fail(acmev1.Invalid, "expired because; invalid because")},
		{"all valid", []func(*State){are(acmev1.Valid, acmev1.Valid)}, finalize},
		{"all valid, restarted", []func(*State){restarted, are(acmev1.Valid, acmev1.Valid)}, fetch},
		{"all valid, server does not know yet", []func(*State){polls(1), are(acmev1.Valid, acmev1.Valid)}, until(500 * time.Millisecond)},
		{"all valid, server asked again", []func(*State){polls(1), are(acmev1.Valid, acmev1.Valid), func(o *State) { o.FetchedAt = now.Add(-time.Second) }}, fetch},
		{"ready", []func(*State){server(acme.StatusReady)}, finalize},
		{"ready, and refused", []func(*State){server(acme.StatusReady, polls(1))}, until(500 * time.Millisecond)},
		{"processing", []func(*State){server(acme.StatusProcessing)}, until(250 * time.Millisecond)},
		{"processing for seconds", []func(*State){server(acme.StatusProcessing, polls(slowPolls-1))}, until(5 * time.Second)},
		{"processing for minutes", []func(*State){server(acme.StatusProcessing, polls(rarePolls-1))}, waits(time.Minute, processing)},
		{"processing for hours", []func(*State){server(acme.StatusProcessing, polls(rarePolls))}, waits(10*time.Minute, processing)},
		{"processing, server says when, in an hour", []func(*State){server(acme.StatusProcessing, func(o *State) { o.Server.RetryAfter = now.Add(hour) })}, waits(hour, processing)},
		{"ready, and refused for long", []func(*State){server(acme.StatusReady, polls(slowPolls))}, waits(time.Minute, "Waiting for the ACME server: the order is ready, and cannot be finalized")},
		{"processing, looked at", []func(*State){server(acme.StatusProcessing, func(o *State) { o.FetchedAt = now.Add(-time.Second) })}, fetch},
		{"processing, server says when", []func(*State){server(acme.StatusProcessing, func(o *State) { o.Server.RetryAfter = now.Add(time.Minute) })}, until(time.Minute)},
		{"processing, server says at once", []func(*State){server(acme.StatusProcessing, func(o *State) { o.Server.RetryAfter = now })}, until(250 * time.Millisecond)},
		{"valid", []func(*State){server(acme.StatusValid, func(o *State) { o.Server.Certificate = "https://acme/c" })}, download},
		{"valid, as another process stored", []func(*State){restarted, state(acmev1.Valid)}, fetch},
		{"ready, as another process stored", []func(*State){restarted, state(acmev1.Ready)}, fetch},
		{"processing, as another process stored", []func(*State){restarted, state(acmev1.Processing)}, fetch},
		{"invalid", []func(*State){are(acmev1.Invalid, ""), server(acme.StatusInvalid)}, fail(acmev1.Invalid, "invalid because")},
		{"invalid, no challenge says why", []func(*State){server(acme.StatusInvalid, func(o *State) {
			o.Server.Error = &acme.Problem{Type: acme.ErrorNamespace + acme.TypeCAA, Detail: "forbidden"}
		})}, fail(acmev1.Invalid, "urn:ietf:params:acme:error:caa: forbidden")},
		{"invalid, nothing says why", []func(*State){server(acme.StatusInvalid)}, fail(acmev1.Invalid, "")},
		{"expired at the server", []func(*State){server(acme.StatusExpired)}, fail(acmev1.Expired, "The order has expired at the ACME server")},
		{"failed: Challenges that continue are removed", []func(*State){state(acmev1.Invalid), are(acmev1.Invalid, acmev1.Pending)}, remove(1, 2)},
		{"failed", []func(*State){state(acmev1.Errored), are(acmev1.Errored)}, none},
		{"done: challenges are removed", []func(*State){state(acmev1.Valid), are(acmev1.Valid, acmev1.Valid), func(o *State) { o.Object.Status.Certificate = []byte("x") }}, remove(0, 2)},
		{"done", []func(*State){state(acmev1.Valid), func(o *State) { o.Object.Status.Certificate = []byte("x") }}, none},
		{"request not to be found", []func(*State){func(o *State) { o.Request = nil }}, until(quiet)},
		{"request not to be found for long", []func(*State){func(o *State) { o.Request, o.Loaded = nil, now.Add(-quiet) }}, waits(0, "The Order is not controlled by a CertificateRequest; nothing is asked of the ACME server for it")},
		{"new, for a duration", []func(*State){unmade, func(o *State) { o.Object.Spec.Duration = &metav1.Duration{Duration: hour} }}, func(_ *State, p *Plan) {
			p.Do = CreateOrder{Request: acme.OrderRequest{Identifiers: names, NotAfter: now.Add(hour)}}
			p.Confirm = []plan.Confirm{orderIs("7")}
		}},
		{"made, and not stored", []func(*State){unstored}, stores(plan.Regardless, urls)},
		{"made, not stored, and the issuer is not ready", []func(*State){unstored, func(o *State) { o.Account = nil }}, stores(plan.Regardless, urls)},
		{"made, not stored, and the request is gone", []func(*State){unstored, func(o *State) { o.Request = nil }}, stores(plan.Regardless, urls)},
		{"made, not stored, and deleted", []func(*State){unstored, func(o *State) { o.Object.DeletionTimestamp = at(now) }}, none},
		{"another process has stored another URL", []func(*State){server(acme.StatusValid, func(o *State) { o.Server.URL = "https://acme/o2" })}, func(o *State, p *Plan) {
			wanted, _ := WantedChallenges(o.Object, o.Account)
			p.Do = CreateChallenges{Specs: wanted}
		}},
		{"server has named what is missing", []func(*State){server(acme.StatusPending, func(o *State) {
			o.Server.Finalize, o.Server.Authorizations = "https://acme/f", []string{"a", "b"}
			o.Object.Status.FinalizeURL, o.Object.Status.Authorizations = "", nil
		})}, stores(plan.Before, urls)},
		{"authorizations fetched", []func(*State){func(o *State) {
			o.Object.Status.Authorizations = []acmev1.ACMEAuthorization{{URL: "a"}}
			o.Authorizations = []acme.Authorization{{URL: "a", Identifier: acme.Identifier{Value: "example.com"}, Status: acme.StatusPending}}
		}}, stores(plan.Before, func(s *acmev1.OrderStatus) {
			s.Authorizations = []acmev1.ACMEAuthorization{{URL: "a", Identifier: "example.com", Wildcard: ptr(false), InitialState: acmev1.Pending}}
		})},
		{"authorizations of another order fetched", []func(*State){func(o *State) {
			o.Object.Status.Authorizations = []acmev1.ACMEAuthorization{{URL: "a"}}
			o.Authorizations = []acme.Authorization{{URL: "b", Identifier: acme.Identifier{Value: "example.com"}}}
		}}, do(FetchAuthorizations{URLs: []string{"a"}})},
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
			samePlan(t, want, o.Next(now))
		})
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
}

func TestOrderRecord(t *testing.T) {
	var m Memory
	for i, want := range []struct {
		status string
		polls  int
	}{{acme.StatusPending, 0}, {acme.StatusPending, 1}, {acme.StatusReady, 0}, {acme.StatusReady, 1}, {acme.StatusReady, 2}} {
		at := now.Add(time.Duration(i) * time.Second)
		m.Record(acme.Order{Status: want.status}, at)
		samePlan(t, Memory{Server: &acme.Order{Status: want.status}, FetchedAt: at, Polls: want.polls}, m)
	}
}

func TestObsolete(t *testing.T) {
	o := ordered()
	for _, test := range []struct {
		name     string
		state    acmev1.State
		states   []acmev1.State
		deleting int
		want     []int
	}{
		{"complete", acmev1.Valid, []acmev1.State{acmev1.Valid, acmev1.Valid}, -1, []int{0, 1}},
		{"complete, one is being deleted", acmev1.Valid, []acmev1.State{acmev1.Valid, acmev1.Valid}, 0, []int{1}},
		{"failed", acmev1.Invalid, []acmev1.State{acmev1.Invalid, acmev1.Pending}, -1, []int{1}},
		{"failed, the evidence stays", acmev1.Invalid, []acmev1.State{acmev1.Invalid, acmev1.Expired}, -1, nil},
	} {
		cs := challenges(o, test.states...)
		if test.deleting >= 0 {
			cs[test.deleting].DeletionTimestamp = at(now)
		}
		var want []*acmev1.Challenge
		for _, i := range test.want {
			want = append(want, cs[i])
		}
		samePlan(t, want, Obsolete(test.state, cs))
	}
}

// orderIs is what must hold of the Order at the API server.
func orderIs(version string) plan.Confirm {
	o := ordered().Object
	return plan.Confirm{
		Ref:     plan.Ref{Kind: "Order", NamespacedName: types.NamespacedName{Namespace: o.Namespace, Name: o.Name}},
		Version: version,
	}
}
