package request

import (
	"bytes"
	"errors"
	"maps"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

func with(conditions ...cmv1.CertificateRequestCondition) func(*State) {
	return func(r *State) { r.Object.Status.Conditions = append(r.Object.Status.Conditions, conditions...) }
}

func TestRequest(t *testing.T) {
	const fromIssuer = "cert-manager-certificaterequests-issuer"
	pending := func(reason, message, component string) func(*Plan) {
		return func(p *Plan) {
			if reason != "IssuerNotFound" {
				p.Manager = component
			}
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Pending", message))
			p.Events = append(p.Events, plan.Event{Reason: reason, Message: message, Component: component, Verbose: true})
		}
	}
	use := func(i *facts.Issuer) func(*State) { return func(r *State) { r.Issuer = i } }
	unready := *caIssuer
	unready.Ready = false
	toCome := facts.Issuer{Spec: &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{Vault: &cmv1.VaultIssuer{}}}, Ready: true}
	elsewhere := toCome
	elsewhere.Left = true
	ref := func(kind, group string) func(*State) {
		return func(r *State) {
			r.Object.Spec.IssuerRef = cmmeta.IssuerReference{Name: "x", Kind: kind, Group: group}
			r.Issuer = nil
		}
	}
	none := func(*Plan) {}
	laterAsk := func(p *Plan) { p.Until = now.Add(5 * time.Minute) }
	sign := func(p *Plan) { p.Do = Sign{} }
	tests := []struct {
		name  string
		state []func(*State)
		want  func(*Plan)
	}{
		{"approved and signed at once", []func(*State){func(r *State) { r.MayApprove = true }}, func(p *Plan) {
			// The plan after the action stores the approval and announces it.
			p.Do, p.Status.Conditions = Sign{}, []cmv1.CertificateRequestCondition{approvedCond}
		}},
		{"not ours to approve", nil, none},
		{"ours to approve, without the permission", []func(*State){func(r *State) { r.NoPermission = true }}, laterAsk},
		{"not approved, and not announced", []func(*State){func(r *State) { r.Unannounced = true }}, func(p *Plan) {
			p.Do = AnnounceWait{}
			p.Events = []plan.Event{{Reason: "WaitingForApproval", Message: "Not signing CertificateRequest until it is Approved", Component: fromIssuer + "-ca", Verbose: true}}
		}},
		{"not approved, foreign", []func(*State){ref("Thing", "example.com"), func(r *State) { r.Unannounced = true }}, none},
		{"denied, not announced", []func(*State){with(deniedCond, readyCond(cmmeta.ConditionFalse, "Denied", "x")), func(r *State) { r.Unannounced = true }}, none},
		{"approved by another", []func(*State){with(approvedCond)}, sign},
		{"foreign, approved by us", []func(*State){ref("Thing", "example.com"), func(r *State) { r.MayApprove = true }}, func(p *Plan) {
			p.Status.Conditions = []cmv1.CertificateRequestCondition{approvedCond}
			p.Events = []plan.Event{{Reason: "cert-manager.io", Message: approvedCond.Message, Component: "cert-manager-certificaterequests-approver", Verbose: true}}
		}},
		{"foreign", []func(*State){ref("Thing", "example.com"), with(approvedCond)}, none},
		{"foreign kind in our group", []func(*State){ref("Thing", ""), with(approvedCond)}, none},
		{"denied", []func(*State){with(deniedCond), func(r *State) { r.MayApprove = true }}, func(p *Plan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Denied", "The CertificateRequest was denied by an approval controller"))
			p.Status.FailureTime = at(now)
		}},
		{"denied after the approval", []func(*State){with(approvedCond, deniedCond)}, func(p *Plan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Denied", "The CertificateRequest was denied by an approval controller"))
			p.Status.FailureTime, p.Manager = at(now), fromIssuer+"-ca"
		}},
		{"denied, with a certificate that is not stored yet", []func(*State){with(deniedCond), func(r *State) { r.Outcome = &Outcome{Chain: []byte("c")} }}, func(p *Plan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Denied", "The CertificateRequest was denied by an approval controller"))
			p.Status.FailureTime = at(now)
		}},
		{"denied, foreign", []func(*State){ref("Thing", "example.com"), with(deniedCond)}, none},
		{"denied and reported", []func(*State){with(deniedCond, readyCond(cmmeta.ConditionFalse, "Denied", "x"))}, none},
		{"invalid", []func(*State){with(invalidCond)}, none},
		{"issued", []func(*State){with(approvedCond, readyCond(cmmeta.ConditionTrue, "Issued", "x"))}, none},
		{"failed", []func(*State){with(approvedCond, readyCond(cmmeta.ConditionFalse, "Failed", "x"))}, none},
		{"being deleted", []func(*State){with(approvedCond), func(r *State) { r.Object.DeletionTimestamp = at(now) }}, none},
		{"no issuer", []func(*State){with(approvedCond), ref("", "")}, pending("IssuerNotFound", `Referenced "Issuer" not found: issuer.cert-manager.io "x" not found`, fromIssuer)},
		{
			"no issuer, but a cluster issuer",
			[]func(*State){with(approvedCond), ref("", ""), func(s *State) { s.OtherKind = "ClusterIssuer" }},
			pending("IssuerNotFound", `Referenced "Issuer" not found: issuer.cert-manager.io "x" not found; but there is a ClusterIssuer "x": to use it, set issuerRef.kind to ClusterIssuer`, fromIssuer),
		},
		{"no cluster issuer", []func(*State){with(approvedCond), ref("ClusterIssuer", "cert-manager.io")}, pending("IssuerNotFound", `Referenced "ClusterIssuer" not found: clusterissuer.cert-manager.io "x" not found`, fromIssuer)},
		{"issuer of no type", []func(*State){with(approvedCond), use(issuerOf(cmv1.IssuerConfig{}))}, pending("IssuerTypeMissing", "Missing issuer type: the issuer's spec configures none", fromIssuer)},
		{"issuer of a type to come", []func(*State){use(&toCome), func(r *State) { r.MayApprove = true }}, none},
		{"issuer of a type to come, not announced", []func(*State){use(&toCome), func(r *State) { r.MayApprove, r.Unannounced = true, true }}, func(p *Plan) {
			p.Do = AnnounceWait{}
			p.Events = []plan.Event{{Warning: true, Reason: "IssuerNotReady", Message: `This version of everleaf has no issuers of type "vault": the request is left alone`, Component: fromIssuer + "-vault"}}
		}},
		{"issuer of a type to come, approved", []func(*State){with(approvedCond), use(&toCome)}, none},
		{"issuer of a type to come, pending", []func(*State){with(approvedCond, readyCond(cmmeta.ConditionFalse, "Pending", "Vault is sealed")), use(&toCome)}, none},
		{"issuer of a type to come, denied", []func(*State){with(deniedCond), use(&toCome)}, none},
		{"issuer of a type to come that another process has", []func(*State){use(&elsewhere), func(r *State) { r.MayApprove = true }}, func(p *Plan) {
			p.Status.Conditions = []cmv1.CertificateRequestCondition{approvedCond}
			p.Events = []plan.Event{{Reason: "cert-manager.io", Message: approvedCond.Message, Component: "cert-manager-certificaterequests-approver", Verbose: true}}
		}},
		{"issuer not ready", []func(*State){with(approvedCond), use(&unready)}, pending("IssuerNotReady", "Referenced issuer does not have a Ready status condition", fromIssuer+"-ca")},
		{"pending for another reason", []func(*State){with(approvedCond, readyCond(cmmeta.ConditionFalse, "Pending", "old")), use(&unready)}, func(p *Plan) {
			p.Status.Conditions[1].Message = "Referenced issuer does not have a Ready status condition"
			p.Manager = fromIssuer + "-ca"
		}},
		{"condition of another type", []func(*State){with(requestCond("example.com/Seen", cmmeta.ConditionTrue, "x", "x"), approvedCond), use(&unready)}, pending("IssuerNotReady", "Referenced issuer does not have a Ready status condition", fromIssuer+"-ca")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := State{Object: newRequest(newCertificate(), key(1), 1), Issuer: caIssuer}
			for _, f := range test.state {
				f(&r)
			}
			want := Plan{Status: *r.Object.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, r.Next(now))
		})
	}
}

// TestRequestOrder has an approved request for an ACME issuer, and its Order.
func TestRequestOrder(t *testing.T) {
	const from = "cert-manager-certificaterequests-issuer-acme"
	base := newRequest(newCertificate(), key(1), 1)
	base.ResourceVersion, base.Status.Conditions = "7", []cmv1.CertificateRequestCondition{approvedCond}
	wanted := mustOrder(order.Build(base, acmeIssuer.Spec.ACME, pki.Limits{}))
	other := newRequest(newCertificate(), key(2), 1, signed(now, now.Add(day)))
	own := newRequest(newCertificate(), key(1), 1, signed(now, now.Add(day))).Status.Certificate
	made := func(state acmev1.State, change ...func(*acmev1.Order)) []*facts.Order {
		o := wanted.DeepCopy()
		o.Status.State = state
		for _, f := range change {
			f(o)
		}
		return []*facts.Order{facts.OfOrder(o, pki.Limits{})}
	}
	cert := func(chain []byte) func(*acmev1.Order) {
		return func(o *acmev1.Order) { o.Status.Certificate = chain }
	}
	because := func(reason string) func(*acmev1.Order) { return func(o *acmev1.Order) { o.Status.Reason = reason } }
	replaces := func(n string) func(*acmev1.Order) {
		return func(o *acmev1.Order) { o.Annotations[facts.OrderReplacesAnnotation] = n }
	}
	confirmed := []plan.Confirm{{
		Ref:     plan.Ref{Kind: "CertificateRequest", NamespacedName: types.NamespacedName{Namespace: base.Namespace, Name: base.Name}},
		Version: "7",
	}}
	pending := func(message string) func(*Plan) {
		return func(p *Plan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Pending", message))
			p.Events = append(p.Events, plan.Event{Reason: "OrderPending", Message: message, Component: from, Verbose: true})
			p.Manager = from
		}
	}
	failed := func(message string) func(*Plan) {
		return func(p *Plan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Failed", message))
			p.Status.FailureTime = at(now)
			p.Events = append(p.Events, plan.Event{Warning: true, Reason: "OrderFailed", Message: message, Component: from})
			p.Manager = from
		}
	}
	replaced := func(o []*facts.Order, n int) func(*Plan) {
		return func(p *Plan) {
			p.Do, p.Confirm = ReplaceOrder{Order: order.Replacement(wanted, n), Gone: o[0]}, confirmed
		}
	}
	deleting := func(o *acmev1.Order) { o.DeletionTimestamp = at(now) }
	waitingOn := `Waiting on certificate issuance from order app/` + wanted.Name
	failure := `Failed to wait for order resource "` + wanted.Name + `" to become ready: order is in `
	tests := []struct {
		name   string
		orders []*facts.Order
		want   func(*Plan)
	}{
		{"none", nil, func(p *Plan) {
			p.Do, p.Persist, p.Confirm = CreateOrder{Order: wanted}, plan.Before, confirmed
			pending(waitingOn + `: "pending"`)(p)
		}},
		{"new", made(""), pending(waitingOn + `: "pending"`)},
		{"pending, with a reason", made(acmev1.Pending, because("no such zone")), pending(waitingOn + `: "pending": no such zone`)},
		{"processing", made(acmev1.Processing), pending(waitingOn + `: "processing"`)},
		{"invalid", made(acmev1.Invalid, because("403 x")), failed(failure + `"invalid" state: 403 x`)},
		{"errored", made(acmev1.Errored), failed(failure + `"errored" state: `)},
		{"valid, no certificate", made(acmev1.Valid), pending("Waiting for order-controller to add certificate data to Order app/" + wanted.Name)},
		{"valid", made(acmev1.Valid, cert(own)), func(p *Plan) { p.Do = TakeCertificate{Order: made(acmev1.Valid, cert(own))[0]} }},
		{"valid, for another's key", made(acmev1.Valid, cert(other.Status.Certificate)), replaced(made(acmev1.Valid, cert(other.Status.Certificate)), 1)},
		{"valid, of nonsense", made(acmev1.Valid, cert([]byte("x"))), replaced(made(acmev1.Valid, cert([]byte("x"))), 1)},
		{"expired", made(acmev1.Expired), replaced(made(acmev1.Expired), 1)},
		{"expired, the third", made(acmev1.Expired, replaces("2")), replaced(made(acmev1.Expired, replaces("2")), 3)},
		{"expired, the fourth", made(acmev1.Expired, replaces("3"), because("gone")), failed(failure + `"expired" state: gone (replaced 3 times)`)},
		{"expired, count of nonsense", made(acmev1.Expired, replaces("-7")), replaced(made(acmev1.Expired), 1)},
		{"being deleted", made(acmev1.Pending, deleting), replaced(made(acmev1.Pending, deleting), 1)},
		{"two: the newer counts", append(made(acmev1.Expired, func(o *acmev1.Order) { o.CreationTimestamp = *at(born) }),
			made(acmev1.Processing, func(o *acmev1.Order) { o.CreationTimestamp = *at(now) })...), pending(waitingOn + `: "processing"`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := State{Object: base, Key: pki.DigestOf(key(1).Public()), Issuer: acmeIssuer, Orders: test.orders}
			want := Plan{Status: *base.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, r.Next(now))
		})
	}
}

// TestOrderWithLongChain holds that a chain is bounded by the limit of chains,
// not by that of one certificate.
func TestOrderWithLongChain(t *testing.T) {
	object := newRequest(newCertificate(), key(1), 1, signed(now, now.Add(day)))
	leaf := object.Status.Certificate
	chain := append(bytes.Clone(leaf), pki.EncodeChain(lifecycletest.Authority(), lifecycletest.Authority())...)
	object.Status = cmv1.CertificateRequestStatus{Conditions: []cmv1.CertificateRequestCondition{approvedCond}}
	made := mustOrder(order.Build(object, acmeIssuer.Spec.ACME, pki.Limits{}))
	made.Status = acmev1.OrderStatus{State: acmev1.Valid, Certificate: chain}
	for _, test := range []struct {
		name string
		max  int
		want string
	}{
		{"within the limit", len(chain), "take the certificate from the Order"},
		{"beyond the limit", len(chain) - 1, "replace the Order"},
	} {
		t.Run(test.name, func(t *testing.T) {
			limits := pki.Limits{MaxCertificateSize: len(leaf) + 1, MaxChainLength: test.max}
			state := State{
				Object: object, Key: pki.DigestOf(key(1).Public()), Issuer: acmeIssuer, Limits: limits,
				Orders: []*facts.Order{facts.OfOrder(made, limits)},
			}
			if got := state.Next(now).Do; got == nil || got.String() != test.want {
				t.Errorf("action %v, want %q", got, test.want)
			}
		})
	}
}

// TestRequestAnswered has a request that is approved in the same plan, and what
// its issuer has answered.
func TestRequestAnswered(t *testing.T) {
	const (
		ca   = "cert-manager-certificaterequests-issuer-ca"
		acme = "cert-manager-certificaterequests-issuer-acme"
	)
	approvalEvent := plan.Event{Reason: "cert-manager.io", Message: approvedCond.Message, Component: "cert-manager-certificaterequests-approver", Verbose: true}
	chain := newRequest(newCertificate(), key(1), 1, signed(now, now.Add(day))).Status.Certificate
	valid := &facts.Order{State: acmev1.Valid, Answer: facts.AnswerOf(chain, pki.Limits{})}
	later := Pending{Until: now.Add(time.Hour), Annotations: map[string]string{"example.com/pickup": "7"}, Message: "The CA asks a person."}
	kept := func(s *State) { s.Object.Annotations["example.com/pickup"] = "7" }
	issued := func(from, message string, events ...plan.Event) func(*Plan) {
		return func(p *Plan) {
			p.Status.Certificate, p.Manager = []byte("c"), from
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionTrue, "Issued", message))
			p.Events = append(p.Events, events...)
			p.Events = append(p.Events, plan.Event{Reason: "CertificateIssued", Message: messageIssued, Component: from, Verbose: true})
		}
	}
	tests := []struct {
		name    string
		outcome Outcome
		state   func(*State)
		want    func(*Plan)
	}{
		{"signed", Outcome{Chain: []byte("c"), CA: []byte("r")}, nil, func(p *Plan) {
			issued(ca, messageIssued)(p)
			p.Status.CA = []byte("r")
		}},
		{
			"signed, with a warning",
			Outcome{Chain: []byte("c"), Warning: "It outlives.", WarningReason: "Outlives"},
			nil,
			issued(ca, messageIssued, plan.Event{Warning: true, Reason: "Outlives", Message: "It outlives.", Component: ca}),
		},
		{"taken from an Order", Outcome{Chain: []byte("c")}, func(s *State) {
			s.Issuer, s.Key, s.Orders = acmeIssuer, pki.DigestOf(key(1).Public()), []*facts.Order{valid}
		}, issued(acme, messageIssued)},
		{"pending, state not kept yet", Outcome{Pending: &later}, nil, func(p *Plan) {
			p.Do, p.Events = KeepState{Annotations: later.Annotations}, nil
		}},
		{"pending, other state kept", Outcome{Pending: &later}, func(s *State) { s.Object.Annotations["example.com/pickup"] = "6" }, func(p *Plan) {
			p.Do, p.Events = KeepState{Annotations: later.Annotations}, nil
		}},
		{"pending", Outcome{Pending: &later}, kept, func(p *Plan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Pending", "The CA asks a person."))
			p.Events = append(p.Events, plan.Event{Reason: "IssuancePending", Message: "The CA asks a person.", Component: ca, Verbose: true})
			p.Until, p.Manager = later.Until, ""
		}},
		{"pending, time is up", Outcome{Pending: &Pending{Until: now, Annotations: later.Annotations}}, kept, func(p *Plan) {
			p.Do, p.Events = Sign{}, nil
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := State{Object: newRequest(newCertificate(), key(1), 1), Issuer: caIssuer, MayApprove: true, Outcome: &test.outcome}
			if test.state != nil {
				test.state(&s)
			}
			want := Plan{Events: []plan.Event{approvalEvent}}
			want.Status.Conditions = []cmv1.CertificateRequestCondition{approvedCond}
			test.want(&want)
			samePlan(t, want, s.Next(now))
		})
	}
}

// What the signer of an issuer's type does is left to another process, if
// --controllers says so; the approval is not.
func TestRequestOfAnotherSigner(t *testing.T) {
	left := *caIssuer
	left.Left = true
	s := State{Object: newRequest(newCertificate(), key(1), 1), Issuer: &left, MayApprove: true}
	want := Plan{Status: s.Object.Status}
	want.Status.Conditions = []cmv1.CertificateRequestCondition{approvedCond}
	want.Events = []plan.Event{{Reason: "cert-manager.io", Message: messageApproved, Component: Manager, Verbose: true}}
	samePlan(t, want, s.Next(now))
	with(approvedCond)(&s)
	samePlan(t, Plan{Status: s.Object.Status}, s.Next(now))
	with(deniedCond)(&s)
	samePlan(t, Plan{Status: s.Object.Status}, s.Next(now))
}

// What a Certificate Manager is asked becomes an order there, so the API server is asked
// first whether the request is still as the cache has it.
func TestRequestOfAnOrderingSigner(t *testing.T) {
	ordering := *caIssuer
	ordering.Orders = true
	s := State{Object: newRequest(newCertificate(), key(1), 1), Issuer: &ordering, MayApprove: true}
	with(approvedCond)(&s)
	samePlan(t, Plan{
		Status: s.Object.Status, Do: Sign{},
		Confirm: []plan.Confirm{plan.AsSeen("CertificateRequest", s.Object)},
	}, s.Next(now))
}

// TestRequestThatWaitsForItsOrder holds that a request is confirmed as long as it names no order.
func TestRequestThatWaitsForItsOrder(t *testing.T) {
	ordering := *caIssuer
	ordering.Orders = true
	for name, test := range map[string]struct {
		annotations map[string]string
		confirmed   int
	}{
		"not ordered yet": {nil, 1},
		"ordered":         {map[string]string{"id": "1"}, 0},
	} {
		s := State{Object: newRequest(newCertificate(), key(1), 1), Issuer: &ordering, Outcome: &Outcome{Pending: &Pending{Until: now, Annotations: test.annotations}}}
		maps.Copy(s.Object.Annotations, test.annotations)
		with(approvedCond)(&s)
		if p := s.Next(now); p.Do != plan.Action(Sign{}) || len(p.Confirm) != test.confirmed {
			t.Errorf("%s: does %v and confirms %v", name, p.Do, p.Confirm)
		}
	}
}

func TestRequestLeftAlone(t *testing.T) {
	s := State{Object: newRequest(newCertificate(), key(1), 1), Issuer: caIssuer, SignNotBefore: now.Add(time.Hour)}
	with(approvedCond, readyCond(cmmeta.ConditionFalse, "Pending", "busy"))(&s)
	samePlan(t, Plan{Status: s.Object.Status, Until: now.Add(time.Hour)}, s.Next(now))
	samePlan(t, Plan{Status: s.Object.Status, Do: Sign{}}, s.Next(now.Add(time.Hour)))
	with(deniedCond)(&s)
	if p := s.Next(now); p.Status.FailureTime == nil {
		t.Error("a denial waits for the issuer")
	}
}

func TestRequestFailed(t *testing.T) {
	const from = "cert-manager-certificaterequests-issuer-ca"
	held := func(p *Plan) { p.Hold = true }
	pending := func(reason, message string, until time.Time, more ...func(*Plan)) func(*Plan) {
		return func(p *Plan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Pending", message))
			p.Events = []plan.Event{{Reason: reason, Message: message, Component: from, Verbose: true}}
			p.Until = until
			for _, f := range more {
				f(p)
			}
		}
	}
	retry := func(wait time.Duration) func(*Plan) {
		return func(p *Plan) { p.Manager, p.Until = "", now.Add(wait) }
	}
	told := func(message string, wait time.Duration) func(*Plan) {
		return func(p *Plan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Pending", message))
			p.Events = []plan.Event{{Warning: true, Reason: "WriteFailed", Message: message, Component: from}}
			p.Until = now.Add(wait)
		}
	}
	creating := CreateOrder{Order: &acmev1.Order{ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "o"}}}
	taking := TakeCertificate{Order: &facts.Order{Namespace: "app", Name: "o"}}
	refused := apierrors.NewForbidden(acmev1.Resource("orders"), "o", errors.New("exceeded quota: small, used: 5"))
	tests := []struct {
		name     string
		action   plan.Action
		err      error
		attempts int
		want     func(*Plan)
	}{
		{"never", Sign{}, fault.New(fault.Permanent, "SigningError", "bad"), 0, func(p *Plan) {
			p.Status.FailureTime = at(now)
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Failed", "bad"))
			p.Events = []plan.Event{{Warning: true, Reason: "SigningError", Message: "bad", Component: from}}
		}},
		{"when a user acts", Sign{}, fault.New(fault.User, "SecretMissing", "none"), 3, pending("SecretMissing", "none", now.Add(fault.UserRetry))},
		{"later", Sign{}, fault.Until(now.Add(day), "Busy", "busy"), 3, pending("Busy", "busy; the next try is at 2026-11-23T06:00:00Z", now.Add(day))},
		{"for now", Sign{}, fault.New(fault.Transient, "Down", "down"), 2, pending("Down", "down; the next try is within 5m", now.Add(800*time.Millisecond), held)},
		{"unclassified", Sign{}, errors.New("hm"), 0, pending("", "hm; the next try is within 5m", now.Add(200*time.Millisecond), held)},
		{"the API server", KeepState{}, errors.New("hm"), 1, retry(400 * time.Millisecond)},
		{"for now, and not the signer", taking, fault.New(fault.Transient, "Down", "down"), 1, told(`the certificate in Order "app/o" cannot be read: down; the next try is within 30s`, 400*time.Millisecond)},
		{"later, and not the signer", creating, fault.Until(now.Add(day), "Busy", "busy"), 1, told(`Order "app/o" cannot be created: busy; the next try is at 2026-11-23T06:00:00Z`, day)},
		{"never, and not the signer", creating, fault.New(fault.Permanent, "X", "bad"), 1, told(`Order "app/o" cannot be created: bad; the next try is within 6h`, fault.UserRetry)},
		{"the API server, for long", KeepState{}, errors.New("hm"), 4, told(`everleaf cannot keep the issuer's state in the annotations: hm; the next try is within 30s`, 3200*time.Millisecond)},
		{"the API server refuses", creating, refused, 0, told(
			`Order "app/o" cannot be created: exceeded quota: small, used: 5; raise the quota, or delete objects that are not needed; the next try is within 30s`, 200*time.Millisecond)},
		{"the API server refuses another", ReplaceOrder{Gone: &facts.Order{Namespace: "app", Name: "o"}}, refused, 0, told(
			`Order "app/o" cannot be replaced: exceeded quota: small, used: 5; raise the quota, or delete objects that are not needed; the next try is within 30s`, 200*time.Millisecond)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := State{Object: newRequest(newCertificate(), key(1), 1), Issuer: caIssuer}
			with(approvedCond)(&s)
			want := Plan{Status: *s.Object.Status.DeepCopy(), Manager: from}
			test.want(&want)
			samePlan(t, want, s.Failed(plan.Failure{Action: test.action, Err: test.err, Attempts: test.attempts}, now))
		})
	}
}

// TestRefusedOrder holds that why an Order cannot be created stays in the status
// while its creation is tried again, and goes once it is there.
func TestRefusedOrder(t *testing.T) {
	base := newRequest(newCertificate(), key(1), 1)
	base.ResourceVersion, base.Status.Conditions = "7", []cmv1.CertificateRequestCondition{approvedCond}
	s := State{Object: base, Key: pki.DigestOf(key(1).Public()), Issuer: acmeIssuer}
	create := s.Next(now)
	base.Status = create.Status
	refused := apierrors.NewForbidden(acmev1.Resource("orders"), "o", errors.New("exceeded quota: small"))
	failed := s.Failed(plan.Failure{Action: create.Do, Err: refused}, now)
	base.Status = failed.Status
	again := s.Next(now)
	samePlan(t, failed.Status, again.Status)
	samePlan(t, create.Do, again.Do)
	made := create.Do.(CreateOrder).Order.DeepCopy()
	s.Orders = []*facts.Order{facts.OfOrder(made, pki.Limits{})}
	samePlan(t, create.Status, s.Next(now).Status)
}
