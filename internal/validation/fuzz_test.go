package validation_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmacme "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/validation"
	"github.com/everleaf/everleaf/internal/validation/validationtest"
)

// stable holds that an object has the same answer each time, in a text that an API
// can carry.
func stable(t *testing.T, check func() validation.Result) {
	t.Helper()
	first, second := check(), check()
	text := validation.Text(first.Errors, first.MoreErrors)
	if diff := cmp.Diff(text, validation.Text(second.Errors, second.MoreErrors)); diff != "" {
		t.Errorf("two answers (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(first.Warnings, second.Warnings); diff != "" {
		t.Errorf("two answers (-first +second):\n%s", diff)
	}
	if !utf8.ValidString(text) {
		t.Errorf("the refusal is no UTF-8: %q", text)
	}
}

// decoded is a text as it comes out of JSON.
func decoded(text string) string { return strings.ToValidUTF8(text, "\ufffd") }

func FuzzCertificate(f *testing.F) {
	for _, seed := range []struct{ literal, cron, zone, name, key, value string }{
		{"CN=a,O=b+OU=c", "0 2 * * 1-5", "Europe/Lisbon", "a@a.example", "a.example/a", "b"},
		{`2.5.4.3=#0c0161,DC=\00\2c`, "CRON_TZ=UTC @daily", "../etc/passwd", "[::1]", "", "/"},
		{"#0484fffffff0", "TZ=", "Local", "1.2.3", "a b", "\xff"},
		{"=", "@every -1h", "", "192.0.2.0/33", "cert-manager.io/x", ""},
		{"CN=#0484ffffffff", "*/0 * * * *", "\x00", "*.", "\xff", "a"},
	} {
		f.Add(seed.literal, seed.cron, seed.zone, seed.name, seed.key, seed.value)
	}
	f.Fuzz(func(t *testing.T, literal, cron, zone, name, key, value string) {
		for _, text := range []*string{&literal, &cron, &zone, &name, &key, &value} {
			*text = decoded(*text)
		}
		crt := &cmv1.Certificate{Spec: cmv1.CertificateSpec{
			SecretName: name, IssuerRef: cmmeta.IssuerReference{Name: name}, LiteralSubject: literal,
			DNSNames: []string{name}, IPAddresses: []string{name}, EmailAddresses: []string{name},
			OtherNames: []cmv1.OtherName{{OID: name, UTF8Value: value}},
			Renewal: &cmv1.CertificateRenewal{Policy: cmv1.RenewalPolicyRenewBefore, Windows: []cmv1.CertificateRenewalWindow{
				{Cron: cron, Timezone: zone, WindowDuration: metav1.Duration{Duration: time.Hour}},
			}},
			SecretTemplate:  &cmv1.CertificateSecretTemplate{Annotations: map[string]string{key: value, value: key}, Labels: map[string]string{key: value, value: key}},
			NameConstraints: &cmv1.NameConstraints{Permitted: &cmv1.NameConstraintItem{IPRanges: []string{name}}},
		}}
		stable(t, func() validation.Result { return validation.Certificate(crt, validation.DefaultGates) })
	})
}

func FuzzCertificateRequest(f *testing.F) {
	csr, err := base64.StdEncoding.DecodeString(validationtest.CSR)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(csr, "server auth", true)
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\nYQ==\n-----END CERTIFICATE REQUEST-----\n"), "any", false)
	f.Fuzz(func(t *testing.T, csr []byte, usage string, isCA bool) {
		cr := &cmv1.CertificateRequest{Spec: cmv1.CertificateRequestSpec{Request: csr, IsCA: isCA, Usages: []cmv1.KeyUsage{cmv1.KeyUsage(decoded(usage))}}}
		stable(t, func() validation.Result { return validation.CertificateRequestCreate(cr, pki.Limits{}) })
	})
}

func FuzzIssuer(f *testing.F) {
	f.Add("a/b", []byte("-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n"))
	f.Add("https://[", []byte{})
	f.Add("[::1%a]:53", []byte{})
	f.Fuzz(func(t *testing.T, text string, bundle []byte) {
		text = decoded(text)
		template := &cmacme.ACMEChallengeSolverHTTP01IngressPodTemplate{}
		template.Labels, template.Annotations = map[string]string{text: text}, map[string]string{text: text}
		spec := &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{
			ACME: &cmacme.ACMEIssuer{CABundle: bundle, Solvers: []cmacme.ACMEChallengeSolver{
				{DNS01: &cmacme.ACMEChallengeSolverDNS01{Nameservers: []string{text}, RFC2136: &cmacme.ACMEIssuerDNS01ProviderRFC2136{Nameserver: text}}},
				{HTTP01: &cmacme.ACMEChallengeSolverHTTP01{Ingress: &cmacme.ACMEChallengeSolverHTTP01Ingress{IngressClassName: &text, PodTemplate: template}}},
			}},
		}}
		stable(t, func() validation.Result { return validation.Issuer(spec) })
		spec = &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{Vault: &cmv1.VaultIssuer{Path: text, CABundle: bundle}}}
		stable(t, func() validation.Result { return validation.Issuer(spec) })
	})
}
