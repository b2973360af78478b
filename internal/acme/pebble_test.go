package acme_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/test/pebble"
)

// These tests run the client against a real Pebble that rejects half of all
// nonces.

func startPebble(t *testing.T, o pebble.Options) *pebble.Server {
	t.Helper()
	o.Env = append(o.Env, "PEBBLE_VA_ALWAYS_VALID=1", "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=50")
	return pebble.Start(t, o)
}

func pebbleClient(t *testing.T, s *pebble.Server, key crypto.Signer) *acme.Client {
	t.Helper()
	client, err := acme.HTTPClient(acme.TransportOptions{CABundle: s.CABundle})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return acme.New(acme.Config{DirectoryURL: s.DirectoryURL, Key: key, HTTPClient: client})
}

func ecdsaKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// persist retries transient failures, as a controller does. One request in 64
// has six rejected nonces in a row.
func persist[T any](t *testing.T, call func(context.Context) (T, error)) T {
	t.Helper()
	var v T
	var err error
	for range 10 {
		if v, err = call(t.Context()); err == nil {
			return v
		}
		if p := acme.ProblemOf(err); p == nil || !p.Has(acme.TypeBadNonce) {
			break
		}
	}
	t.Fatal(err)
	return v
}

func register(t *testing.T, c *acme.Client, r acme.AccountRequest) acme.Account {
	t.Helper()
	return persist(t, func(ctx context.Context) (acme.Account, error) { return c.Register(ctx, r) })
}

func dnsNames(names ...string) []acme.Identifier {
	var ids []acme.Identifier
	for _, n := range names {
		ids = append(ids, acme.Identifier{Type: acme.IdentifierDNS, Value: n})
	}
	return ids
}

func csr(t *testing.T, ids []acme.Identifier) []byte {
	t.Helper()
	var template x509.CertificateRequest
	for _, id := range ids {
		if id.Type == acme.IdentifierIP {
			template.IPAddresses = append(template.IPAddresses, net.ParseIP(id.Value))
		} else {
			template.DNSNames = append(template.DNSNames, id.Value)
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, ecdsaKey(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// eventually reads a resource until it has the wanted state.
func eventually[T any](t *testing.T, read func(context.Context) (T, error), done func(T) bool) T {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		if v := persist(t, read); done(v) {
			return v
		}
		<-tick.C
	}
	t.Fatal("no end in sight")
	panic("unreachable")
}

// issue takes an order from its creation to the certificate's URL.
func issue(t *testing.T, c *acme.Client, r acme.OrderRequest) acme.Order {
	t.Helper()
	order := persist(t, func(ctx context.Context) (acme.Order, error) { return c.NewOrder(ctx, r) })
	if order.Status != acme.StatusPending && order.Status != acme.StatusReady || order.Expires.IsZero() {
		t.Fatalf("new order: %+v", order)
	}
	if len(order.Authorizations) != len(r.Identifiers) {
		t.Fatalf("%d authorizations for %d identifiers", len(order.Authorizations), len(r.Identifiers))
	}
	for _, url := range order.Authorizations {
		authorize(t, c, url)
	}
	read := func(ctx context.Context) (acme.Order, error) { return c.Order(ctx, order.URL) }
	ready := eventually(t, read, func(o acme.Order) bool { return o.Status != acme.StatusPending })
	if ready.Status != acme.StatusReady {
		t.Fatalf("order: %+v", ready)
	}
	der := csr(t, r.Identifiers)
	persist(t, func(ctx context.Context) (acme.Order, error) { return c.Finalize(ctx, ready.Finalize, der) })
	valid := eventually(t, read, func(o acme.Order) bool { return o.Status != acme.StatusProcessing })
	if valid.Status != acme.StatusValid || valid.Certificate == "" || valid.URL != order.URL {
		t.Fatalf("order: %+v", valid)
	}
	return valid
}

func authorize(t *testing.T, c *acme.Client, url string) {
	t.Helper()
	read := func(ctx context.Context) (acme.Authorization, error) { return c.Authorization(ctx, url) }
	a := persist(t, read)
	if a.Status == acme.StatusValid {
		return // Pebble reuses authorizations
	}
	at := slices.IndexFunc(a.Challenges, func(ch acme.Challenge) bool {
		return ch.Type == acme.ChallengeDNS01 || a.Identifier.Type == acme.IdentifierIP && ch.Type == acme.ChallengeHTTP01
	})
	if at < 0 || a.Challenges[at].Token == "" {
		t.Fatalf("no challenge to take: %+v", a)
	}
	ch := a.Challenges[at]
	accepted := persist(t, func(ctx context.Context) (acme.Challenge, error) { return c.Accept(ctx, ch.URL) })
	if accepted.URL != ch.URL || accepted.Token != ch.Token {
		t.Fatalf("accepted %+v, want %+v", accepted, ch)
	}
	a = eventually(t, read, func(a acme.Authorization) bool { return a.Status != acme.StatusPending })
	if a.Status != acme.StatusValid || a.URL != url {
		t.Fatalf("authorization: %+v", a)
	}
	// Pebble leaves out the other challenges of a valid authorization.
	if seen := a.Challenges[0]; seen.URL != ch.URL || seen.Status != acme.StatusValid || seen.Validated.IsZero() {
		t.Fatalf("challenge: %+v", a.Challenges)
	}
}

func TestPebbleIssuance(t *testing.T) {
	s := startPebble(t, pebble.Options{
		Env:    []string{"PEBBLE_ALTERNATE_ROOTS=2", "PEBBLE_CHAIN_LENGTH=2"},
		Strict: true,
		Profiles: map[string]pebble.Profile{
			"classic": {Description: "Ninety days", Validity: 90 * 24 * time.Hour},
			"short":   {Description: "Six days", Validity: 6 * 24 * time.Hour},
		},
	})
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	// Pebble cannot compare a CSR that has addresses of both kinds.
	ids := map[string][]acme.Identifier{
		"names":    append(dnsNames("a.example.com", "b.example.com"), acme.Identifier{Type: acme.IdentifierIP, Value: "2001:db8::7"}),
		"wildcard": dnsNames("*.example.org", "example.org"),
		"ips":      {{Type: acme.IdentifierIP, Value: "192.0.2.7"}, {Type: acme.IdentifierIP, Value: "192.0.2.9"}},
	}
	for name, test := range map[string]struct {
		key     crypto.Signer
		ids     string
		profile string
		days    int
	}{
		"RSA":        {key: rsaKey, ids: "names", profile: "classic", days: 90},
		"ECDSA-P256": {key: ecdsaKey(t, elliptic.P256()), ids: "wildcard", profile: "short", days: 6},
		"ECDSA-P384": {key: ecdsaKey(t, elliptic.P384()), ids: "ips", profile: "short", days: 6},
	} {
		t.Run(name, func(t *testing.T) {
			c := pebbleClient(t, s, test.key)
			account := register(t, c, acme.AccountRequest{Contact: []string{"mailto:admin@example.com"}, TermsAgreed: true})
			want := acme.Account{URL: c.AccountURL(), Status: acme.StatusValid, Contact: []string{"mailto:admin@example.com"}, Created: true}
			if diff := cmp.Diff(want, account); diff != "" || account.URL == "" {
				t.Fatalf("account (-want +got):\n%s", diff)
			}
			order := issue(t, c, acme.OrderRequest{Identifiers: ids[test.ids], Profile: test.profile})
			if order.Profile != test.profile {
				t.Errorf("profile %q, want %q", order.Profile, test.profile)
			}
			chain := persist(t, func(ctx context.Context) (acme.Chain, error) { return c.Certificate(ctx, order.Certificate) })
			checkChain(t, chain, ids[test.ids], test.days)
		})
	}
	t.Run("alternates", func(t *testing.T) { testAlternates(t, s) })
	t.Run("concurrent", func(t *testing.T) { testConcurrent(t, s) })
}

func checkChain(t *testing.T, chain acme.Chain, ids []acme.Identifier, days int) {
	t.Helper()
	leaf := chain.Certificates[0]
	for _, id := range ids {
		if err := leaf.VerifyHostname(strings.Replace(id.Value, "*", "www", 1)); err != nil {
			t.Error(err)
		}
	}
	if life := leaf.NotAfter.Sub(leaf.NotBefore).Round(24 * time.Hour); life != time.Duration(days)*24*time.Hour {
		t.Errorf("the certificate lives %v, want %d days", life, days)
	}
	if len(chain.Certificates) != 3 || len(chain.Alternates) != 2 {
		t.Errorf("%d certificates and %d alternates, want 3 and 2", len(chain.Certificates), len(chain.Alternates))
	}
	rest := chain.PEM
	for _, cert := range chain.Certificates {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || !slices.Equal(block.Bytes, cert.Raw) {
			t.Fatal("the PEM is not that of the certificates")
		}
	}
	if len(rest) != 0 {
		t.Errorf("%d bytes follow the PEM", len(rest))
	}
}

func testAlternates(t *testing.T, s *pebble.Server) {
	c := pebbleClient(t, s, ecdsaKey(t, elliptic.P256()))
	register(t, c, acme.AccountRequest{TermsAgreed: true})
	order := issue(t, c, acme.OrderRequest{Identifiers: dnsNames("alternates.example.com"), Profile: "short"})
	root := func(n int) string {
		data, err := s.Root(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(data)
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return cert.Subject.CommonName
	}
	for preferred, want := range map[string]string{
		"": root(0), root(0): root(0), root(1): root(1), root(2): root(2), "No Such Root": root(0),
	} {
		chain := persist(t, func(ctx context.Context) (acme.Chain, error) {
			return c.PreferredChain(ctx, order.Certificate, preferred)
		})
		top := chain.Certificates[len(chain.Certificates)-1]
		if top.Issuer.CommonName != want {
			t.Errorf("preferred %q: topped by %q, want %q", preferred, top.Issuer.CommonName, want)
		}
	}
}

func testConcurrent(t *testing.T, s *pebble.Server) {
	c := pebbleClient(t, s, ecdsaKey(t, elliptic.P256()))
	register(t, c, acme.AccountRequest{TermsAgreed: true})
	var group sync.WaitGroup
	var mu sync.Mutex
	urls := map[string]bool{}
	for range 20 {
		group.Go(func() {
			for range 5 {
				order, err := c.NewOrder(t.Context(), acme.OrderRequest{Identifiers: dnsNames("concurrent.example.com")})
				if p := acme.ProblemOf(err); p != nil && p.Has(acme.TypeBadNonce) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				urls[order.URL] = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(urls) < 80 {
		t.Errorf("%d of 100 orders were made", len(urls))
	}
}
