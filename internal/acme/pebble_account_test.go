package acme_test

import (
	"context"
	"crypto/elliptic"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/test/pebble"
)

// noAccount reports whether a request failed because the account does not exist.
func noAccount(err error) bool {
	f := acme.Classify(err, time.Now())
	return f != nil && f.Reason == "AccountDoesNotExist"
}

func TestPebbleAccount(t *testing.T) {
	s := startPebble(t, pebble.Options{Strict: true})
	key := ecdsaKey(t, elliptic.P256())
	c := pebbleClient(t, s, key)
	if _, err := c.Account(t.Context()); !noAccount(err) {
		t.Fatalf("before Register: %v", err)
	}
	for {
		_, err := c.Register(t.Context(), acme.AccountRequest{OnlyExisting: true})
		if p := acme.ProblemOf(err); p != nil && p.Has(acme.TypeBadNonce) {
			continue
		}
		if !noAccount(err) {
			t.Fatalf("only existing: %v", err)
		}
		break
	}
	first := register(t, c, acme.AccountRequest{Contact: []string{"mailto:one@example.com"}, TermsAgreed: true})
	updated := persist(t, func(ctx context.Context) (acme.Account, error) {
		return c.UpdateContact(ctx, []string{"mailto:two@example.com"})
	})
	want := acme.Account{URL: first.URL, Status: acme.StatusValid, Contact: []string{"mailto:two@example.com"}}
	if diff := cmp.Diff(want, updated); diff != "" {
		t.Errorf("updated (-want +got):\n%s", diff)
	}
	again := pebbleClient(t, s, key)
	if diff := cmp.Diff(want, register(t, again, acme.AccountRequest{TermsAgreed: true})); diff != "" {
		t.Errorf("registered again (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, persist(t, again.Account)); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	if removed := persist(t, func(ctx context.Context) (acme.Account, error) { return again.UpdateContact(ctx, nil) }); len(removed.Contact) != 0 {
		t.Errorf("contact is still %q", removed.Contact)
	}
}

// failure repeats a call until it fails with another error than badNonce.
func failure[T any](t *testing.T, call func(context.Context) (T, error)) error {
	t.Helper()
	for range 10 {
		_, err := call(t.Context())
		if p := acme.ProblemOf(err); p == nil || !p.Has(acme.TypeBadNonce) {
			return err
		}
	}
	t.Fatal("ten times a bad nonce")
	return nil
}

func TestPebbleExternalAccount(t *testing.T) {
	key, wrong := []byte("0123456789abcdef0123456789abcdef"), []byte("not the key that was agreed upon")
	s := startPebble(t, pebble.Options{EABKeys: map[string][]byte{"id": key}})
	for name, test := range map[string]struct {
		eab    *acme.ExternalAccount
		reason string
	}{
		"bound":           {eab: &acme.ExternalAccount{KeyID: "id", Key: key}},
		"missing":         {reason: "ExternalAccountRequired"},
		"wrong key":       {eab: &acme.ExternalAccount{KeyID: "id", Key: wrong}, reason: "AccountUnauthorized"},
		"unknown key ID":  {eab: &acme.ExternalAccount{KeyID: "other", Key: key}, reason: "AccountUnauthorized"},
		"no key material": {eab: &acme.ExternalAccount{KeyID: "id"}, reason: "InvalidExternalAccountBinding"},
	} {
		t.Run(name, func(t *testing.T) {
			c := pebbleClient(t, s, ecdsaKey(t, elliptic.P256()))
			if d := persist(t, c.Directory); !d.Meta.ExternalAccountRequired {
				t.Error("the directory does not require an external account")
			}
			request := acme.AccountRequest{TermsAgreed: true, EAB: test.eab}
			if test.reason == "" {
				register(t, c, request)
				return
			}
			err := failure(t, func(ctx context.Context) (acme.Account, error) { return c.Register(ctx, request) })
			if f := acme.Classify(err, time.Now()); f.Class != fault.User || f.Reason != test.reason {
				t.Errorf("%v %s: %v", f.Class, f.Reason, f)
			}
			if c.AccountURL() != "" {
				t.Error("the client has an account")
			}
		})
	}
}

func TestPebbleRefusals(t *testing.T) {
	s := startPebble(t, pebble.Options{Strict: true, Blocklist: []string{"blocked.example"}})
	c := pebbleClient(t, s, ecdsaKey(t, elliptic.P256()))
	newOrder := func(r acme.OrderRequest) func(context.Context) (acme.Order, error) {
		return func(ctx context.Context) (acme.Order, error) { return c.NewOrder(ctx, r) }
	}
	if err := failure(t, newOrder(acme.OrderRequest{Identifiers: dnsNames("a.example")})); !errors.Is(err, acme.ErrNoAccount) {
		t.Errorf("without an account: %v", err)
	}
	terms := failure(t, func(ctx context.Context) (acme.Account, error) { return c.Register(ctx, acme.AccountRequest{}) })
	if f := acme.Classify(terms, time.Now()); f.Reason != "UserActionRequired" || !acme.IsAccountProblem(terms) {
		t.Errorf("without agreeing to terms: %s: %v", f.Reason, f)
	}
	register(t, c, acme.AccountRequest{TermsAgreed: true})
	order := persist(t, newOrder(acme.OrderRequest{Identifiers: dnsNames("pending.example")}))

	for name, test := range map[string]struct {
		err     error
		class   fault.Class
		message string
	}{
		"blocked name": {
			failure(t, newOrder(acme.OrderRequest{Identifiers: dnsNames("fine.example", "blocked.example")})),
			fault.User,
			`400 urn:ietf:params:acme:error:rejectedIdentifier: Order included an identifier for which issuance is forbidden by policy: "blocked.example" ` +
				`(blocked.example: urn:ietf:params:acme:error:rejectedIdentifier: blocked.example is a forbidden domain)`,
		},
		"unknown profile": {
			failure(t, newOrder(acme.OrderRequest{Identifiers: dnsNames("a.example"), Profile: "nope"})),
			fault.Permanent,
			`acme: certificate authority does not advertise a profile with name nope`,
		},
		"no identifiers": {
			failure(t, newOrder(acme.OrderRequest{})),
			fault.Permanent,
			`400 urn:ietf:params:acme:error:malformed: Order did not specify any identifiers`,
		},
		"not ready": {
			failure(t, func(ctx context.Context) (acme.Order, error) {
				return c.Finalize(ctx, order.Finalize, csr(t, order.Identifiers))
			}),
			fault.Transient,
			`403 urn:ietf:params:acme:error:orderNotReady: Order's status ("pending") was not ready`,
		},
		"unknown order": {
			failure(t, func(ctx context.Context) (acme.Order, error) { return c.Order(ctx, order.URL+"x") }),
			fault.Permanent,
			`404 Not Found`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := acme.Classify(test.err, time.Now())
			if f == nil || f.Class != test.class || f.Message != test.message {
				t.Errorf("%v: %v\nwant %v: %s", f.Class, f, test.class, test.message)
			}
			if acme.IsGone(test.err) != (name == "unknown order") || acme.IsOrderNotReady(test.err) != (name == "not ready") {
				t.Errorf("gone: %v, not ready: %v", acme.IsGone(test.err), acme.IsOrderNotReady(test.err))
			}
		})
	}

	t.Run("another account's order", func(t *testing.T) {
		other := pebbleClient(t, s, ecdsaKey(t, elliptic.P256()))
		register(t, other, acme.AccountRequest{TermsAgreed: true})
		err := failure(t, func(ctx context.Context) (acme.Order, error) { return other.Order(ctx, order.URL) })
		if !acme.IsGone(err) {
			t.Error(err)
		}
	})
	t.Run("unknown account", func(t *testing.T) {
		fresh := startPebble(t, pebble.Options{})
		moved := pebbleClient(t, fresh, ecdsaKey(t, elliptic.P256()))
		register(t, moved, acme.AccountRequest{TermsAgreed: true})
		client, err := acme.HTTPClient(acme.TransportOptions{CABundle: fresh.CABundle})
		if err != nil {
			t.Fatal(err)
		}
		stranger := acme.New(acme.Config{
			DirectoryURL: fresh.DirectoryURL, Key: ecdsaKey(t, elliptic.P256()), HTTPClient: client, AccountURL: moved.AccountURL() + "0",
		})
		err = failure(t, stranger.Account)
		if !noAccount(err) || acme.Classify(err, time.Now()).Class != fault.User {
			t.Error(err)
		}
	})
}

func TestPebbleUntrusted(t *testing.T) {
	s := startPebble(t, pebble.Options{})
	client, err := acme.HTTPClient(acme.TransportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := acme.New(acme.Config{DirectoryURL: s.DirectoryURL, HTTPClient: client})
	_, err = c.Directory(t.Context())
	host := strings.TrimSuffix(strings.TrimPrefix(s.DirectoryURL, "https://"), "/dir")
	want := "cannot reach the ACME server " + host + ": its certificate is signed by an unknown authority"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	if client, err = acme.HTTPClient(acme.TransportOptions{SkipTLSVerify: true}); err != nil {
		t.Fatal(err)
	}
	c = acme.New(acme.Config{DirectoryURL: s.DirectoryURL, HTTPClient: client})
	if _, err := c.Directory(t.Context()); err != nil {
		t.Errorf("without verification: %v", err)
	}
}
