package order

import (
	"errors"
	"testing"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/plan"
)

func TestOrderFailed(t *testing.T) {
	const problem = "urn:ietf:params:acme:error:"
	began := now.Add(-time.Second)
	create, fetch, finalize := CreateOrder{}, FetchOrder{}, Finalize{}
	wait := func(reason string, change func(*Plan)) func(*Plan) {
		return func(p *Plan) {
			p.Status.Reason = reason
			change(p)
		}
	}
	const soon = "; the next try is within 5m"
	backOff := func(p *Plan) {
		p.Until, p.Hold = now.Add(200*time.Millisecond), true
		p.Status.Reason += soon
	}
	hold := func(d time.Duration) func(*Plan) {
		return func(p *Plan) { p.Until, p.Hold = now.Add(d), true }
	}
	back := func(d, gate time.Duration, cause string) func(*Plan) {
		return func(p *Plan) {
			hold(d)(p)
			if d > 5*time.Minute {
				p.Status.Reason += "; the next try is at " + now.Add(d).Format(time.RFC3339)
			} else {
				p.Status.Reason += soon
			}
			held := HoldBack{Until: now.Add(d), Cause: cause}
			if gate > 0 {
				held.Gate = now.Add(gate)
			}
			p.Do, p.Persist = held, plan.Before
		}
	}
	suspect := func(cause string) func(*Plan) {
		return func(p *Plan) { p.Do, p.Persist = SuspectAccount{Began: began, Cause: cause}, plan.Before }
	}
	end := func(state acmev1.State, reason string) func(*Plan) {
		return func(p *Plan) { p.Status.State, p.Status.Reason, p.Status.FailureTime = state, reason, at(now) }
	}
	tests := []struct {
		name    string
		action  plan.Action
		refusal lifecycletest.Refusal
		want    func(*Plan)
	}{
		{"rate limit", create, lifecycletest.Refuse(429, acme.TypeRateLimited, "3600"), wait("Failed to create Order: 429 "+problem+"rateLimited: no", back(hour, 5*time.Minute, "429 "+problem+"rateLimited: no"))},
		{"rate limit of no length", create, lifecycletest.Refuse(429, acme.TypeRateLimited, ""), wait("Failed to create Order: 429 "+problem+"rateLimited: no", back(10*time.Minute, 5*time.Minute, "429 "+problem+"rateLimited: no"))},
		{"rate limit of the account, over soon", create, lifecycletest.Refuse(429, acme.TypeRateLimited, "60").Saying("too many new orders"), wait("Failed to create Order: 429 "+problem+"rateLimited: too many new orders", back(time.Minute, time.Minute, "429 "+problem+"rateLimited: too many new orders"))},
		{"rate limit of a domain", create, lifecycletest.Refuse(429, acme.TypeRateLimited, "121000").Saying(`too many certificates already issued for "example.com"`), wait("Failed to create Order: 429 "+problem+`rateLimited: too many certificates already issued for "example.com"`, back(121000*time.Second, 0, "429 "+problem+`rateLimited: too many certificates already issued for "example.com"`))},
		{"rate limit at the end", finalize, lifecycletest.Refuse(429, acme.TypeRateLimited, "60").Saying("example.com: slowly"), wait("Failed to finalize Order: 429 "+problem+"rateLimited: example.com: slowly", back(time.Minute, 0, "429 "+problem+"rateLimited: example.com: slowly"))},
		{"paused", create, lifecycletest.Refuse(429, acme.TypeRateLimited, "").Saying("visit https://ca.test/unpause?jwt=x"), end(acmev1.Errored, "Failed to create Order: 429 "+problem+"rateLimited: visit https://ca.test/unpause?jwt=x")},
		{"no orders for now", create, lifecycletest.Refuse(503, acme.TypeServerInternal, "60"), wait("Failed to create Order: 503 "+problem+"serverInternal: no", back(time.Minute, 0, "503 "+problem+"serverInternal: no"))},
		{"busy", finalize, lifecycletest.Refuse(503, acme.TypeServerInternal, "60"), wait("Failed to finalize Order: 503 "+problem+"serverInternal: no", back(time.Minute, 0, "503 "+problem+"serverInternal: no"))},
		{"broken", fetch, lifecycletest.Refuse(500, acme.TypeServerInternal, ""), wait("Failed to retrieve Order resource: 500 "+problem+"serverInternal: no", backOff)},
		{"account unknown", create, lifecycletest.Refuse(400, acme.TypeAccountDoesNotExist, ""), wait("Failed to create Order: 400 "+problem+"accountDoesNotExist: no", suspect("400 "+problem+"accountDoesNotExist: no"))},
		{"terms to be agreed to", finalize, lifecycletest.Refuse(403, acme.TypeUserActionRequired, ""), wait("Failed to finalize Order: 403 "+problem+"userActionRequired: no", suspect("403 "+problem+"userActionRequired: no"))},
		{"names refused", create, lifecycletest.Refuse(400, acme.TypeRejectedIdentifier, ""), end(acmev1.Errored, "Failed to create Order: 400 "+problem+"rejectedIdentifier: no")},
		{"caa", finalize, lifecycletest.Refuse(403, acme.TypeCAA, ""), end(acmev1.Errored, "Failed to finalize Order: 403 "+problem+"caa: no")},
		{"bad request", finalize, lifecycletest.Refuse(400, acme.TypeBadCSR, ""), end(acmev1.Errored, "Failed to finalize Order: 400 "+problem+"badCSR: no")},
		{"malformed", create, lifecycletest.Refuse(400, acme.TypeMalformed, ""), end(acmev1.Errored, "Failed to create Order: 400 "+problem+"malformed: no")},
		{"no such directory", create, lifecycletest.Refuse(404, acme.TypeMalformed, ""), end(acmev1.Errored, "Failed to create Order: 404 "+problem+"malformed: no")},
		{"order gone", fetch, lifecycletest.Refuse(404, acme.TypeMalformed, ""), end(acmev1.Expired, "Failed to retrieve Order resource: 404 "+problem+"malformed: no")},
		{"order of another account", fetch, lifecycletest.Refuse(403, acme.TypeUnauthorized, ""), end(acmev1.Expired, "Failed to retrieve Order resource: 403 "+problem+"unauthorized: no")},
		{"authorization gone", FetchAuthorizations{}, lifecycletest.Refuse(404, acme.TypeMalformed, ""), end(acmev1.Expired, "Failed to fetch authorization: 404 "+problem+"malformed: no")},
		{"gone at the end", finalize, lifecycletest.Refuse(404, acme.TypeMalformed, ""), end(acmev1.Expired, "Failed to finalize Order: 404 "+problem+"malformed: no")},
		{"certificate missing", Download{}, lifecycletest.Refuse(410, acme.TypeMalformed, ""), wait("Failed to retrieve signed certificate: 410 "+problem+"malformed: no"+soon, hold(plan.Remote.Min))},
		{"not ready", finalize, lifecycletest.Refuse(403, acme.TypeOrderNotReady, ""), func(p *Plan) { p.Do = FetchOrder{URL: "https://acme/o"} }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := ordered()
			o.Gone = goneAnswers
			want := Plan{Status: *o.Object.Status.DeepCopy()}
			test.want(&want)
			err := test.refusal.Asked(t, ask(test.action))
			samePlan(t, want, o.Failed(plan.Failure{Action: test.action, Err: err, Began: began}, now))
		})
	}
	failed := func(o State, action plan.Action, err error, attempts int) Plan {
		return o.Failed(plan.Failure{Action: action, Err: err, Attempts: attempts}, now)
	}
	again := ordered()
	again.Polls = notReadyPatience + 1
	want := Plan{Status: *again.Object.Status.DeepCopy(), Do: FetchOrder{URL: "https://acme/o"}, Persist: plan.Before}
	want.Status.Reason = "Failed to finalize Order: 403 " + problem + "orderNotReady: no"
	samePlan(t, want, failed(again, finalize, lifecycletest.Refuse(403, acme.TypeOrderNotReady, "").Asked(t, ask(finalize)), 0))

	want = Plan{Status: *ordered().Object.Status.DeepCopy(), Until: now.Add(800 * time.Millisecond), Hold: true}
	want.Status.Reason = "Failed to retrieve Order resource: cannot reach the ACME server acme: refused" + soon
	samePlan(t, want, failed(ordered(), fetch, acme.Classify(&acme.NetworkError{Host: "acme", Why: "refused"}, now), 2))

	want = Plan{Status: *ordered().Object.Status.DeepCopy()}
	want.Status.State, want.Status.FailureTime = acmev1.Errored, at(now)
	want.Status.Reason = "Failed to retrieve signed certificate: bad"
	samePlan(t, want, failed(ordered(), Download{}, fault.New(fault.Permanent, "X", "bad").Because(errors.New("x")), 0))

	want = Plan{Status: *ordered().Object.Status.DeepCopy(), Until: now.Add(plan.APIServer.Min)}
	samePlan(t, want, failed(ordered(), CreateChallenges{}, errors.New("no answer from the API server"), 0))
}

// TestRedundantNames: a refusal that may be because of a name that a wildcard covers says
// what can be done about that.
func TestRedundantNames(t *testing.T) {
	const hint = `; "app.x.test" is covered by "*.x.test": if the CA refuses both in one certificate, give them two Secrets, or leave the covered name out ` +
		"(for Ingresses and Gateways, --omit-names-covered-by-wildcards does that)"
	both := []string{"x.test", "*.x.test", "app.x.test", "a.b.x.test"}
	about := func(values ...string) (subs []acme.Problem) {
		for _, value := range values {
			subs = append(subs, acme.Problem{Type: acme.ErrorNamespace + acme.TypeMalformed, Identifier: &acme.Identifier{Type: "dns", Value: value}})
		}
		return subs
	}
	for _, test := range []struct {
		name    string
		names   []string
		action  plan.Action
		problem acme.Problem
		want    string
	}{
		{"malformed", both, CreateOrder{}, acme.Problem{Status: 400, Type: acme.TypeMalformed}, hint},
		{"rejected", both, CreateOrder{}, acme.Problem{Status: 400, Type: acme.TypeRejectedIdentifier}, hint},
		{"about the covered name", both, CreateOrder{}, acme.Problem{Status: 400, Type: acme.TypeMalformed, Subproblems: about("x.test", "App.x.test")}, hint},
		{"about another name", both, CreateOrder{}, acme.Problem{Status: 400, Type: acme.TypeRejectedIdentifier, Subproblems: about("a.b.x.test")}, ""},
		{"not covered", []string{"x.test", "*.x.test", "a.b.x.test", "*.y.test", "x.y.z"}, CreateOrder{}, acme.Problem{Status: 400, Type: acme.TypeMalformed}, ""},
		{"for another reason", both, CreateOrder{}, acme.Problem{Status: 400, Type: acme.TypeUnsupportedIdentifier}, ""},
		{"no such resource", both, CreateOrder{}, acme.Problem{Status: 404, Type: acme.TypeMalformed}, ""},
		{"later", both, Finalize{}, acme.Problem{Status: 400, Type: acme.TypeMalformed}, ""},
	} {
		o := ordered()
		o.Object.Spec.DNSNames = test.names
		test.problem.Type, test.problem.Detail = acme.ErrorNamespace+test.problem.Type, "no"
		err := acme.Classify(&test.problem, now)
		p := o.Failed(plan.Failure{Action: test.action, Err: err}, now)
		samePlan(t, reasonPrefix(test.action)+err.Message+test.want, p.Status.Reason)
		if p.Status.State != acmev1.Errored {
			t.Errorf("%s: the state is %q", test.name, p.Status.State)
		}
	}
}

// TestGoneIsCheckedAgain holds that one answer that something does not exist ends
// no order, and the second does.
func TestGoneIsCheckedAgain(t *testing.T) {
	err := lifecycletest.Refuse(404, acme.TypeMalformed, "").Asked(t, ask(FetchAuthorizations{}))
	o := ordered()
	o.Memory.Failed(FetchAuthorizations{}, err, now)
	want := Plan{Status: *o.Object.Status.DeepCopy(), Until: now.Add(goneRecheck), Hold: true}
	want.Status.Reason = "Failed to fetch authorization: 404 urn:ietf:params:acme:error:malformed: no"
	samePlan(t, want, o.Failed(plan.Failure{Action: FetchAuthorizations{}, Err: err}, now))

	samePlan(t, Plan{Status: *o.Object.Status.DeepCopy(), Do: FetchOrder{URL: "https://acme/o"}}, o.Next(now))
	o.Record(*o.Server, now)
	if _, fetches := o.Next(now).Do.(FetchOrder); fetches {
		t.Error("the order is fetched once more although it is there")
	}
	o.Memory.Failed(FetchAuthorizations{}, err, now)
	if p := o.Failed(plan.Failure{Action: FetchAuthorizations{}, Err: err}, now); p.Status.State != acmev1.Expired {
		t.Errorf("after the second answer the state is %q", p.Status.State)
	}
	fresh := ordered()
	for range 5 {
		fresh.Memory.Failed(FetchOrder{}, acme.Classify(&acme.NetworkError{}, now), now)
	}
	if fresh.Gone != 0 || fresh.Recheck || fresh.Downloads != 0 {
		t.Errorf("other failures count: %+v", *fresh.Memory)
	}
}

// TestMissingCertificate holds that a certificate that cannot be had is waited for,
// with the default chain if it is an alternate, and that the order is given up
// only after an hour.
func TestMissingCertificate(t *testing.T) {
	err := lifecycletest.Refuse(404, acme.TypeMalformed, "").Asked(t, ask(Download{}))
	o := ordered()
	o.Account.Issuer = o.Account.Issuer.DeepCopy()
	o.Account.Issuer.PreferredChain = "Some Root"
	o.Record(acme.Order{URL: "https://acme/o", Status: acme.StatusValid, Certificate: "https://acme/c"}, now)
	at := now
	for n := 1; ; n++ {
		want := Download{URL: "https://acme/c", PreferredChain: "Some Root"}
		if n > recheckDownloads {
			samePlan(t, Plan{Status: *o.Object.Status.DeepCopy(), Do: FetchOrder{URL: "https://acme/o"}}, o.Next(at))
			o.Record(*o.Server, at)
			want.PreferredChain = ""
		}
		samePlan(t, Plan{Status: *o.Object.Status.DeepCopy(), Do: want}, o.Next(at))
		o.Memory.Failed(want, err, at)
		p := o.Failed(plan.Failure{Action: want, Err: err}, at)
		reason := "Failed to retrieve signed certificate: 404 urn:ietf:params:acme:error:malformed: no"
		if p.Status.State != acmev1.Errored {
			reason += "; the next try is within 5m"
		}
		if p.Status.Reason != reason {
			t.Fatalf("reason %q", p.Status.Reason)
		}
		if p.Status.State == acmev1.Errored {
			break
		}
		if p.Status.State != acmev1.Pending || !p.Hold || p.Do != nil || p.Until.Sub(at) > 5*time.Minute || p.Until.Sub(at) < 200*time.Millisecond {
			t.Fatalf("after %s: %+v", at.Sub(now), p)
		}
		at = p.Until
	}
	if lasted := at.Sub(now); lasted < missingPatience || lasted > missingPatience+10*time.Minute {
		t.Errorf("given up after %s", lasted)
	}
}
