package certificate

import (
	"encoding/pem"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/pki/keystore"
	"github.com/everleaf/everleaf/internal/plan"
)

// The parts of specs that ask for more entries.
func withFormats(types ...cmv1.CertificateOutputFormatType) func(*cmv1.Certificate) {
	return func(crt *cmv1.Certificate) {
		for _, f := range types {
			crt.Spec.AdditionalOutputFormats = append(crt.Spec.AdditionalOutputFormats, cmv1.CertificateAdditionalOutputFormat{Type: f})
		}
	}
}

func withKeystores(p12, jks bool) func(*cmv1.Certificate) {
	return func(crt *cmv1.Certificate) {
		ref := cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "pw"}, Key: "p"}
		crt.Spec.Keystores = &cmv1.CertificateKeystores{
			PKCS12: &cmv1.PKCS12Keystore{Create: p12, PasswordSecretRef: ref},
			JKS:    &cmv1.JKSKeystore{Create: jks, Password: ptr.To("literal")},
		}
	}
}

// specOf is the spec of a Certificate.
func specOf(change ...func(*cmv1.Certificate)) *cmv1.CertificateSpec {
	return &newCertificate(change...).Spec
}

// withCA is a request whose issuer returns the CA's certificate.
func withCA(r *cmv1.CertificateRequest) { r.Status.CA = pki.EncodeChain(authority()) }

// materialFor is what the answer of a request and key 1 make.
func materialFor(r *cmv1.CertificateRequest, encoding pki.Encoding) Material {
	return Material{Chain: r.Status.Certificate, Key: must(pki.EncodeKey(key(1), encoding)), CA: r.Status.CA}
}

var passwordsOf = map[string][]byte{"keystore.p12": []byte("one"), "keystore.jks": []byte("literal")}

// TestData has the entries of Secrets.
func TestData(t *testing.T) {
	for _, test := range []struct {
		name string
		spec *cmv1.CertificateSpec
		ca   bool
		want []string
	}{
		{"nothing more", specOf(), false, []string{"tls.crt", "tls.key"}},
		{"CA", specOf(), true, []string{"ca.crt", "tls.crt", "tls.key"}},
		{"DER", specOf(withFormats("DER")), true, []string{"ca.crt", "key.der", "tls.crt", "tls.key"}},
		{"both formats", specOf(withFormats("CombinedPEM", "DER")), false, []string{"key.der", "tls-combined.pem", "tls.crt", "tls.key"}},
		{"no keystore is to be created", specOf(withKeystores(false, false)), true, []string{"ca.crt", "tls.crt", "tls.key"}},
		{"PKCS#12", specOf(withKeystores(true, false)), true, []string{"ca.crt", "keystore.p12", "tls.crt", "tls.key", "truststore.p12"}},
		{"JKS, no CA", specOf(withKeystores(false, true)), false, []string{"keystore.jks", "tls.crt", "tls.key"}},
		{
			"all", specOf(withKeystores(true, true), withFormats("DER", "CombinedPEM")), true,
			[]string{"ca.crt", "key.der", "keystore.jks", "keystore.p12", "tls-combined.pem", "tls.crt", "tls.key", "truststore.jks", "truststore.p12"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := firstRequest(newCertificate())
			if test.ca {
				withCA(r)
			}
			for _, encoding := range []pki.Encoding{pki.PKCS1, pki.PKCS8} {
				m := materialFor(r, encoding)
				data, err := Data(test.spec, m, passwordsOf, nil, pki.Limits{}, now)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, slices.Sorted(maps.Keys(data))); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(test.want, dataKeys(test.spec, test.ca, true)); diff != "" {
					t.Error(diff)
				}
				block, _ := pem.Decode(m.Key)
				for entry, want := range map[string]string{
					"tls.crt": string(m.Chain), "tls.key": string(m.Key), "ca.crt": string(m.CA), "key.der": string(block.Bytes),
					"tls-combined.pem": string(m.Key) + "\n" + string(m.Chain),
				} {
					if got, ok := data[entry]; ok && string(got) != want {
						t.Errorf("%s: %q, want %q", entry, got, want)
					}
				}
				// Keystores that are there stay, byte for byte.
				again, err := Data(test.spec, m, passwordsOf, data, pki.Limits{}, now.Add(hour))
				if diff := cmp.Diff(data, again); err != nil || diff != "" {
					t.Errorf("%v %s", err, diff)
				}
			}
		})
	}
	if _, err := Data(specOf(withFormats("PFX")), Material{}, nil, nil, pki.Limits{}, now); err == nil || err.Error() != `failed to add additional output formats to Secret: unknown additional output format "PFX"` {
		t.Errorf("error %v", err)
	}
}

// TestDrift has Secrets that are not, or not any more, what the spec wants.
func TestDrift(t *testing.T) {
	all := func(crt *cmv1.Certificate) {
		withFormats("DER", "CombinedPEM")(crt)
		withKeystores(true, true)(crt)
	}
	unfit := func(entry, why string) *Violation {
		return &Violation{reasonKeystore, `Secret's entry "` + entry + `" is not as spec.keystores wants it: ` + why}
	}
	lose := func(key string) func(*corev1.Secret) {
		return func(s *corev1.Secret) { delete(s.Data, key); manage(s) }
	}
	write := func(key, value string) func(*corev1.Secret) {
		return func(s *corev1.Secret) { manage(s); s.Data[key] = []byte(value) }
	}
	takes := func(key string) func(*corev1.Secret) {
		return func(s *corev1.Secret) {
			kept := s.Data[key]
			delete(s.Data, key)
			manage(s)
			s.Data[key] = kept
		}
	}
	metadata := func(what string) *Violation {
		return &Violation{reasonMetadata, "Secret's " + what + " differ from those that it should have"}
	}
	for _, test := range []struct {
		name   string
		before func(*cmv1.Certificate)
		secret func(*corev1.Secret)
		after  func(*cmv1.Certificate)
		want   *Violation
	}{
		{"as it is", all, nil, nil, nil},
		{"nothing more", nil, nil, nil, nil},
		{"key.der is added", nil, nil, withFormats("DER"), &Violation{reasonFormats, `Secret's entry "key.der" is missing or empty`}},
		{"formats are removed", all, nil, func(crt *cmv1.Certificate) { crt.Spec.AdditionalOutputFormats = nil }, &Violation{reasonFormats, `Secret's entry "key.der" is not wanted any more`}},
		{"key.der is changed", all, write("key.der", "x"), nil, &Violation{reasonFormats, `Secret's entry "key.der" does not follow from certificate and key`}},
		{"tls-combined.pem is changed", all, write("tls-combined.pem", "x"), nil, &Violation{reasonFormats, `Secret's entry "tls-combined.pem" does not follow from certificate and key`}},
		{"tls-combined.pem is somebody else's", all, takes("tls-combined.pem"), nil, &Violation{reasonFormats, `Secret's entry "tls-combined.pem" was written by others, as managedFields say: it is taken over`}},
		{"somebody's own key.der", nil, func(s *corev1.Secret) { manage(s); s.Data["key.der"] = []byte("x") }, nil, nil},
		{"ca.crt is lost", all, lose("ca.crt"), nil, &Violation{reasonData, `Secret's entry "ca.crt" is missing or empty`}},
		{"ca.crt is somebody else's", nil, func(s *corev1.Secret) { lose("ca.crt")(s); s.Data["ca.crt"] = []byte("x") }, nil, nil},
		{"ca.crt is somebody else's, and there are truststores", all, func(s *corev1.Secret) { lose("ca.crt")(s); s.Data["ca.crt"] = []byte("x") }, nil, &Violation{reasonData, `Secret's entry "ca.crt" was written by others, and is no certificate`}},
		{"label is lost", all, func(s *corev1.Secret) { manage(s); s.Labels = nil }, nil, metadata("labels")},
		{"label is not wanted any more", func(crt *cmv1.Certificate) {
			crt.Spec.SecretTemplate = &cmv1.CertificateSecretTemplate{Labels: map[string]string{"a": "b"}}
		}, nil, func(crt *cmv1.Certificate) { crt.Spec.SecretTemplate = nil }, &Violation{reasonMetadata, "Secret's labels have some that are not wanted any more"}},
		{"template", all, nil, func(crt *cmv1.Certificate) {
			crt.Spec.SecretTemplate = &cmv1.CertificateSecretTemplate{Annotations: map[string]string{"a": "b"}}
		}, metadata("annotations")},
		{"keystores are added", nil, nil, withKeystores(true, true), &Violation{reasonKeystore, `Secret's entry "keystore.jks" is missing or empty`}},
		{"JKS is replaced by PKCS#12", withKeystores(false, true), nil, withKeystores(true, false), &Violation{reasonKeystore, `Secret's entry "keystore.p12" is missing or empty`}},
		{"no keystore is to be created", all, nil, withKeystores(false, false), &Violation{reasonKeystore, `Secret's entry "keystore.jks" is not wanted any more`}},
		{"keystores are dropped", all, nil, func(crt *cmv1.Certificate) { crt.Spec.Keystores = nil }, &Violation{reasonKeystore, `Secret's entry "keystore.jks" is not wanted any more`}},
		{"truststore is lost", all, lose("truststore.p12"), nil, &Violation{reasonKeystore, `Secret's entry "truststore.p12" is missing or empty`}},
		{"keystore is damaged", all, write("keystore.jks", "x"), nil, unfit("keystore.jks", "it is malformed")},
		{"profile", all, nil, func(crt *cmv1.Certificate) { crt.Spec.Keystores.PKCS12.Profile = cmv1.Modern2026PKCS12Profile }, unfit("keystore.p12", "it has another profile")},
		{"same profile", all, nil, func(crt *cmv1.Certificate) { crt.Spec.Keystores.PKCS12.Profile = cmv1.LegacyRC2PKCS12Profile }, nil},
		{"alias", all, nil, func(crt *cmv1.Certificate) { crt.Spec.Keystores.JKS.Alias = ptr.To("web") }, unfit("keystore.jks", "its key has another alias")},
		{"same alias", all, nil, func(crt *cmv1.Certificate) { crt.Spec.Keystores.JKS.Alias = ptr.To("Certificate") }, nil},
		{"password", all, nil, func(crt *cmv1.Certificate) { crt.Spec.Keystores.JKS.Password = ptr.To("two") }, unfit("keystore.jks", "it has another password")},
		{"alias of no keystore", withKeystores(true, false), nil, func(crt *cmv1.Certificate) { crt.Spec.Keystores.JKS.Alias = ptr.To("web") }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var change []func(*cmv1.Certificate)
			if test.before != nil {
				change = append(change, test.before)
			}
			c := issuedState(change...)
			r := firstRequest(c.Object, withCA)
			c.Requests = factsOf(r)
			m := materialFor(r, pki.PKCS1)
			var s *corev1.Secret
			c.Secret = secretFor(c, r, key(1), func(made *corev1.Secret) {
				made.Data = must(Data(&c.Object.Spec, m, passwordsOf, nil, pki.Limits{}, now))
				manage(made)
				if s = made; test.secret != nil {
					test.secret(made)
				}
			})
			if test.after != nil {
				test.after(c.Object)
			}
			// The keystores are looked at once, and then not any more.
			if stores := Keystores(&c.Object.Spec); len(stores) > 0 {
				c.PasswordVersions = map[string]string{"pw": "7"}
				samePlan[plan.Action](t, CheckKeystores{}, c.Next(now).Do)
				passwords := map[string][]byte{}
				for _, k := range stores {
					passwords[k.Keystore] = must(k.Password(map[string][]byte{"p": []byte("one")}))
				}
				c.Keystores = c.CheckedKeystores(m, passwords, s.Data, nil, pki.Limits{})
			}
			p := c.Next(now)
			if test.want == nil {
				samePlan(t, nil, p.Do)
				return
			}
			repair, _ := p.Do.(RepairSecret)
			if diff := cmp.Diff(*test.want, repair.Why); diff != "" {
				t.Error(diff)
			}
			if lost := repair.CA == c.Requests[0]; lost != (repair.Why.Reason == reasonData) {
				t.Errorf("the CA is taken from the request: %t", lost)
			}
			c.Applied = true
			samePlan(t, nil, c.Next(now).Do)
		})
	}
}

// TestKeystoresAreCheckedAgain has what makes a look at the keystores necessary.
func TestKeystoresAreCheckedAgain(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*State)
		want   bool
	}{
		{"nothing", func(*State) {}, false},
		{"status", func(c *State) { c.Object.Status.Conditions = nil }, false},
		{"template", func(c *State) { c.Object.Spec.SecretTemplate = &cmv1.CertificateSecretTemplate{} }, false},
		{"password in its Secret", func(c *State) { c.PasswordVersions["pw"] = "8" }, true},
		{"password Secret is gone", func(c *State) { c.PasswordVersions["pw"] = "" }, true},
		{"password in the spec", func(c *State) { c.Object.Spec.Keystores.JKS.Password = ptr.To("two") }, true},
		{"profile", func(c *State) { c.Object.Spec.Keystores.PKCS12.Profile = "LegacyDES" }, true},
		{"keystore", func(c *State) { c.Secret.Digests[0].Sum[0]++ }, true},
	} {
		c := issuedState(withKeystores(true, true))
		c.PasswordVersions = map[string]string{"pw": "7"}
		c.Keystores = c.StoredKeystores(passwordsOf, nil)
		test.change(&c)
		if inputs, wanted := c.keystoreInputs(); !wanted || (inputs != c.Keystores.Of) != test.want {
			t.Errorf("%s: looked at %t, want %t", test.name, !test.want, test.want)
		}
	}
}

// TestPassword has passwords that can be had, and why not.
func TestPassword(t *testing.T) {
	const failed = "failed to add keystores to Secret: "
	ref := cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "pw"}, Key: "p"}
	literal := func(s string) *cmv1.CertificateKeystores {
		return &cmv1.CertificateKeystores{JKS: &cmv1.JKSKeystore{Create: true, Password: &s}}
	}
	for _, test := range []struct {
		name             string
		spec             *cmv1.CertificateKeystores
		secret           map[string][]byte
		want             string
		reason, complain string
	}{
		{"raw", &cmv1.CertificateKeystores{PKCS12: &cmv1.PKCS12Keystore{Create: true, PasswordSecretRef: ref}}, map[string][]byte{"p": []byte(" a\n")}, " a\n", "", ""},
		{"literal", literal("Zq01$BKr9P"), nil, "Zq01$BKr9P", "", ""},
		{"reference first", &cmv1.CertificateKeystores{JKS: &cmv1.JKSKeystore{Create: true, PasswordSecretRef: ref, Password: ptr.To("a")}}, map[string][]byte{"p": []byte("b")}, "b", "", ""},
		{
			"no Secret", &cmv1.CertificateKeystores{PKCS12: &cmv1.PKCS12Keystore{Create: true, PasswordSecretRef: ref}}, nil, "", EventKeystorePassword,
			failed + `fetching PKCS12 keystore password from Secret: secret "pw" not found; create it with an entry "p"`,
		},
		{
			"no entry", &cmv1.CertificateKeystores{JKS: &cmv1.JKSKeystore{Create: true, PasswordSecretRef: ref}},
			map[string][]byte{"q": []byte("x")},
			"", EventKeystorePassword,
			failed + `JKS keystore password Secret contains no data for key "p"; add it to Secret "pw"`,
		},
		{"empty", literal(""), nil, "", eventWriteFailed, failed + "JKS literal password cannot be empty"},
		{"neither", &cmv1.CertificateKeystores{PKCS12: &cmv1.PKCS12Keystore{Create: true}}, nil, "", eventWriteFailed, failed + "either passwordSecretRef or password must be set for PKCS#12 keystore"},
	} {
		got, err := Keystores(&cmv1.CertificateSpec{Keystores: test.spec})[0].Password(test.secret)
		if string(got) != test.want || (err == nil) != (test.complain == "") {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
		if f := fault.Of(err); f != nil && (f.Class != fault.User || f.Reason != test.reason || f.Message != test.complain) {
			t.Errorf("%s: %+v", test.name, f)
		}
	}
}

// TestEncodingFails has material and passwords that keystores cannot be made of.
func TestEncodingFails(t *testing.T) {
	spec := specOf(withKeystores(true, false))
	m := materialFor(firstRequest(newCertificate(), withCA), pki.PKCS1)
	_, err := Data(spec, m, map[string][]byte{"keystore.p12": []byte("\U0001f511")}, nil, pki.Limits{}, now)
	if f := fault.Of(err); f == nil || f.Class != fault.User || f.Message != "failed to add keystores to Secret: error encoding PKCS12 bundle: pkcs12: string contains characters that cannot be encoded in UCS-2" {
		t.Errorf("password: %+v", f)
	}
	m.Chain = []byte("no certificate")
	var data *pki.DataError
	if _, err := Data(spec, m, passwordsOf, nil, pki.Limits{}, now); !errors.As(err, &data) {
		t.Errorf("certificate: %v", err)
	}
}

// TestPasswordRemarks has an issuance, and a repair, with a password that is hardly
// meant.
func TestPasswordRemarks(t *testing.T) {
	c := issuedState(withKeystores(true, false))
	c.Object.Status.Revision = nil
	c.PasswordVersions = map[string]string{"pw": "7"}
	c.Keystores = c.StoredKeystores(map[string][]byte{"keystore.p12": []byte("ö\n")}, nil)
	remarks := keystore.PKCS12{}.Remarks([]byte("ö\n"))
	var want []plan.Event
	for _, r := range remarks {
		want = append(want, plan.Event{Warning: true, Reason: "KeystorePassword", Component: ManagerIssuing, Message: `The password of keystore.p12 (entry "p" of Secret "app/pw"): ` + r})
	}
	samePlan(t, want, c.Next(now).Events[1:])
	if len(want) != 2 {
		t.Errorf("%d remarks", len(want))
	}
}
