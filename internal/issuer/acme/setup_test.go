package acme

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/solver/dns01/providers"
	"github.com/everleaf/everleaf/test/pebble"
)

// secrets are the Secrets of a namespace.
type secrets struct {
	data map[string]map[string][]byte
	fail error
	// refuse is the API server's answer to a key that is to be stored.
	refuse error
	// faster is what another issuer stores just before a key is to be stored.
	faster map[string][]byte
}

func (s *secrets) Read(_ context.Context, namespace, name string) (map[string][]byte, error) {
	if namespace != "ns" {
		return nil, fmt.Errorf("looked in namespace %q", namespace)
	}
	return s.data[name], s.fail
}

func (s *secrets) CreateAccountKey(_ context.Context, namespace, name, key string, pem []byte) (bool, error) {
	if s.refuse != nil {
		return false, s.refuse
	}
	if s.faster != nil {
		s.data[name] = s.faster
		return false, nil
	}
	if _, ok := s.data[name]; ok || namespace != "ns" {
		return false, errors.New("exists, or is elsewhere")
	}
	s.data[name] = map[string][]byte{key: pem}
	return true, nil
}

// setup is a Type and what it asks the server.
type setup struct {
	*Type
	secrets *secrets
	actions []string
}

// Issuer is an issuer.Issuer of this type.
type Issuer struct {
	UID       types.UID
	Namespace string
	Spec      *acmev1.ACMEIssuer
	Status    acmev1.ACMEIssuerStatus
	Ready     bool
}

func (s *setup) Run(ctx context.Context, i Issuer) (acmev1.ACMEIssuerStatus, bool, error) {
	status, err := s.Check(ctx, issuer.Issuer{
		UID: i.UID, Namespace: i.Namespace, Account: i.Status, Ready: i.Ready,
		Spec: &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{ACME: i.Spec}},
	})
	return *status.Account, status.AccountReady, err
}

func newSetup() *setup {
	s := &setup{secrets: &secrets{data: map[string]map[string][]byte{}}}
	s.Type = &Type{
		Accounts: &Accounts{}, Store: s.secrets, Solvers: providers.All(), Clock: clocktesting.NewFakePassiveClock(begin), Limits: pki.DefaultLimits,
		Observe: func(action, _, _, _ string, _ int, _ time.Duration) { s.actions = append(s.actions, action) },
	}
	return s
}

// asked returns what the server was asked since the last time.
func (s *setup) asked() []string {
	asked := s.actions
	s.actions = nil
	return asked
}

func issuerFor(server string, caBundle []byte) Issuer {
	return Issuer{UID: "u", Namespace: "ns", Spec: &acmev1.ACMEIssuer{
		Server: server, CABundle: caBundle, Email: "Admin@Example.com",
		PrivateKey: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "account"}},
	}}
}

func encodeKey(t *testing.T, spec pki.KeySpec) []byte {
	t.Helper()
	key, err := pki.GenerateKey(spec)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := pki.EncodeKey(key, pki.PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func solver(secret, key string) acmev1.ACMEChallengeSolver {
	return acmev1.ACMEChallengeSolver{DNS01: &acmev1.ACMEChallengeSolverDNS01{RFC2136: &acmev1.ACMEIssuerDNS01ProviderRFC2136{
		Nameserver: "127.0.0.1", TSIGKeyName: "k",
		TSIGSecret: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: secret}, Key: key},
	}}}
}

// refusal is what a setup that fails before it asks a server says.
type refusal struct {
	Class           fault.Class
	Reason, Message string
}

// TestRefused holds the messages of issuers that do not get as far as the
// server.
func TestRefused(t *testing.T) {
	ecdsaKey := encodeKey(t, pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	edKey := encodeKey(t, pki.KeySpec{Algorithm: pki.Ed25519})
	eab := &acmev1.ACMEExternalAccountBinding{KeyID: "kid", Key: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "eab"}, Key: "secret"}}
	for _, test := range []struct {
		name   string
		change func(*Issuer, *secrets)
		want   refusal
	}{
		{"v1 endpoint", func(i *Issuer, _ *secrets) { i.Spec.Server = "https://acme-v01.api.letsencrypt.org/directory" }, refusal{
			fault.User, "InvalidConfig", `Your ACME server URL is set to a v1 endpoint (https://acme-v01.api.letsencrypt.org/directory). You should update the spec.acme.server field to "https://acme-v02.api.letsencrypt.org/directory"`,
		}},
		{"v1 endpoint with a slash", func(i *Issuer, _ *secrets) { i.Spec.Server = "https://acme-staging.api.letsencrypt.org/directory/" }, refusal{
			fault.User, "InvalidConfig", `Your ACME server URL is set to a v1 endpoint (https://acme-staging.api.letsencrypt.org/directory/). You should update the spec.acme.server field to "https://acme-staging-v02.api.letsencrypt.org/directory"`,
		}},
		{"no key, none to be made", func(i *Issuer, s *secrets) {
			delete(s.data, "account")
			i.Spec.DisableAccountKeyGeneration = true
		}, refusal{
			fault.User, "ErrVerifyACMEAccount", "Failed to verify ACME account: the ACME issuer config has 'disableAccountKeyGeneration' set to true, but the secret was not found: ns/account",
		}},
		{"key unreadable", func(_ *Issuer, s *secrets) { s.fail = errors.New("no answer from 10.0.0.1:31337") }, refusal{
			fault.Transient, "ErrVerifyACMEAccount", "Failed to verify ACME account: the secret ns/account cannot be read",
		}},
		{"no entry", func(i *Issuer, _ *secrets) { i.Spec.PrivateKey.Key = "other" }, refusal{
			fault.User, "ErrVerifyACMEAccount", `Account private key is invalid: the secret ns/account does not have key "other"`,
		}},
		{"no key in it", func(_ *Issuer, s *secrets) { s.data["account"]["tls.key"] = []byte("hunter2") }, refusal{
			fault.User, "ErrVerifyACMEAccount", "Account private key is invalid: no PEM data was found in given input",
		}},
		{"Ed25519", func(_ *Issuer, s *secrets) { s.data["account"]["tls.key"] = edKey }, refusal{
			fault.User, "ErrVerifyACMEAccount", `ACME private key in "account" is not of type RSA or ECDSA`,
		}},
		{"solvers without credentials", func(i *Issuer, s *secrets) {
			s.data["tsig"] = map[string][]byte{"here": []byte("x")}
			i.Spec.Solvers = []acmev1.ACMEChallengeSolver{solver("gone", "key"), solver("tsig", "here"), solver("tsig", "missing"), solver("gone", "key")}
		}, refusal{
			fault.User, "InvalidSolver", `failed to get secret "gone": it does not exist in namespace "ns"; the secret "tsig" does not have key "missing"`,
		}},
		{"solvers that cannot work", func(i *Issuer, s *secrets) {
			s.data["tsig"] = map[string][]byte{"here": []byte("x")}
			port, algorithm, keyless := solver("tsig", "here"), solver("tsig", "here"), solver("", "")
			port.DNS01.RFC2136.Nameserver, algorithm.DNS01.RFC2136.TSIGAlgorithm = "192.0.2.1:dns", "hmac-sha256."
			both := solver("tsig", "here")
			both.HTTP01 = &acmev1.ACMEChallengeSolverHTTP01{}
			wait := solver("tsig", "here")
			wait.WaitInsteadOfSelfCheck = &metav1.Duration{Duration: -time.Second}
			i.Spec.Solvers = []acmev1.ACMEChallengeSolver{port, algorithm, keyless, {}, both, wait}
		}, refusal{
			fault.User, "InvalidSolver", `spec.acme.solvers[0].dns01.rfc2136.nameserver: Invalid value: "192.0.2.1:dns": nameserver must be set in the form host:port where host is an IPv4 address, an enclosed IPv6 address or a hostname and port is an optional port number.; ` +
				`spec.acme.solvers[1].dns01.rfc2136.tsigAlgorithm: Unsupported value: "hmac-sha256.": supported values: "HMACMD5", "HMACSHA1", "HMACSHA256", "HMACSHA512"; ` +
				`spec.acme.solvers[2].dns01.rfc2136.tsigSecretSecretRef.name: Required value: secret name is required; spec.acme.solvers[2].dns01.rfc2136.tsigSecretSecretRef.key: Required value: secret key is required; ` +
				`spec.acme.solvers[3]: Required value: no solver type configured; ` +
				`spec.acme.solvers[4]: Forbidden: may not specify more than one solver type in a single solver; ` +
				`spec.acme.solvers[5].waitInsteadOfSelfCheck: Invalid value: "-1s": waitInsteadOfSelfCheck must not be negative`,
		}},
		{"no Secret with the EAB key", func(i *Issuer, _ *secrets) { i.Spec.ExternalAccountBinding = eab }, refusal{
			fault.User, "ErrRegisterACMEAccount", `Failed to register ACME account: failed to find external account binding key data in Secret "eab" at index "secret"`,
		}},
		{"EAB key that is not base64url", func(i *Issuer, s *secrets) {
			i.Spec.ExternalAccountBinding = eab
			s.data["eab"] = map[string][]byte{"secret": []byte("hunter2/+")}
		}, refusal{
			fault.User, "ErrRegisterACMEAccount", "Failed to register ACME account: failed to decode external account binding key data: it is not base64url",
		}},
		{"no CA in the bundle", func(i *Issuer, _ *secrets) { i.Spec.CABundle = []byte("none") }, refusal{
			fault.User, "InvalidConfig", "Failed to register ACME account: the CA bundle for the ACME server has no PEM certificate in it",
		}},
		{"server out of reach", func(i *Issuer, _ *secrets) { i.Spec.Server = "https://127.0.0.1:1/directory" }, refusal{
			fault.Transient, "ErrRegisterACMEAccount", "Failed to register ACME account: cannot reach the ACME server 127.0.0.1:1: connection refused",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, i := newSetup(), issuerFor("https://127.0.0.1:1/directory", nil)
			s.secrets.data["account"] = map[string][]byte{"tls.key": ecdsaKey}
			i.Status.URI = "https://other.example/account/1"
			test.change(&i, s.secrets)
			status, came, err := s.Run(t.Context(), i)
			var f *fault.Error
			if !errors.As(err, &f) {
				t.Fatalf("error %v is no fault", err)
			}
			if diff := cmp.Diff(test.want, refusal{f.Class, f.Reason, f.Message}); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if _, _, ok := s.Accounts.Get("u"); ok || came {
				t.Error("the account is in use")
			}
			if status.LastPrivateKeyHash != "" {
				t.Errorf("status %+v", status)
			}
		})
	}
}

// readKey checks the Secret of a key that was made, and returns the key.
func readKey(t *testing.T, data map[string][]byte) crypto.Signer {
	t.Helper()
	block, rest := pem.Decode(data["tls.key"])
	if block == nil || block.Type != "RSA PRIVATE KEY" || len(rest) > 0 || len(data) != 1 {
		t.Fatalf("the Secret has keys %v", maps.Keys(data))
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil || key.N.BitLen() != 2048 {
		t.Fatalf("key of %d bits, error %v", key.N.BitLen(), err)
	}
	return key
}

func hashOf(key crypto.Signer) string {
	sum := sha256.Sum256(x509.MarshalPKCS1PrivateKey(key.(*rsa.PrivateKey)))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (s *setup) run(t *testing.T, i *Issuer) bool {
	t.Helper()
	status, came, err := s.Run(t.Context(), *i)
	if err != nil {
		t.Fatal(err)
	}
	i.Status, i.Ready = status, true
	return came
}

func (s *setup) contact(t *testing.T) []string {
	t.Helper()
	client, _, ok := s.Accounts.Get("u")
	if !ok {
		t.Fatal("no account is in use")
	}
	account, err := client.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.asked()
	return account.Contact
}

func TestAccountAtPebble(t *testing.T) {
	server := pebble.Start(t, pebble.Options{Env: []string{"PEBBLE_WFE_NONCEREJECT=0"}})
	s, i := newSetup(), issuerFor(server.DirectoryURL, server.CABundle)

	if !s.run(t, &i) {
		t.Error("registered, and not come into use")
	}
	key := readKey(t, s.secrets.data["account"])
	first := acmev1.ACMEIssuerStatus{URI: i.Status.URI, LastRegisteredEmail: "Admin@Example.com", LastPrivateKeyHash: hashOf(key)}
	if diff := cmp.Diff(first, i.Status); diff != "" || !strings.HasPrefix(i.Status.URI, "https://") {
		t.Errorf("status, -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"mailto:admin@example.com"}, s.contact(t)); diff != "" {
		t.Errorf("contact, -want +got:\n%s", diff)
	}

	if s.run(t, &i) || len(s.asked()) != 0 || i.Status != first {
		t.Errorf("nothing has changed, and status is %+v", i.Status)
	}
	restarted := newSetup()
	restarted.secrets = s.secrets
	restarted.Store = s.secrets
	if came, asked := restarted.run(t, &i), restarted.asked(); !came || len(asked) != 0 || i.Status != first {
		t.Errorf("after a restart: came into use %t, asked %v, status %+v", came, asked, i.Status)
	}
	if diff := cmp.Diff([]string{"mailto:admin@example.com"}, restarted.contact(t)); diff != "" {
		t.Errorf("contact after a restart, -want +got:\n%s", diff)
	}

	i.Spec = i.Spec.DeepCopy()
	i.Spec.Email = "new@example.com"
	if s.run(t, &i) || i.Status.LastRegisteredEmail != "new@example.com" || i.Status.URI != first.URI {
		t.Errorf("with another address: status %+v", i.Status)
	}
	if asked := s.asked(); !cmp.Equal(asked[len(asked)-1], "update_registration") {
		t.Errorf("with another address: asked %v", asked)
	}
	if diff := cmp.Diff([]string{"mailto:new@example.com"}, s.contact(t)); diff != "" {
		t.Errorf("contact, -want +got:\n%s", diff)
	}

	s.Accounts.Suspect("u", begin, begin, "")
	if !s.run(t, &i) || len(s.asked()) == 0 {
		t.Error("a suspect account is not registered again")
	}

	delete(s.secrets.data, "account")
	s.run(t, &i)
	if next := readKey(t, s.secrets.data["account"]); i.Status.URI == first.URI || i.Status.LastPrivateKeyHash != hashOf(next) {
		t.Errorf("with a new key: status %+v", i.Status)
	}
}

func TestServerChange(t *testing.T) {
	one := pebble.Start(t, pebble.Options{Env: []string{"PEBBLE_WFE_NONCEREJECT=0"}})
	s, i := newSetup(), issuerFor(one.DirectoryURL, one.CABundle)
	s.run(t, &i)
	before := i.Status

	i.Spec = i.Spec.DeepCopy()
	i.Spec.Server = "https://127.0.0.1:1/directory"
	status, _, err := s.Run(t.Context(), i)
	if err == nil || status.URI != "" {
		t.Errorf("another server, out of reach: URI %q, error %v", status.URI, err)
	}
	i.Status, i.Ready = status, false

	i.Spec = issuerFor(one.DirectoryURL, one.CABundle).Spec
	s.run(t, &i)
	if diff := cmp.Diff(before, i.Status); diff != "" {
		t.Errorf("back at the first one, -want +got:\n%s", diff)
	}
}

// TestServerOutOfReachKeepsAccount holds that an account is not forgotten for
// a failure that passes.
func TestServerOutOfReachKeepsAccount(t *testing.T) {
	s, i := newSetup(), issuerFor("https://127.0.0.1:1/directory", nil)
	s.secrets.data["account"] = map[string][]byte{"tls.key": encodeKey(t, pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})}
	i.Status = acmev1.ACMEIssuerStatus{URI: "https://127.0.0.1:1/account/7"}
	status, _, err := s.Run(t.Context(), i)
	if err == nil || status.URI != "https://127.0.0.1:1/account/7" {
		t.Errorf("URI %q, error %v", status.URI, err)
	}
}

func TestExternalAccount(t *testing.T) {
	mac := []byte("0123456789abcdef0123456789abcdef")
	server := pebble.Start(t, pebble.Options{
		Env: []string{"PEBBLE_WFE_NONCEREJECT=0"}, EABKeys: map[string][]byte{"kid": mac},
	})
	for _, test := range []struct {
		name, kid, key string
		want           string
	}{
		{"good", "kid", base64.RawURLEncoding.EncodeToString(mac), ""},
		{"padded, with a line break", "kid", base64.URLEncoding.EncodeToString(mac) + "\n", ""},
		{"wrong key", "kid", base64.RawURLEncoding.EncodeToString([]byte("another key of thirty-two bytes!")), "Failed to register ACME account: "},
		{"none", "", "", "Failed to register ACME account: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, i := newSetup(), issuerFor(server.DirectoryURL, server.CABundle)
			if test.kid != "" {
				s.secrets.data["eab"] = map[string][]byte{"secret": []byte(test.key)}
				i.Spec.ExternalAccountBinding = &acmev1.ACMEExternalAccountBinding{
					KeyID: test.kid, Key: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "eab"}, Key: "secret"},
				}
			}
			status, came, err := s.Run(t.Context(), i)
			if test.want == "" {
				if err != nil || !came || status.URI == "" {
					t.Errorf("status %+v, error %v", status, err)
				}
				return
			}
			f := fault.Of(err)
			if f == nil || f.Class != fault.User || f.Reason != "ErrRegisterACMEAccount" || !strings.HasPrefix(f.Message, test.want) || strings.Contains(f.Message, test.key) && test.key != "" {
				t.Errorf("error %+v", f)
			}
		})
	}
}
