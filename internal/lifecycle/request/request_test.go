package request

import (
	"errors"
	"testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

func with(conditions ...cmv1.CertificateRequestCondition) func(*State) {
	return func(r *State) { r.Object.Status.Conditions = append(r.Object.Status.Conditions, conditions...) }
}

func TestRequest(t *testing.T) {
	pending := func(reason, message, component string) func(*Plan) {
		return func(p *Plan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Pending", message))
			p.Events = append(p.Events, plan.Event{Reason: reason, Message: message, Component: component, Verbose: true})
		}
	}
	use := func(i *facts.Issuer) func(*State) { return func(r *State) { r.Issuer = i } }
	unready := *caIssuer
	unready.Ready = false
	ref := func(kind, group string) func(*State) {
		return func(r *State) {
			r.Object.Spec.IssuerRef = cmmeta.IssuerReference{Name: "x", Kind: kind, Group: group}
			r.Issuer = nil
		}
	}
	none := func(*Plan) {}
	sign := func(p *Plan) { p.Step = Sign }
	const fromIssuer = "cert-manager-certificaterequests-issuer"
	tests := []struct {
		name  string
		state []func(*State)
		want  func(*Plan)
	}{
		{"approved and signed at once", []func(*State){func(r *State) { r.MayApprove = true }}, func(p *Plan) {
			p.Step, p.Status.Conditions = Sign, []cmv1.CertificateRequestCondition{approvedCond}
			p.Events = []plan.Event{{Reason: "cert-manager.io", Message: approvedCond.Message, Component: "cert-manager-certificaterequests-approver", Verbose: true}}
		}},
		{"not ours to approve", nil, none},
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
		{"denied, foreign", []func(*State){ref("Thing", "example.com"), with(deniedCond)}, none},
		{"denied and told", []func(*State){with(deniedCond, readyCond(cmmeta.ConditionFalse, "Denied", "x"))}, none},
		{"invalid", []func(*State){with(invalidCond)}, none},
		{"issued", []func(*State){with(approvedCond, readyCond(cmmeta.ConditionTrue, "Issued", "x"))}, none},
		{"failed", []func(*State){with(approvedCond, readyCond(cmmeta.ConditionFalse, "Failed", "x"))}, none},
		{"being deleted", []func(*State){with(approvedCond), func(r *State) { r.Object.DeletionTimestamp = at(now) }}, none},
		{"no issuer", []func(*State){with(approvedCond), ref("", "")}, pending("IssuerNotFound", `Referenced "Issuer" not found: issuer.cert-manager.io "x" not found`, fromIssuer)},
		{"no cluster issuer", []func(*State){with(approvedCond), ref("ClusterIssuer", "cert-manager.io")}, pending("IssuerNotFound", `Referenced "ClusterIssuer" not found: clusterissuer.cert-manager.io "x" not found`, fromIssuer)},
		{"issuer of no type", []func(*State){with(approvedCond), use(issuerOf(cmv1.IssuerConfig{}))}, pending("IssuerTypeMissing", "Missing issuer type: the issuer's spec configures none", fromIssuer)},
		{"issuer of a type to come", []func(*State){with(approvedCond), use(issuerOf(cmv1.IssuerConfig{Vault: &cmv1.VaultIssuer{}}))}, pending("IssuerNotReady", "This version of everleaf cannot sign with issuers of type vault yet", fromIssuer+"-vault")},
		{"issuer not ready", []func(*State){with(approvedCond), use(&unready)}, pending("IssuerNotReady", "Referenced issuer does not have a Ready status condition", fromIssuer+"-ca")},
		{"pending for another reason", []func(*State){with(approvedCond, readyCond(cmmeta.ConditionFalse, "Pending", "old")), use(&unready)}, func(p *Plan) {
			p.Status.Conditions[1].Message = "Referenced issuer does not have a Ready status condition"
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
			samePlan(t, want, Next(r, now))
		})
	}
}

// TestRequestOrder has an approved request for an ACME issuer, and its Order.
func TestRequestOrder(t *testing.T) {
	const from = "cert-manager-certificaterequests-issuer-acme"
	base := newRequest(newCertificate(), key(1), 1)
	base.Status.Conditions = []cmv1.CertificateRequestCondition{approvedCond}
	wanted := mustOrder(order.Build(base, acmeIssuer.Spec.ACME, pki.Limits{}))
	other := newRequest(newCertificate(), key(2), 1, signed(now, now.Add(day)))
	own := newRequest(newCertificate(), key(1), 1, signed(now, now.Add(day))).Status.Certificate
	made := func(state acmev1.State, change ...func(*acmev1.Order)) []*acmev1.Order {
		o := wanted.DeepCopy()
		o.Status.State = state
		for _, f := range change {
			f(o)
		}
		return []*acmev1.Order{o}
	}
	cert := func(chain []byte) func(*acmev1.Order) {
		return func(o *acmev1.Order) { o.Status.Certificate = chain }
	}
	because := func(reason string) func(*acmev1.Order) { return func(o *acmev1.Order) { o.Status.Reason = reason } }
	replaces := func(n string) func(*acmev1.Order) {
		return func(o *acmev1.Order) { o.Annotations[order.ReplacesAnnotation] = n }
	}
	pending := func(message string) func(*Plan) {
		return func(p *Plan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Pending", message))
			p.Events = append(p.Events, plan.Event{Reason: "OrderPending", Message: message, Component: from, Verbose: true})
		}
	}
	failed := func(message string) func(*Plan) {
		return func(p *Plan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Failed", message))
			p.Status.FailureTime = at(now)
			p.Events = append(p.Events, plan.Event{Warning: true, Reason: "OrderFailed", Message: message, Component: from})
		}
	}
	replaced := func(o []*acmev1.Order, n string) func(*Plan) {
		return func(p *Plan) {
			p.Step, p.Gone, p.Order = ReplaceOrder, o[0], made("", replaces(n))[0]
		}
	}
	waitingOn := `Waiting on certificate issuance from order app/` + wanted.Name
	failure := `Failed to wait for order resource "` + wanted.Name + `" to become ready: order is in `
	tests := []struct {
		name   string
		orders []*acmev1.Order
		want   func(*Plan)
	}{
		{"none", nil, func(p *Plan) {
			p.Step, p.Persist, p.Order = CreateOrder, plan.Before, wanted
			pending(waitingOn + `: "pending"`)(p)
		}},
		{"new", made(""), pending(waitingOn + `: "pending"`)},
		{"pending, with a reason", made(acmev1.Pending, because("no such zone")), pending(waitingOn + `: "pending": no such zone`)},
		{"processing", made(acmev1.Processing), pending(waitingOn + `: "processing"`)},
		{"invalid", made(acmev1.Invalid, because("403 x")), failed(failure + `"invalid" state: 403 x`)},
		{"errored", made(acmev1.Errored), failed(failure + `"errored" state: `)},
		{"valid, no certificate", made(acmev1.Valid), pending("Waiting for order-controller to add certificate data to Order app/" + wanted.Name)},
		{"valid", made(acmev1.Valid, cert(own)), func(p *Plan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionTrue, "Issued", "Certificate fetched from issuer successfully"))
			p.Status.Certificate = own
			p.Events = []plan.Event{{Reason: "CertificateIssued", Message: "Certificate fetched from issuer successfully", Component: from, Verbose: true}}
		}},
		{"valid, for another's key", made(acmev1.Valid, cert(other.Status.Certificate)), replaced(made(""), "1")},
		{"valid, of nonsense", made(acmev1.Valid, cert([]byte("x"))), replaced(made(""), "1")},
		{"expired", made(acmev1.Expired), replaced(made(""), "1")},
		{"expired, the third", made(acmev1.Expired, replaces("2")), replaced(made("", replaces("2")), "3")},
		{"expired, the fourth", made(acmev1.Expired, replaces("3"), because("gone")), failed(failure + `"expired" state: gone (replaced 3 times)`)},
		{"expired, count of nonsense", made(acmev1.Expired, replaces("-7")), replaced(made("", replaces("-7")), "1")},
		{"being deleted", made(acmev1.Pending, func(o *acmev1.Order) { o.DeletionTimestamp = at(now) }), replaced(made(""), "1")},
		{"two: the newer counts", append(made(acmev1.Expired, func(o *acmev1.Order) { o.CreationTimestamp = *at(born) }),
			made(acmev1.Processing, func(o *acmev1.Order) { o.CreationTimestamp = *at(now) })...), pending(waitingOn + `: "processing"`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := State{Object: base, Issuer: acmeIssuer, Orders: test.orders}
			want := Plan{Status: *base.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, Next(r, now))
		})
	}
}

func TestRequestSigned(t *testing.T) {
	base := Plan{Step: Sign, Status: cmv1.CertificateRequestStatus{Conditions: []cmv1.CertificateRequestCondition{approvedCond}}}
	const from = "cert-manager-certificaterequests-issuer-ca"
	tests := []struct {
		name    string
		outcome Outcome
		err     error
		want    func(*Plan)
	}{
		{"signed", Outcome{Chain: []byte("c"), CA: []byte("r")}, nil, func(p *Plan) {
			p.Status.Certificate, p.Status.CA = []byte("c"), []byte("r")
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionTrue, "Issued", messageIssued))
			p.Events = []plan.Event{{Reason: "CertificateIssued", Message: messageIssued, Component: from, Verbose: true}}
		}},
		{"signed, with a warning", Outcome{Chain: []byte("c"), Warning: "It outlives.", WarningReason: "Outlives"}, nil, func(p *Plan) {
			p.Status.Certificate = []byte("c")
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionTrue, "Issued", messageIssued+". It outlives."))
			p.Events = []plan.Event{
				{Warning: true, Reason: "Outlives", Message: "It outlives.", Component: from},
				{Reason: "CertificateIssued", Message: messageIssued, Component: from, Verbose: true},
			}
		}},
		{"never", Outcome{}, fault.New(fault.Permanent, "SigningError", "bad"), func(p *Plan) {
			p.Status.FailureTime = at(now)
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Failed", "bad"))
			p.Events = []plan.Event{{Warning: true, Reason: "SigningError", Message: "bad", Component: from}}
		}},
		{"when a user acts", Outcome{}, fault.New(fault.User, "SecretMissing", "none"), func(p *Plan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Pending", "none"))
			p.Events = []plan.Event{{Reason: "SecretMissing", Message: "none", Component: from, Verbose: true}}
		}},
		{"unclassified", Outcome{}, errors.New("hm"), func(p *Plan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Pending", "hm"))
			p.Events = []plan.Event{{Message: "hm", Component: from, Verbose: true}}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := Plan{Status: *base.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, Signed(base, facts.IssuerCA, test.outcome, test.err, now))
		})
	}
}
