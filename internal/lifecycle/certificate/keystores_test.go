package certificate

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// withStores is a Certificate with both keystores, and its Secret as it was stored. change
// is what has happened to the Secret since.
func withStores(ca []byte, change func(*corev1.Secret)) (State, Material, map[string][]byte) {
	c := issuedState(withKeystores(true, true), withFormats("DER"))
	r := firstRequest(c.Object, func(r *cmv1.CertificateRequest) { r.Status.CA = ca })
	c.Requests, c.PasswordVersions = factsOf(r), map[string]string{"pw": ""}
	m := materialFor(r, pki.PKCS1)
	var data map[string][]byte
	c.Secret = secretFor(c, r, key(1), func(s *corev1.Secret) {
		s.Data = must(Data(&c.Object.Spec, m, passwordsOf, nil, pki.Limits{}, now))
		manage(s)
		change(s)
		data = s.Data
	})
	return c, m, data
}

// TestLockedKeystores has keystore.p12 without its password, and keystore.jks with it:
// what does not need the password is repaired, and keystore.p12 keeps its bytes.
func TestLockedKeystores(t *testing.T) {
	write := func(entry string) func(*corev1.Secret) {
		return func(s *corev1.Secret) { s.Data[entry] = []byte("x") }
	}
	lose := func(entry string) func(*corev1.Secret) {
		return func(s *corev1.Secret) { delete(s.Data, entry); manage(s) }
	}
	const missing = `failed to add keystores to Secret: fetching PKCS12 keystore password from Secret: secret "pw" not found; create it with an entry "p"`
	told := []plan.Event{{Warning: true, Reason: "KeystorePasswordSecretNotFound", Message: missing, Component: "cert-manager-certificates-issuing"}}
	for _, test := range []struct {
		name   string
		change func(*corev1.Secret)
		want   plan.Action
		events []plan.Event
	}{
		{"as it is", func(*corev1.Secret) {}, nil, nil},
		{"label", func(s *corev1.Secret) { s.Labels = nil }, RepairSecret{Why: Violation{reasonMetadata, "Secret's labels differ from those that it should have"}, KeepLocked: true}, told},
		{"key.der", write("key.der"), RepairSecret{Why: Violation{reasonFormats, `Secret's entry "key.der" does not follow from certificate and key`}, KeepLocked: true}, told},
		{"keystore that opens", write("keystore.jks"), RepairSecret{Why: Violation{reasonKeystore, `Secret's entry "keystore.jks" is not as spec.keystores wants it: it is malformed`}, KeepLocked: true}, told},
		{"keystore that does not", write("keystore.p12"), nil, nil},
		{"lost keystore", lose("keystore.p12"), RepairSecret{Why: Violation{reasonKeystore, `Secret's entry "keystore.p12" is missing or empty`}}, nil},
		{"lost truststore", lose("truststore.p12"), RepairSecret{Why: Violation{reasonKeystore, `Secret's entry "truststore.p12" is missing or empty`}}, nil},
		{"lost keystore and label", func(s *corev1.Secret) { lose("keystore.p12")(s); s.Labels = nil }, RepairSecret{Why: Violation{reasonMetadata, "Secret's labels differ from those that it should have"}, KeepLocked: true}, told},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, m, data := withStores(pki.EncodeChain(authority()), test.change)
			_, err := Keystores(&c.Object.Spec)[0].Password(nil)
			locked := []Locked{{Keystores(&c.Object.Spec)[0], fault.Of(err)}}
			known := map[string][]byte{"keystore.jks": passwordsOf["keystore.jks"]}
			c.Keystores = c.CheckedKeystores(m, known, data, locked, pki.Limits{})
			p := c.Next(now)
			if diff := cmp.Diff(test.want, p.Do); diff != "" {
				t.Errorf("action (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.events, p.Events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			written := must(Data(&c.Object.Spec, m, known, data, pki.Limits{}, now))
			for _, entry := range []string{"keystore.p12", "truststore.p12"} {
				if !slices.Equal(written[entry], data[entry]) {
					t.Errorf("%s is not as before", entry)
				}
			}
			if opens := Keystores(&c.Object.Spec)[1].format.CheckKeystore(written["keystore.jks"], must(contentOf(m, pki.Limits{})), known["keystore.jks"]); opens != nil {
				t.Errorf("keystore.jks: %v", opens)
			}
			// The next look finds what still needs the password, and nothing else.
			c.Keystores = c.StoredKeystores(known, locked)
			if c.Keystores.Locked == nil || c.Keystores.Unfit != "" {
				t.Errorf("known: %+v", c.Keystores)
			}
		})
	}
}

// TestUnreadableCA has an issuer that returns a CA that is none: the certificate is stored
// with it, without a truststore, and a Warning says so once.
func TestUnreadableCA(t *testing.T) {
	c, m, data := withStores([]byte("ca"), func(*corev1.Secret) {})
	if diff := cmp.Diff([]string{"ca.crt", "key.der", "keystore.jks", "keystore.p12", "tls.crt", "tls.key"}, slices.Sorted(maps.Keys(data))); diff != "" || string(data["ca.crt"]) != "ca" {
		t.Errorf("entries (-want +got):\n%s, ca.crt %q", diff, data["ca.crt"])
	}
	c.Keystores = c.StoredKeystores(passwordsOf, nil)
	if p := c.Next(now); p.Do != nil || len(p.Events) > 0 {
		t.Errorf("stored and known: %v, %v", p.Do, p.Events)
	}
	c.Keystores = c.CheckedKeystores(m, passwordsOf, data, nil, pki.Limits{})
	if p := c.Next(now); p.Do != nil || len(p.Events) > 0 {
		t.Errorf("looked at again: %v, %v", p.Do, p.Events)
	}

	c.Object.Status.Revision = nil
	p := c.Next(now)
	want := plan.Event{
		Warning: true, Reason: "InvalidCA", Component: "cert-manager-certificates-issuing",
		Message: `The issuer returned a certificate of its CA that cannot be parsed: ` + pki.ErrNoPEM.Error() + `; entry "ca.crt" of Secret "app/web-tls" has it as it is, and there is no truststore; correct the issuer, and renew the certificate`,
	}
	if !issued(p) || !slices.Contains(p.Events, want) {
		t.Errorf("events %+v", p.Events)
	}
	// Nobody needs to know of it without keystores.
	c.Object.Spec.Keystores = nil
	if p := c.Next(now); slices.ContainsFunc(p.Events, func(e plan.Event) bool { return e.Warning }) {
		t.Errorf("without keystores: %+v", p.Events)
	}
}

// issued reports whether a plan ends an issuance.
func issued(p Plan) bool {
	return slices.ContainsFunc(p.Events, func(e plan.Event) bool { return strings.HasSuffix(e.Message, "successfully issued") })
}

// TestRestoredSecret has a Secret with keystores that a tool for backups has put back,
// and a Certificate that has been made again: everything is taken over, and no value
// changes.
func TestRestoredSecret(t *testing.T) {
	c, _, data := withStores(pki.EncodeChain(authority()), func(s *corev1.Secret) { s.ManagedFields = nil })
	c.Object.Status, c.Requests = cmv1.CertificateStatus{}, nil
	if _, checks := c.Next(now).Do.(CheckKeystores); !checks {
		t.Fatalf("does %v", c.Next(now).Do)
	}
	c.Keystores = c.CheckedKeystores(c.Present(data), passwordsOf, data, nil, pki.Limits{})
	const others = "were written by others, as managedFields say: they are taken over"
	want := []string{
		"Secret's labels are right, but " + others + ", and no value changes", "Secret's annotations are right, but " + others + ", and no value changes",
		"Secret's entries key.der, keystore.jks, keystore.p12, tls.crt, tls.key, truststore.jks, truststore.p12 " + others,
	}
	p := c.Next(now)
	if diff := cmp.Diff(plan.Action(RepairSecret{Why: Violation{reasonMetadata, want[0]}}), p.Do); diff != "" || len(p.Events) > 0 || issuing(p.Status) {
		t.Errorf("events %v, conditions %v, action (-want +got):\n%s", p.Events, p.Status.Conditions, diff)
	}
	if diff := cmp.Diff(want, c.Drift()); diff != "" {
		t.Errorf("drift (-want +got):\n%s", diff)
	}
	written := must(Data(&c.Object.Spec, c.Present(data), passwordsOf, data, pki.Limits{}, now.Add(hour)))
	if diff := cmp.Diff(data, written); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// TestLockedChange has a change of the spec while the password of a keystore that exists
// is missing: a Warning says once that the keystore stays as it is.
func TestLockedChange(t *testing.T) {
	c, m, data := withStores(pki.EncodeChain(authority()), func(*corev1.Secret) {})
	store := Keystores(&c.Object.Spec)[0]
	_, err := store.Password(nil)
	c.Keystores = c.CheckedKeystores(m, map[string][]byte{"keystore.jks": passwordsOf["keystore.jks"]}, data, []Locked{{store, fault.Of(err)}}, pki.Limits{})
	c.Object.Generation++
	p := c.Next(now)
	want := []plan.Event{{
		Warning: true, Reason: "KeystorePasswordSecretNotFound", Component: "cert-manager-certificates-issuing",
		Message: `failed to add keystores to Secret: fetching PKCS12 keystore password from Secret: secret "pw" not found; create it with an entry "p"; entry "keystore.p12" stays as it is, whatever has changed in spec.keystores`,
	}}
	if diff := cmp.Diff(want, p.Events); diff != "" || p.Do != nil {
		t.Errorf("does %v, events (-want +got):\n%s", p.Do, diff)
	}
	c.Object.Status = p.Status
	if p := c.Next(now); len(p.Events) > 0 {
		t.Errorf("said again: %v", p.Events)
	}
}

// TestKeystorePause has a password that changes again and again: the keystores are looked at
// at once, and then not before a pause has passed, even if they have been made again.
func TestKeystorePause(t *testing.T) {
	c, m, data := withStores(pki.EncodeChain(authority()), func(*corev1.Secret) {})
	c.Keystores = c.CheckedKeystores(m, passwordsOf, data, nil, pki.Limits{})
	c.Keystores.Next = now.Add(KeystorePause)
	c.PasswordVersions = map[string]string{"pw": "changed"}
	for name, look := range map[string]func() KeystoreCheck{
		"looked":     func() KeystoreCheck { return c.Keystores },
		"made again": func() KeystoreCheck { return c.StoredKeystores(passwordsOf, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			c.Keystores = look()
			c.PasswordVersions = map[string]string{"pw": "changed after it was " + name}
			if p := c.Next(now); p.Do != nil || !p.Until.Equal(now.Add(KeystorePause)) {
				t.Errorf("does %v, until %s, want nothing until %s", p.Do, p.Until, now.Add(KeystorePause))
			}
			if p := c.Next(now.Add(KeystorePause)); p.Do != plan.Action(CheckKeystores{}) {
				t.Errorf("does %v after the pause, want a look", p.Do)
			}
		})
	}
}
