package shim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// TestAnnotations has the rows of the annotations that set fields, each for one
// Ingress, and what is wrong with others.
func TestAnnotations(t *testing.T) {
	type spec = cmv1.CertificateSpec
	subject := func(s cmv1.X509Subject) func(*spec) { return func(c *spec) { c.Subject = &s } }
	key := func(k cmv1.CertificatePrivateKey) func(*spec) { return func(c *spec) { c.PrivateKey = &k } }
	for _, test := range []struct {
		key, value string
		want       func(*spec)
		wrong      string
	}{
		{"common-name", "app", func(c *spec) { c.CommonName = "app" }, ""},
		{"common-name", strings.Repeat("ü", 33), nil, "common name may not be more than 64 bytes"},
		{"alt-names", "b.example.test, c.example.test,app.example.test", func(c *spec) { c.DNSNames = []string{"app.example.test", "b.example.test", "c.example.test"} }, ""},
		{"alt-names", "", func(*spec) {}, ""},
		{"ip-sans", "192.0.2.1, 2001:db8::1", func(c *spec) { c.IPAddresses = []string{"192.0.2.1", "2001:db8::1"} }, ""},
		{"ip-sans", "", func(*spec) {}, ""},
		{"ip-sans", "192.0.2.1,x", nil, `"x" is not a valid IP address`},
		{"ip-sans", "fe80::1%eth0", nil, `"fe80::1%eth0" is not a valid IP address`},
		{"email-sans", "a@example.test, b@example.test", func(c *spec) { c.EmailAddresses = []string{"a@example.test", "b@example.test"} }, ""},
		{"email-sans", "x", nil, `"x" is not a valid email address`},
		{"email-sans", "A <a@example.test>", nil, `"A <a@example.test>" must only contain the email address itself`},
		{"subject-organizations", `a,"b, c"`, subject(cmv1.X509Subject{Organizations: []string{"a", "b, c"}}), ""},
		{"subject-organizations", `a"b`, nil, `parse error on line 1, column 2: bare " in non-quoted-field`},
		{"subject-organizationalunits", "a", subject(cmv1.X509Subject{OrganizationalUnits: []string{"a"}}), ""},
		{"subject-countries", "a", subject(cmv1.X509Subject{Countries: []string{"a"}}), ""},
		{"subject-provinces", "a", subject(cmv1.X509Subject{Provinces: []string{"a"}}), ""},
		{"subject-localities", "a", subject(cmv1.X509Subject{Localities: []string{"a"}}), ""},
		{"subject-postalcodes", "a", subject(cmv1.X509Subject{PostalCodes: []string{"a"}}), ""},
		{"subject-streetaddresses", `"1, High St"`, subject(cmv1.X509Subject{StreetAddresses: []string{"1, High St"}}), ""},
		{"subject-serialnumber", "7", subject(cmv1.X509Subject{SerialNumber: "7"}), ""},
		{"subject-serialnumber", "", func(*spec) {}, ""},
		{"subject-countries", "", func(*spec) {}, ""},
		{"duration", "999h", func(c *spec) { c.Duration = &metav1.Duration{Duration: 999 * time.Hour} }, ""},
		{"duration", "59m", nil, "duration must be greater than or equal to 1h0m0s"},
		{"duration", "1 day", nil, `time: unknown unit " day" in duration "1 day"; write it in hours, minutes and seconds, such as 2160h`},
		{"renew-before", "5m", func(c *spec) { c.RenewBefore = &metav1.Duration{Duration: 5 * time.Minute} }, ""},
		{"renew-before", "299s", nil, "renewBefore must be greater than or equal to 5m0s"},
		{"renew-before-percentage", "25", func(c *spec) { c.RenewBeforePercentage = ptr.To(int32(25)) }, ""},
		{"renew-before-percentage", "x", nil, `strconv.ParseInt: parsing "x": invalid syntax; it must be a whole number`},
		{"usages", "client auth, server auth", func(c *spec) { c.Usages = []cmv1.KeyUsage{"client auth", "server auth"} }, ""},
		{"usages", "Server Auth", nil, `invalid key usage name "Server Auth"`},
		{"revision-history-limit", "7", func(c *spec) { c.RevisionHistoryLimit = ptr.To(int32(7)) }, ""},
		{"revision-history-limit", "0", nil, `revision history limit must be a positive number "0"`},
		{"revision-history-limit", "x", nil, `strconv.ParseInt: parsing "x": invalid syntax; it must be a whole number`},
		{"private-key-algorithm", "ECDSA", key(cmv1.CertificatePrivateKey{Algorithm: "ECDSA"}), ""},
		{"private-key-algorithm", "Ed25519", key(cmv1.CertificatePrivateKey{Algorithm: "Ed25519"}), ""},
		{"private-key-algorithm", "rsa", nil, `invalid private key algorithm "rsa"`},
		{"private-key-encoding", "PKCS8", key(cmv1.CertificatePrivateKey{Encoding: "PKCS8"}), ""},
		{"private-key-encoding", "x", nil, `invalid private key encoding "x"`},
		{"private-key-size", "4096", key(cmv1.CertificatePrivateKey{Size: 4096}), ""},
		{"private-key-size", "1024", nil, `invalid private key size for RSA algorithm "1024"`},
		{"private-key-size", "8193", nil, `invalid private key size for RSA algorithm "8193"`},
		{"private-key-size", "x", nil, `strconv.Atoi: parsing "x": invalid syntax; it must be a whole number, in bits`},
		{"private-key-rotation-policy", "Always", key(cmv1.CertificatePrivateKey{RotationPolicy: "Always"}), ""},
		{"private-key-rotation-policy", "x", nil, `invalid private key rotation policy "x"`},
		{
			"secret-template", `{"annotations": {"a": "b"}, "labels": {"c": "d"}}`,
			func(c *spec) {
				c.SecretTemplate = &cmv1.CertificateSecretTemplate{Annotations: map[string]string{"a": "b"}, Labels: map[string]string{"c": "d"}}
			}, "",
		},
		{"secret-template", `{}`, func(*spec) {}, ""},
		{"secret-template", `{"x": 1}`, nil, `error parsing secret template JSON: json: unknown field "x"`},
		{"secret-template", `{"annotations": {"cert-manager.io/allow-direct-injection": "true"}}`, nil, `secretTemplate must not have cert-manager.io/ annotations: "cert-manager.io/allow-direct-injection"`},
		{"uri-sans", "spiffe://a", func(*spec) {}, ""},
	} {
		t.Run(test.key+"="+test.value, func(t *testing.T) {
			o := OfIngress(ingress("cert-manager.io/"+test.key, test.value))
			if test.wrong != "" {
				check(t, "warnings", warned(o, options()), []string{`BadConfig: invalid ingress annotation "cert-manager.io/` + test.key + `": ` + test.wrong})
				check(t, "Certificates", len(made(t, o, options())), 0)
				return
			}
			want := one(t, OfIngress(ingress()), options()).Spec
			test.want(&want)
			check(t, "spec", one(t, o, options()).Spec, want)
		})
	}
}

// TestKeySizes has the sizes of the algorithms that an annotation names.
func TestKeySizes(t *testing.T) {
	for _, test := range []struct {
		algorithm, size, wrong string
	}{
		{"RSA", "2048", ""},
		{"RSA", "256", `invalid private key size for RSA algorithm "256"`},
		{"ECDSA", "521", ""},
		{"ECDSA", "2048", `invalid private key size for ECDSA algorithm "2048"`},
		{"Ed25519", "7", ""},
	} {
		o := OfIngress(ingress("cert-manager.io/private-key-algorithm", test.algorithm, "cert-manager.io/private-key-size", test.size))
		var want []string
		if test.wrong != "" {
			want = []string{`BadConfig: invalid ingress annotation "cert-manager.io/private-key-size": ` + test.wrong}
		}
		check(t, test.algorithm+" "+test.size, warned(o, options()), want)
	}
}

// TestSeveralMistakes: all annotations that are wrong are named at once.
func TestSeveralMistakes(t *testing.T) {
	o := OfIngress(ingress("cert-manager.io/duration", "1m", "cert-manager.io/usages", "x"))
	check(t, "warnings", warned(o, options()), []string{
		`BadConfig: invalid ingress annotation "cert-manager.io/duration": duration must be greater than or equal to 1h0m0s, invalid ingress annotation "cert-manager.io/usages": invalid key usage name "x"`,
	})
}

// TestUnknownAnnotations: keys that look like ours are named, with what may be meant.
func TestUnknownAnnotations(t *testing.T) {
	s := options()
	s.ExtraAnnotations, s.AutoAnnotations = []string{"cert-manager.io/mine"}, []string{"cert-manager.io/auto"}
	for key, want := range map[string]string{
		"certmanager.k8s.io/cluster-issuer":                   "cert-manager.io/cluster-issuer",
		"cert-manager.io/cluster-isuer":                       "cert-manager.io/cluster-issuer",
		"cert-manager.io/Cluster-Issuer":                      "cert-manager.io/cluster-issuer",
		"cert-manager.io/http01-edit-in-place":                "acme.cert-manager.io/http01-edit-in-place",
		"certmanager.k8s.io/acme-http01-edit-in-place":        "acme.cert-manager.io/http01-edit-in-place",
		"acme.cert-manager.io/http01-override-ingress-class":  "acme.cert-manager.io/http01-ingress-class",
		"acme.cert-manager.io/http01-ingress-ingressclasname": "acme.cert-manager.io/http01-ingress-ingressclassname",
		"cert-manager.io/private-key-algorith":                "cert-manager.io/private-key-algorithm",
		"cert-manager.io/issuer-name":                         "cert-manager.io/issuer",
		"certmanager.k8s.io/acme-challenge-type":              "-",
		"cert-manager.io/x":                                   "-",
		"cert-manager.io/mine":                                "",
		"cert-manager.io/auto":                                "",
		"cert-manager.io/duration":                            "",
		"example.test/cluster-issuer":                         "",
	} {
		got := unknownAnnotations(map[string]string{key: "true"}, s)
		switch want {
		case "":
		case "-":
			want = "This annotation has no effect: " + key
		default:
			want = "This annotation has no effect: " + key + ": did you mean " + want + "?"
		}
		check(t, key, got, want)
	}
	const (
		inPlace   = "acme.cert-manager.io/http01-edit-in-place"
		class     = "acme.cert-manager.io/http01-ingress-class"
		className = "acme.cert-manager.io/http01-ingress-ingressclassname"
	)
	for _, alone := range []map[string]string{nil, {inPlace: "true"}, {class: "nginx"}, {inPlace: "false", className: "nginx"}, {class: "", className: "nginx"}} {
		check(t, fmt.Sprint(alone), contradiction(alone), "")
	}
	check(t, "together", contradiction(map[string]string{inPlace: "true", className: "nginx"}),
		"At most one of these annotations may be set, and no HTTP-01 challenge is presented until one is left: "+inPlace+", "+className)
	check(t, "two", unknownAnnotations(map[string]string{"cert-manager.io/y": "", "cert-manager.io/isuer": ""}, s),
		"These annotations have no effect: cert-manager.io/isuer: did you mean cert-manager.io/issuer?; cert-manager.io/y")
}

// FuzzAnnotations: no value of an annotation makes a decision panic, or end without
// a Certificate or a warning.
func FuzzAnnotations(f *testing.F) {
	for i, value := range []string{"a,b", `"`, "{}", "1h", "-1", "\xff"} {
		f.Add(uint8(i), value, value)
	}
	f.Fuzz(func(t *testing.T, at uint8, value, host string) {
		i := ingress(settings[int(at)%len(settings)].key, value)
		i.Spec.TLS[0].Hosts = []string{host}
		s := stateOf(OfIngress(i), options())
		if _, sent, _ := settle(t, s); len(sent) == 0 {
			t.Error("nothing was done and nothing was told")
		}
	})
}
