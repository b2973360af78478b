package request

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// TestEveryWaitHasAReason takes states at random: an approved request of an issuer
// of ours that waits says why. What waits for its approval has no condition, as
// the API has it, and what this version cannot serve is left alone; its Certificate
// says so.
func TestEveryWaitHasAReason(t *testing.T) {
	refused := apierrors.NewForbidden(acmev1.Resource("orders"), "o", errors.New("no"))
	chain := newRequest(newCertificate(), key(1), 1, signed(now, now.Add(day))).Status.Certificate
	waits, failures := map[string]int{}, 0
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 7))
		pick := func(options ...func(*State)) func(*State) { return options[random.IntN(len(options))] }
		none := func(*State) {}
		s := State{Object: newRequest(newCertificate(), key(1), 1), Issuer: caIssuer, Key: pki.DigestOf(key(1).Public())}
		order := func(state acmev1.State, reason string, change ...func(*facts.Order)) func(*State) {
			return func(s *State) {
				s.Issuer = acmeIssuer
				o := &facts.Order{Namespace: "app", Name: "o", State: state, Reason: reason}
				for _, f := range change {
					f(o)
				}
				s.Orders = []*facts.Order{o}
			}
		}
		answered := func(o *facts.Order) { o.Answer = facts.AnswerOf(chain, pki.Limits{}) }
		issuer := func(change func(*facts.Issuer)) func(*State) {
			return func(s *State) {
				i := *caIssuer
				change(&i)
				s.Issuer = &i
			}
		}
		for _, f := range []func(*State){
			pick(none, with(approvedCond), with(approvedCond), with(deniedCond), func(s *State) { s.MayApprove = true }, func(s *State) { s.NoPermission = true }),
			pick(none, with(readyCond(cmmeta.ConditionFalse, "Pending", "before")), with(readyCond(cmmeta.ConditionFalse, "Queued", ""))),
			pick(
				none, func(s *State) { s.Issuer = nil }, issuer(func(i *facts.Issuer) { i.Ready = false }), issuer(func(i *facts.Issuer) { i.Ready, i.Message = false, "no CA" }),
				issuer(func(i *facts.Issuer) { i.Supported = false }), issuer(func(i *facts.Issuer) { i.Spec = &cmv1.IssuerSpec{} }),
				func(s *State) { s.Issuer = acmeIssuer }, order("", ""), order(acmev1.Pending, "no such zone"), order(acmev1.Valid, ""), order(acmev1.Valid, "", answered),
				order(acmev1.Expired, ""), order(acmev1.Expired, "", func(o *facts.Order) { o.Replaces = 3 }), order(acmev1.Errored, "no"),
			),
			pick(none, none, func(s *State) { s.SignNotBefore = now.Add(time.Hour) }),
			pick(none, none, func(s *State) { s.Outcome = &Outcome{Chain: chain} }, func(s *State) {
				s.Outcome = &Outcome{Pending: &Pending{Until: now.Add(time.Hour), Message: "later"}}
			}),
		} {
			f(&s)
		}
		var p Plan
		for range 5 {
			if p = s.Next(now); p.Do != nil || equality.Semantic.DeepEqual(p.Status, s.Object.Status) {
				break
			}
			s.Object.Status = p.Status
		}
		ready := condition.Find(p.Status.Conditions, cmv1.CertificateRequestConditionReady)
		approved := condition.True(p.Status.Conditions, cmv1.CertificateRequestConditionApproved)
		if p.Do == nil {
			if !s.Issuer.Unserved() && (approved || condition.True(p.Status.Conditions, cmv1.CertificateRequestConditionDenied)) && (ready == nil || ready.Message == "") {
				t.Fatalf("seed %d: a wait without a reason: %+v until %s", seed, p.Status, p.Until)
			}
			if ready != nil {
				waits[ready.Message]++
			}
			continue
		}
		f := plan.Failure{Action: p.Do, Err: refused}
		if _, signing := p.Do.(Sign); signing {
			f.Err = fault.New(fault.User, "SecretMissing", "no Secret")
		}
		p = s.Failed(f, now)
		if ready := condition.Find(p.Status.Conditions, cmv1.CertificateRequestConditionReady); ready == nil || ready.Message == "" || ready.Message == "before" || p.Until.IsZero() {
			t.Fatalf("seed %d: a failure without a reason: %+v until %s", seed, p.Status, p.Until)
		}
		failures++
	}
	if len(waits) < 12 || failures < 100 {
		t.Errorf("%d failures and too few kinds of waits were met: %v", failures, waits)
	}
}
