package lifecycle

import (
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
)

func issuerOf(config cmv1.IssuerConfig) *Issuer {
	return &Issuer{Spec: &cmv1.IssuerSpec{IssuerConfig: config}, Ready: true}
}

var (
	caIssuer   = issuerOf(cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "ca"}})
	acmeIssuer = issuerOf(cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{Server: "https://acme.example", Solvers: []acmev1.ACMEChallengeSolver{rfc2136("ns1")}}})
)

func rfc2136(nameserver string) acmev1.ACMEChallengeSolver {
	return acmev1.ACMEChallengeSolver{DNS01: &acmev1.ACMEChallengeSolverDNS01{
		RFC2136: &acmev1.ACMEIssuerDNS01ProviderRFC2136{Nameserver: nameserver},
	}}
}

func requestCond(kind cmv1.CertificateRequestConditionType, status cmmeta.ConditionStatus, reason, message string) cmv1.CertificateRequestCondition {
	return cmv1.CertificateRequestCondition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: at(now)}
}

var (
	approvedCond = requestCond(cmv1.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "cert-manager.io", "Certificate request has been approved by cert-manager.io")
	deniedCond   = requestCond(cmv1.CertificateRequestConditionDenied, cmmeta.ConditionTrue, "policy", "no")
	invalidCond  = requestCond(cmv1.CertificateRequestConditionInvalidRequest, cmmeta.ConditionTrue, "Bad", "no")
)

func readyCond(status cmmeta.ConditionStatus, reason, message string) cmv1.CertificateRequestCondition {
	return requestCond(cmv1.CertificateRequestConditionReady, status, reason, message)
}

func with(conditions ...cmv1.CertificateRequestCondition) func(*Request) {
	return func(r *Request) { r.Object.Status.Conditions = append(r.Object.Status.Conditions, conditions...) }
}

func TestRequest(t *testing.T) {
	pending := func(reason, message, component string) func(*RequestPlan) {
		return func(p *RequestPlan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Pending", message))
			p.Events = append(p.Events, Event{Reason: reason, Message: message, Component: component, Detail: true})
		}
	}
	use := func(i *Issuer) func(*Request) { return func(r *Request) { r.Issuer = i } }
	unready := *caIssuer
	unready.Ready = false
	ref := func(kind, group string) func(*Request) {
		return func(r *Request) {
			r.Object.Spec.IssuerRef = cmmeta.IssuerReference{Name: "x", Kind: kind, Group: group}
			r.Issuer = nil
		}
	}
	none := func(*RequestPlan) {}
	sign := func(p *RequestPlan) { p.Step = RequestSign }
	const fromIssuer = "cert-manager-certificaterequests-issuer"
	tests := []struct {
		name  string
		state []func(*Request)
		want  func(*RequestPlan)
	}{
		{"approved and signed at once", []func(*Request){func(r *Request) { r.MayApprove = true }}, func(p *RequestPlan) {
			p.Step, p.Status.Conditions = RequestSign, []cmv1.CertificateRequestCondition{approvedCond}
			p.Events = []Event{{Reason: "cert-manager.io", Message: approvedCond.Message, Component: "cert-manager-certificaterequests-approver", Detail: true}}
		}},
		{"not ours to approve", nil, none},
		{"approved by another", []func(*Request){with(approvedCond)}, sign},
		{"foreign, approved by us", []func(*Request){ref("Thing", "example.com"), func(r *Request) { r.MayApprove = true }}, func(p *RequestPlan) {
			p.Status.Conditions = []cmv1.CertificateRequestCondition{approvedCond}
			p.Events = []Event{{Reason: "cert-manager.io", Message: approvedCond.Message, Component: "cert-manager-certificaterequests-approver", Detail: true}}
		}},
		{"foreign", []func(*Request){ref("Thing", "example.com"), with(approvedCond)}, none},
		{"foreign kind in our group", []func(*Request){ref("Thing", ""), with(approvedCond)}, none},
		{"denied", []func(*Request){with(deniedCond), func(r *Request) { r.MayApprove = true }}, func(p *RequestPlan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Denied", "The CertificateRequest was denied by an approval controller"))
			p.Status.FailureTime = at(now)
		}},
		{"denied, foreign", []func(*Request){ref("Thing", "example.com"), with(deniedCond)}, none},
		{"denied and told", []func(*Request){with(deniedCond, readyCond(cmmeta.ConditionFalse, "Denied", "x"))}, none},
		{"invalid", []func(*Request){with(invalidCond)}, none},
		{"issued", []func(*Request){with(approvedCond, readyCond(cmmeta.ConditionTrue, "Issued", "x"))}, none},
		{"failed", []func(*Request){with(approvedCond, readyCond(cmmeta.ConditionFalse, "Failed", "x"))}, none},
		{"being deleted", []func(*Request){with(approvedCond), func(r *Request) { r.Object.DeletionTimestamp = at(now) }}, none},
		{"no issuer", []func(*Request){with(approvedCond), ref("", "")}, pending("IssuerNotFound", `Referenced "Issuer" not found: issuer.cert-manager.io "x" not found`, fromIssuer)},
		{"no cluster issuer", []func(*Request){with(approvedCond), ref("ClusterIssuer", "cert-manager.io")}, pending("IssuerNotFound", `Referenced "ClusterIssuer" not found: clusterissuer.cert-manager.io "x" not found`, fromIssuer)},
		{"issuer of no type", []func(*Request){with(approvedCond), use(issuerOf(cmv1.IssuerConfig{}))}, pending("IssuerTypeMissing", "Missing issuer type: the issuer's spec configures none", fromIssuer)},
		{"issuer of a type to come", []func(*Request){with(approvedCond), use(issuerOf(cmv1.IssuerConfig{Vault: &cmv1.VaultIssuer{}}))}, pending("IssuerNotReady", "This version of everleaf cannot sign with issuers of type vault yet", fromIssuer+"-vault")},
		{"issuer not ready", []func(*Request){with(approvedCond), use(&unready)}, pending("IssuerNotReady", "Referenced issuer does not have a Ready status condition", fromIssuer+"-ca")},
		{"pending for another reason", []func(*Request){with(approvedCond, readyCond(cmmeta.ConditionFalse, "Pending", "old")), use(&unready)}, func(p *RequestPlan) {
			p.Status.Conditions[1].Message = "Referenced issuer does not have a Ready status condition"
		}},
		{"condition of another type", []func(*Request){with(requestCond("example.com/Seen", cmmeta.ConditionTrue, "x", "x"), approvedCond), use(&unready)}, pending("IssuerNotReady", "Referenced issuer does not have a Ready status condition", fromIssuer+"-ca")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := Request{Object: request(certificate(), key(1), 1), Issuer: caIssuer}
			for _, f := range test.state {
				f(&r)
			}
			want := RequestPlan{Status: *r.Object.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, NextRequest(r, now))
		})
	}
}

// TestRequestOrder has an approved request for an ACME issuer, and its Order.
func TestRequestOrder(t *testing.T) {
	const from = "cert-manager-certificaterequests-issuer-acme"
	base := request(certificate(), key(1), 1)
	base.Status.Conditions = []cmv1.CertificateRequestCondition{approvedCond}
	wanted := must2(BuildOrder(base, acmeIssuer.Spec.ACME))
	other := request(certificate(), key(2), 1, signed(now, now.Add(day)))
	own := request(certificate(), key(1), 1, signed(now, now.Add(day))).Status.Certificate
	order := func(state acmev1.State, change ...func(*acmev1.Order)) []*acmev1.Order {
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
		return func(o *acmev1.Order) { o.Annotations[OrderReplacesAnnotation] = n }
	}
	pending := func(message string) func(*RequestPlan) {
		return func(p *RequestPlan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Pending", message))
			p.Events = append(p.Events, Event{Reason: "OrderPending", Message: message, Component: from, Detail: true})
		}
	}
	failed := func(message string) func(*RequestPlan) {
		return func(p *RequestPlan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Failed", message))
			p.Status.FailureTime = at(now)
			p.Events = append(p.Events, Event{Warning: true, Reason: "OrderFailed", Message: message, Component: from})
		}
	}
	replaced := func(o []*acmev1.Order, n string) func(*RequestPlan) {
		return func(p *RequestPlan) {
			p.Step, p.Gone, p.Order = RequestReplaceOrder, o[0], order("", replaces(n))[0]
		}
	}
	waitingOn := `Waiting on certificate issuance from order app/` + wanted.Name
	failure := `Failed to wait for order resource "` + wanted.Name + `" to become ready: order is in `
	tests := []struct {
		name   string
		orders []*acmev1.Order
		want   func(*RequestPlan)
	}{
		{"none", nil, func(p *RequestPlan) {
			p.Step, p.Persist, p.Order = RequestCreateOrder, Before, wanted
			pending(waitingOn + `: "pending"`)(p)
		}},
		{"new", order(""), pending(waitingOn + `: "pending"`)},
		{"pending, with a reason", order(acmev1.Pending, because("no such zone")), pending(waitingOn + `: "pending": no such zone`)},
		{"processing", order(acmev1.Processing), pending(waitingOn + `: "processing"`)},
		{"invalid", order(acmev1.Invalid, because("403 x")), failed(failure + `"invalid" state: 403 x`)},
		{"errored", order(acmev1.Errored), failed(failure + `"errored" state: `)},
		{"valid, no certificate", order(acmev1.Valid), pending("Waiting for order-controller to add certificate data to Order app/" + wanted.Name)},
		{"valid", order(acmev1.Valid, cert(own)), func(p *RequestPlan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionTrue, "Issued", "Certificate fetched from issuer successfully"))
			p.Status.Certificate = own
			p.Events = []Event{{Reason: "CertificateIssued", Message: "Certificate fetched from issuer successfully", Component: from, Detail: true}}
		}},
		{"valid, for another's key", order(acmev1.Valid, cert(other.Status.Certificate)), replaced(order(""), "1")},
		{"valid, of nonsense", order(acmev1.Valid, cert([]byte("x"))), replaced(order(""), "1")},
		{"expired", order(acmev1.Expired), replaced(order(""), "1")},
		{"expired, the third", order(acmev1.Expired, replaces("2")), replaced(order("", replaces("2")), "3")},
		{"expired, the fourth", order(acmev1.Expired, replaces("3"), because("gone")), failed(failure + `"expired" state: gone (replaced 3 times)`)},
		{"expired, count of nonsense", order(acmev1.Expired, replaces("-7")), replaced(order("", replaces("-7")), "1")},
		{"being deleted", order(acmev1.Pending, func(o *acmev1.Order) { o.DeletionTimestamp = at(now) }), replaced(order(""), "1")},
		{"two: the newer counts", append(order(acmev1.Expired, func(o *acmev1.Order) { o.CreationTimestamp = *at(born) }),
			order(acmev1.Processing, func(o *acmev1.Order) { o.CreationTimestamp = *at(now) })...), pending(waitingOn + `: "processing"`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := Request{Object: base, Issuer: acmeIssuer, Orders: test.orders}
			want := RequestPlan{Status: *base.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, NextRequest(r, now))
		})
	}
}

func must2(o *acmev1.Order, err *fault.Error) *acmev1.Order {
	if err != nil {
		panic(err)
	}
	return o
}

func TestRequestSigned(t *testing.T) {
	base := RequestPlan{Step: RequestSign, Status: cmv1.CertificateRequestStatus{Conditions: []cmv1.CertificateRequestCondition{approvedCond}}}
	const from = "cert-manager-certificaterequests-issuer-ca"
	tests := []struct {
		name    string
		outcome issuer.Outcome
		err     error
		want    func(*RequestPlan)
	}{
		{"signed", issuer.Outcome{Chain: []byte("c"), CA: []byte("r")}, nil, func(p *RequestPlan) {
			p.Status.Certificate, p.Status.CA = []byte("c"), []byte("r")
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionTrue, "Issued", messageIssued))
			p.Events = []Event{{Reason: "CertificateIssued", Message: messageIssued, Component: from, Detail: true}}
		}},
		{"signed, with a warning", issuer.Outcome{Chain: []byte("c"), Warning: "It outlives.", WarningReason: "Outlives"}, nil, func(p *RequestPlan) {
			p.Status.Certificate = []byte("c")
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionTrue, "Issued", messageIssued+". It outlives."))
			p.Events = []Event{
				{Warning: true, Reason: "Outlives", Message: "It outlives.", Component: from},
				{Reason: "CertificateIssued", Message: messageIssued, Component: from, Detail: true},
			}
		}},
		{"never", issuer.Outcome{}, fault.New(fault.Permanent, "SigningError", "bad"), func(p *RequestPlan) {
			p.Status.FailureTime = at(now)
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Failed", "bad"))
			p.Events = []Event{{Warning: true, Reason: "SigningError", Message: "bad", Component: from}}
		}},
		{"when a user acts", issuer.Outcome{}, fault.New(fault.User, "SecretMissing", "none"), func(p *RequestPlan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Pending", "none"))
			p.Events = []Event{{Reason: "SecretMissing", Message: "none", Component: from, Detail: true}}
		}},
		{"unclassified", issuer.Outcome{}, errors.New("hm"), func(p *RequestPlan) {
			p.Status.Conditions = append(p.Status.Conditions, readyCond(cmmeta.ConditionFalse, "Pending", "hm"))
			p.Events = []Event{{Message: "hm", Component: from, Detail: true}}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := RequestPlan{Status: *base.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, RequestSigned(base, IssuerCA, test.outcome, test.err, now))
		})
	}
}

func TestBuildOrder(t *testing.T) {
	r := request(certificate(func(c *cmv1.Certificate) {
		c.Spec.CommonName, c.Spec.Duration = "www.example.com", &metav1.Duration{Duration: 10 * time.Hour}
		c.Spec.DNSNames, c.Spec.IPAddresses = []string{"b.example.com", "a.example.com"}, []string{"10.0.0.1", "2001:db8::1"}
	}), key(1), 1)
	_, err := BuildOrder(r, acmeIssuer.Spec.ACME)
	samePlan(t, fault.New(fault.Permanent, "InvalidOrder", "The CSR PEM requests a commonName that is not present in the list of dnsNames or ipAddresses. If a commonName is set, ACME requires that the value is also present in the list of dnsNames or ipAddresses: \"www.example.com\" does not exist in [b.example.com a.example.com] or [10.0.0.1 2001:db8::1]"), err)

	r = request(certificate(func(c *cmv1.Certificate) {
		c.Spec.CommonName, c.Spec.Duration = "a.example.com", &metav1.Duration{Duration: 10 * time.Hour}
		c.Spec.DNSNames, c.Spec.IPAddresses = []string{"b.example.com", "a.example.com"}, []string{"10.0.0.1"}
	}), key(1), 1)
	r.Labels, r.Annotations["x"] = map[string]string{"app": "web"}, "y"
	spec := *acmeIssuer.Spec.ACME
	spec.Profile, spec.EnableDurationFeature = "short", true
	order := must2(BuildOrder(r, &spec))
	samePlan(t, acmev1.OrderSpec{
		Request: r.Spec.Request, IssuerRef: r.Spec.IssuerRef, CommonName: "a.example.com", DNSNames: []string{"b.example.com", "a.example.com"},
		IPAddresses: []string{"10.0.0.1"}, Duration: r.Spec.Duration, Profile: "short",
	}, order.Spec)
	samePlan(t, r.Annotations, order.Annotations)
	samePlan(t, r.Labels, order.Labels)
	if why := OrderProvenance(order, r); why == "" {
		t.Error("an Order is not provided for by a request that nobody has approved")
	}

	r.Spec.Request = []byte("x")
	if _, err := BuildOrder(r, &spec); err == nil || err.Reason != "RequestParsingError" || err.Class != fault.Permanent {
		t.Errorf("got %v", err)
	}
}
