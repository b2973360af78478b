package acme_test

import (
	"context"
	"crypto/elliptic"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/test/pebble"
)

// TestPebbleRenewal holds that Pebble advises when to renew, and takes the certificate
// that a new one replaces, once.
func TestPebbleRenewal(t *testing.T) {
	s := startPebble(t, pebble.Options{})
	c := pebbleClient(t, s, ecdsaKey(t, elliptic.P256()))
	register(t, c, acme.AccountRequest{TermsAgreed: true})
	ids := dnsNames("renewed.example.com")
	first := issue(t, c, acme.OrderRequest{Identifiers: ids})
	chain := persist(t, func(ctx context.Context) (acme.Chain, error) { return c.Certificate(ctx, first.Certificate) })
	leaf := chain.Certificates[0]
	id := pki.CertID(leaf)
	info, err := c.RenewalInfo(t.Context(), id)
	if err != nil || !info.Start.Before(info.End) || !info.Start.After(leaf.NotBefore) || !info.End.Before(leaf.NotAfter.Add(time.Second)) {
		t.Fatalf("%+v, %v", info, err)
	}
	second := issue(t, c, acme.OrderRequest{Identifiers: ids, Replaces: id})
	if second.Replaces != id {
		t.Errorf("the second order replaces %q", second.Replaces)
	}
	third := issue(t, c, acme.OrderRequest{Identifiers: ids, Replaces: id})
	if third.Replaces != "" {
		t.Errorf("the third order replaces %q, which is replaced already", third.Replaces)
	}
	if _, err := c.RenewalInfo(t.Context(), "AAAA.AAAA"); acme.ProblemOf(err) == nil {
		t.Errorf("a certificate that Pebble does not know: %v", err)
	}
}
