package validation_test

import (
	"fmt"
	"strings"
	"testing"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/validation"
	"github.com/everleaf/everleaf/internal/validation/validationtest"
)

// TestFindingsAreBounded holds that no list in an object makes more errors or
// warnings than an answer has, and that all are counted.
func TestFindingsAreBounded(t *testing.T) {
	const n = 5000
	wrong := make([]string, n)
	bad, usages := map[string]string{}, make([]cmv1.KeyUsage, n)
	for i := range wrong {
		wrong[i], usages[i] = "x y", "x y"
		bad[fmt.Sprintf("a b %d", i)] = "a"
	}
	certificate := func(change func(*cmv1.CertificateSpec)) validation.Result {
		spec := cmv1.CertificateSpec{SecretName: "a", CommonName: "a", IssuerRef: cmmeta.IssuerReference{Name: "a"}}
		change(&spec)
		return validation.Certificate(&cmv1.Certificate{Spec: spec}, validation.DefaultGates)
	}
	issuer := func(change func(*acmev1.ACMEIssuer)) validation.Result {
		spec := acmev1.ACMEIssuer{Server: "a", PrivateKey: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "a"}}}
		change(&spec)
		return validation.Issuer(&cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{ACME: &spec}})
	}
	dns01 := func(servers []string) *acmev1.ACMEChallengeSolverDNS01 {
		return &acmev1.ACMEChallengeSolverDNS01{Nameservers: servers, CloudDNS: &acmev1.ACMEIssuerDNS01ProviderCloudDNS{Project: "a"}}
	}
	for name, test := range map[string]struct {
		got              validation.Result
		errors, warnings int
	}{
		"ipAddresses":    {certificate(func(s *cmv1.CertificateSpec) { s.IPAddresses = wrong }), n, 0},
		"emailAddresses": {certificate(func(s *cmv1.CertificateSpec) { s.EmailAddresses = wrong }), n, 0},
		"otherNames":     {certificate(func(s *cmv1.CertificateSpec) { s.OtherNames = make([]cmv1.OtherName, n) }), 3 * n, 0},
		"usages":         {certificate(func(s *cmv1.CertificateSpec) { s.Usages = usages }), n, 0},
		"dnsNames":       {certificate(func(s *cmv1.CertificateSpec) { s.DNSNames = wrong }), 0, n},
		"windows": {certificate(func(s *cmv1.CertificateSpec) {
			s.Renewal = &cmv1.CertificateRenewal{Policy: cmv1.RenewalPolicyRenewBefore, Windows: make([]cmv1.CertificateRenewalWindow, n)}
		}), n, 0},
		"template": {certificate(func(s *cmv1.CertificateSpec) {
			s.SecretTemplate = &cmv1.CertificateSecretTemplate{Annotations: bad, Labels: bad}
		}), 2 * n, 0},
		"constraints": {certificate(func(s *cmv1.CertificateSpec) {
			s.IsCA, s.NameConstraints = true, &cmv1.NameConstraints{Permitted: &cmv1.NameConstraintItem{IPRanges: wrong}}
		}), n, 0},
		"nameservers": {issuer(func(s *acmev1.ACMEIssuer) { s.Solvers = []acmev1.ACMEChallengeSolver{{DNS01: dns01(wrong)}} }), n, 0},
		"solvers":     {issuer(func(s *acmev1.ACMEIssuer) { s.Solvers = make([]acmev1.ACMEChallengeSolver, n) }), n, 0},
		"labels": {issuer(func(s *acmev1.ACMEIssuer) {
			s.Solvers = []acmev1.ACMEChallengeSolver{{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{GatewayHTTPRoute: &acmev1.ACMEChallengeSolverHTTP01GatewayHTTPRoute{Labels: bad}}}}
		}), n, 0},
		"OCSP": {validation.Issuer(&cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "a", OCSPServers: make([]string, n)}}}), n, 0},
		"order": {validation.OrderUpdate(
			&acmev1.Order{Status: acmev1.OrderStatus{Authorizations: many(n, "a")}}, &acmev1.Order{Status: acmev1.OrderStatus{Authorizations: many(n, "b")}}), n, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := test.got
			if len(r.Errors) != min(test.errors, validation.MaxFindings) || len(r.Errors)+r.MoreErrors != test.errors {
				t.Errorf("%d errors and %d more, want %d", len(r.Errors), r.MoreErrors, test.errors)
			}
			if len(r.Warnings) != min(test.warnings, validation.MaxFindings) || len(r.Warnings)+r.MoreWarnings != test.warnings {
				t.Errorf("%d warnings and %d more, want %d", len(r.Warnings), r.MoreWarnings, test.warnings)
			}
			if test.errors > 0 && !strings.HasSuffix(refusalOf(r), fmt.Sprintf(", and %d more errors]", test.errors-validation.MaxFindings)) {
				t.Errorf("the refusal is %q", refusalOf(r))
			}
			if test.warnings > 0 && r.Advice()[validation.MaxFindings] != fmt.Sprintf("and %d more warnings", test.warnings-validation.MaxFindings) {
				t.Errorf("the warnings are %q", r.Advice())
			}
		})
	}
}

func many(n int, url string) []acmev1.ACMEAuthorization {
	all := make([]acmev1.ACMEAuthorization, n)
	for i := range all {
		all[i].URL = url
	}
	return all
}

// TestWrongEntriesCostNoMemory holds that an entry that is only counted takes few
// allocations.
func TestWrongEntriesCostNoMemory(t *testing.T) {
	allocations := func(n int) float64 {
		crt := parse(t, validationtest.Certificate("")).(*cmv1.Certificate)
		for range n {
			crt.Spec.IPAddresses = append(crt.Spec.IPAddresses, "a")
		}
		return testing.AllocsPerRun(3, func() { refusalOf(validation.Certificate(crt, validation.DefaultGates)) })
	}
	if few, all := allocations(100), allocations(10100); all-few > 2*10000+100 {
		t.Errorf("10,000 more wrong entries took %.0f allocations", all-few)
	}
}

// TestDuplicateFormats holds that each repetition of a format is an error, with one
// text.
func TestDuplicateFormats(t *testing.T) {
	crt := parse(t, validationtest.Certificate("")).(*cmv1.Certificate)
	for range 1000 {
		crt.Spec.AdditionalOutputFormats = append(crt.Spec.AdditionalOutputFormats, cmv1.CertificateAdditionalOutputFormat{Type: "DER"})
	}
	got := validation.Certificate(crt, validation.DefaultGates)
	if want := `spec.additionalOutputFormats[type]: Duplicate value: "DER"`; refusalOf(got) != want {
		t.Errorf("got %q, want %q", refusalOf(got), want)
	}
}
