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
	backOff := func(p *Plan) { p.Until, p.Hold = now.Add(200*time.Millisecond), true }
	hold := func(d time.Duration) func(*Plan) {
		return func(p *Plan) { p.Until, p.Hold = now.Add(d), true }
	}
	gate := func(d time.Duration) func(*Plan) {
		return func(p *Plan) {
			hold(d)(p)
			p.Do, p.Persist = GateAccount{Until: now.Add(d)}, plan.Before
		}
	}
	suspect := func(p *Plan) { p.Do, p.Persist = SuspectAccount{Began: began}, plan.Before }
	end := func(state acmev1.State, reason string) func(*Plan) {
		return func(p *Plan) { p.Status.State, p.Status.Reason, p.Status.FailureTime = state, reason, at(now) }
	}
	tests := []struct {
		name    string
		action  plan.Action
		refusal lifecycletest.Refusal
		want    func(*Plan)
	}{
		{"rate limit", create, lifecycletest.Refuse(429, acme.TypeRateLimited, "3600"), wait("Failed to create Order: 429 "+problem+"rateLimited: no", gate(hour))},
		{"rate limit of no length", create, lifecycletest.Refuse(429, acme.TypeRateLimited, ""), wait("Failed to create Order: 429 "+problem+"rateLimited: no", gate(10*time.Minute))},
		{"busy", finalize, lifecycletest.Refuse(503, acme.TypeServerInternal, "60"), wait("Failed to finalize Order: 503 "+problem+"serverInternal: no", hold(time.Minute))},
		{"broken", fetch, lifecycletest.Refuse(500, acme.TypeServerInternal, ""), wait("Failed to retrieve Order resource: 500 "+problem+"serverInternal: no", backOff)},
		{"account unknown", create, lifecycletest.Refuse(400, acme.TypeAccountDoesNotExist, ""), wait("Failed to create Order: 400 "+problem+"accountDoesNotExist: no", suspect)},
		{"terms to be agreed to", finalize, lifecycletest.Refuse(403, acme.TypeUserActionRequired, ""), wait("Failed to finalize Order: 403 "+problem+"userActionRequired: no", suspect)},
		{"names refused", create, lifecycletest.Refuse(400, acme.TypeRejectedIdentifier, ""), end(acmev1.Errored, "Failed to create Order: 400 "+problem+"rejectedIdentifier: no")},
		{"caa", finalize, lifecycletest.Refuse(403, acme.TypeCAA, ""), end(acmev1.Errored, "Failed to finalize Order: 403 "+problem+"caa: no")},
		{"bad request", finalize, lifecycletest.Refuse(400, acme.TypeBadCSR, ""), end(acmev1.Errored, "Failed to finalize Order: 400 "+problem+"badCSR: no")},
		{"malformed", create, lifecycletest.Refuse(400, acme.TypeMalformed, ""), end(acmev1.Errored, "Failed to create Order: 400 "+problem+"malformed: no")},
		{"no such directory", create, lifecycletest.Refuse(404, acme.TypeMalformed, ""), end(acmev1.Errored, "Failed to create Order: 404 "+problem+"malformed: no")},
		{"order gone", fetch, lifecycletest.Refuse(404, acme.TypeMalformed, ""), end(acmev1.Expired, "Failed to retrieve Order resource: 404 "+problem+"malformed: no")},
		{"order of another account", fetch, lifecycletest.Refuse(403, acme.TypeUnauthorized, ""), end(acmev1.Expired, "Failed to retrieve Order resource: 403 "+problem+"unauthorized: no")},
		{"authorization gone", FetchAuthorizations{}, lifecycletest.Refuse(404, acme.TypeMalformed, ""), end(acmev1.Expired, "Failed to fetch authorization: 404 "+problem+"malformed: no")},
		{"gone at the end", finalize, lifecycletest.Refuse(404, acme.TypeMalformed, ""), end(acmev1.Expired, "Failed to finalize Order: 404 "+problem+"malformed: no")},
		{"certificate gone", Download{}, lifecycletest.Refuse(410, acme.TypeMalformed, ""), end(acmev1.Expired, "Failed to retrieve signed certificate: 410 "+problem+"malformed: no")},
		{"not ready", finalize, lifecycletest.Refuse(403, acme.TypeOrderNotReady, ""), func(p *Plan) { p.Do = FetchOrder{URL: "https://acme/o"} }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := ordered()
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
	want.Status.Reason = "Failed to retrieve Order resource: cannot reach the ACME server acme: refused"
	samePlan(t, want, failed(ordered(), fetch, acme.Classify(&acme.NetworkError{Host: "acme", Why: "refused"}, now), 2))

	want = Plan{Status: *ordered().Object.Status.DeepCopy()}
	want.Status.State, want.Status.FailureTime = acmev1.Errored, at(now)
	want.Status.Reason = "Failed to retrieve signed certificate: bad"
	samePlan(t, want, failed(ordered(), Download{}, fault.New(fault.Permanent, "X", "bad").Because(errors.New("x")), 0))

	want = Plan{Status: *ordered().Object.Status.DeepCopy(), Until: now.Add(plan.APIServer.Min)}
	samePlan(t, want, failed(ordered(), CreateChallenges{}, errors.New("no answer from the API server"), 0))
}
