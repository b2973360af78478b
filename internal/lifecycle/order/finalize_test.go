package order

import (
	"testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// TestOrderComplete holds that a chain is read under the limit of chains, and a
// signing request under the one that is configured.
func TestOrderComplete(t *testing.T) {
	chainOf := func(k int) []byte {
		crt := newCertificate(func(c *cmv1.Certificate) { c.Spec.DNSNames = []string{"example.com", "*.example.com"} })
		leaf := newRequest(crt, key(k), 1, signed(now, now.Add(hour))).Status.Certificate
		return append(leaf, pki.EncodeChain(lifecycletest.Authority())...)
	}
	chain := chainOf(1)
	complete := func(p *Plan) {
		p.Status.State, p.Status.Certificate = acmev1.Valid, chain
		p.Events = []plan.Event{{Reason: "Complete", Message: "Order completed successfully", Component: "cert-manager-orders"}}
	}
	fail := func(state acmev1.State, reason string) func(*Plan) {
		return func(p *Plan) { p.Status.State, p.Status.Reason, p.Status.FailureTime = state, reason, at(now) }
	}
	// Signatures differ in length.
	size := len(ordered().Object.Spec.Request) + 16
	for _, test := range []struct {
		name   string
		chain  []byte
		limits pki.Limits
		want   func(*Plan)
	}{
		{"ours", chain, pki.Limits{}, complete},
		{"longer than one certificate may be", chain, pki.Limits{MaxCertificateSize: size}, complete},
		{"for another key", chainOf(2), pki.Limits{}, fail(acmev1.Expired, "The ACME server returned a certificate for another key: the order was shared with another request and is replaced")},
		{"too long", chain, pki.Limits{MaxChainLength: 100}, fail(acmev1.Errored, "Failed to retrieve signed certificate: Invalid certificate retrieved from ACME server: "+tooLong(t, chain))},
		{"no certificate", []byte("x"), pki.Limits{}, fail(acmev1.Errored, "Failed to retrieve signed certificate: Invalid certificate retrieved from ACME server: "+unreadable(t))},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := ordered()
			o.Object.Status.Reason = "old"
			o.Chain, o.Limits, o.Account = test.chain, test.limits, nil
			if len(test.chain) > 1 && len(test.chain) <= size {
				t.Fatal("the chain is not longer than the signing request")
			}
			want := Plan{Status: *o.Object.Status.DeepCopy()}
			want.Status.Reason = ""
			test.want(&want)
			samePlan(t, want, o.Next(now))
		})
	}
}

func tooLong(t *testing.T, chain []byte) string {
	t.Helper()
	_, err := pki.ParseChain(chain, pki.Limits{MaxChainLength: 100})
	return err.Error()
}

func unreadable(t *testing.T) string {
	t.Helper()
	_, err := pki.ParseChain([]byte("x"), pki.Limits{})
	return err.Error()
}
