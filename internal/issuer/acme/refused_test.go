package acme

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/test/pebble"
)

// TestAccountKeyThatCannotBeStored holds that the message has the API server's
// cause, without anything that may quote the key or that differs each time.
func TestAccountKeyThatCannotBeStored(t *testing.T) {
	secretsResource := schema.GroupResource{Resource: "secrets"}
	terminating := apierrors.NewForbidden(secretsResource, "account", errors.New("unable to create new content in namespace ns because it is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	const refusedByPolicy = `: the API server answers "Forbidden"; change the policy, or what it refuses`
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{
			"quota", apierrors.NewForbidden(secretsResource, "account", errors.New("exceeded quota: q, requested: count/secrets=1, used: count/secrets=0, limited: count/secrets=0")),
			": exceeded quota: q; raise the quota, or delete objects that are not needed",
		},
		{"namespace that is being deleted", terminating, `: the API server answers "Forbidden"`},
		{"a policy that quotes the key", apierrors.NewForbidden(secretsResource, "account", errors.New("no: -----BEGIN RSA PRIVATE KEY-----")), refusedByPolicy},
		{"a policy that quotes the data", apierrors.NewForbidden(secretsResource, "account", errors.New("no: "+base64.StdEncoding.EncodeToString([]byte("-----BEGIN RSA")))), refusedByPolicy},
		{"a policy that says much", apierrors.NewForbidden(secretsResource, "account", errors.New(strings.Repeat("x", 400))), refusedByPolicy},
		{"invalid", apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "account", nil), `: the API server answers "Invalid"; correct what the API server refuses`},
		{"overload", apierrors.NewTooManyRequests("later", 1), `: the API server answers "TooManyRequests"`},
		{"no answer", errors.New("dial tcp 10.0.0.1:6443: connection refused"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, i := newSetup(), issuerFor("https://127.0.0.1:1/directory", nil)
			s.secrets.refuse = test.err
			_, _, err := s.Run(t.Context(), i)
			f := fault.Of(err)
			if want := "Failed to register ACME account: the account key cannot be stored in secret ns/account" + test.want; f.Message != want || f.Reason != "ErrRegisterACMEAccount" || f.Class != fault.Transient {
				t.Errorf("got  %v %s: %s\nwant %s", f.Class, f.Reason, f.Message, want)
			}
			// The driver retries nothing in a namespace that is being deleted.
			if ended := apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause); ended != (test.err == error(terminating)) {
				t.Errorf("the namespace is being deleted: %t", ended)
			}
		})
	}
}

// TestAccountKeyOfAnotherIssuer holds that of two issuers that make a key for one
// Secret at the same time, the slower one takes the key that is there.
func TestAccountKeyOfAnotherIssuer(t *testing.T) {
	stored := encodeKey(t, pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	for _, test := range []struct {
		name   string
		faster map[string][]byte
		want   string
	}{
		{"with a key", map[string][]byte{"tls.key": stored}, "Failed to register ACME account: cannot reach the ACME server 127.0.0.1:1: connection refused"},
		{"without the entry", map[string][]byte{"x": stored}, `Account private key is invalid: the secret ns/account does not have key "tls.key"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, i := newSetup(), issuerFor("https://127.0.0.1:1/directory", nil)
			s.secrets.faster = test.faster
			if _, _, err := s.Run(t.Context(), i); fault.Of(err).Message != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			if !bytes.Equal(s.secrets.data["account"]["tls.key"], test.faster["tls.key"]) {
				t.Error("the key of the other issuer was replaced")
			}
		})
	}
}

// TestRefusedAccountIsNotReady holds that an issuer whose account the server
// refuses, although it registers, says so instead of Ready.
func TestRefusedAccountIsNotReady(t *testing.T) {
	server := pebble.Start(t, pebble.Options{Env: []string{"PEBBLE_WFE_NONCEREJECT=0"}})
	s, i := newSetup(), issuerFor(server.DirectoryURL, server.CABundle)
	s.run(t, &i)
	clock := s.Clock.(*clocktesting.FakePassiveClock)
	refuse := func() { s.Accounts.Suspect("u", clock.Now(), clock.Now(), "403 userActionRequired: agree") }
	clock.SetTime(at(time.Second))
	refuse()
	s.run(t, &i) // the first time, registering may help
	clock.SetTime(at(2 * time.Second))
	refuse()
	s.asked()
	_, came, err := s.Run(t.Context(), i)
	f := fault.Of(err)
	if f == nil || f.Class != fault.Later || f.Reason != "ErrVerifyACMEAccount" || !f.At.Equal(at(2*time.Second+time.Minute)) ||
		f.Message != "Failed to verify ACME account: the ACME server refuses to work for the account: 403 userActionRequired: agree" {
		t.Errorf("%+v", f)
	}
	if came || len(s.asked()) != 0 {
		t.Error("the account comes into use, or is registered before its time")
	}
	clock.SetTime(f.At)
	if i.Ready = false; !s.run(t, &i) {
		t.Error("it is not registered again at its time")
	}
}

// TestExistingAccountNeedsNoBinding holds that the key of an external account
// binding is used for a new account only.
func TestExistingAccountNeedsNoBinding(t *testing.T) {
	mac := []byte("0123456789abcdef0123456789abcdef")
	server := pebble.Start(t, pebble.Options{Env: []string{"PEBBLE_WFE_NONCEREJECT=0"}, EABKeys: map[string][]byte{"kid": mac}})
	s, i := newSetup(), issuerFor(server.DirectoryURL, server.CABundle)
	s.secrets.data["eab"] = map[string][]byte{"secret": []byte(base64.RawURLEncoding.EncodeToString(mac))}
	i.Spec.ExternalAccountBinding = &acmev1.ACMEExternalAccountBinding{
		KeyID: "kid", Key: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "eab"}, Key: "secret"},
	}
	s.run(t, &i)
	first := i.Status.URI
	delete(s.secrets.data, "eab")
	s.Accounts.Suspect("u", begin, begin, "")
	if !s.run(t, &i) || i.Status.URI != first {
		t.Errorf("the account is now %q, was %q", i.Status.URI, first)
	}
	i.Spec = i.Spec.DeepCopy()
	i.Spec.Email = "new@example.com"
	if s.run(t, &i); i.Status.LastRegisteredEmail != "new@example.com" {
		t.Errorf("status %+v", i.Status)
	}
	delete(s.secrets.data, "account")
	if _, _, err := s.Run(t.Context(), i); err == nil || !strings.Contains(err.Error(), "failed to find external account binding key data") {
		t.Errorf("a new account without the binding: %v", err)
	}
}
