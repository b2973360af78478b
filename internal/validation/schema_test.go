package validation_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/validation"
	"github.com/everleaf/everleaf/internal/validation/validationtest"
)

// TestBeyondTheSchema has objects that the schema of the CRDs does not let through
// to the webhook, but that a file may have.
func TestBeyondTheSchema(t *testing.T) {
	const (
		oneBackend = "please supply one of: tpp, cloud, ngts"
		solver     = validationtest.SolverAt
	)
	issuer := func(spec string) string {
		return `{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {}, spec: {` + spec + `}}`
	}
	parents := func(refs string) string {
		return validationtest.WithSolver(`http01: {gatewayHTTPRoute: {parentRefs: [` + refs + `]}}`)
	}
	for name, c := range map[string]validationtest.Case{
		"usage":         {Object: validationtest.Certificate(`usages: [server auth, a]`), Refusal: `spec.usages[1]: Invalid value: "a": unknown keyusage`},
		"key algorithm": {Object: validationtest.Certificate(`privateKey: {algorithm: DSA, size: 1}, signatureAlgorithm: a`), Refusal: `spec.privateKey.algorithm: Invalid value: "DSA": must be either empty or one of rsa, ecdsa or ed25519`},
		"renewal policy": {
			Object:  validationtest.Certificate(`renewal: {policy: Never, windows: [{cron: a, windowDuration: -1h}]}`),
			Refusal: `spec.renewal.policy: Unsupported value: "Never": supported values: "Disabled", "RenewBefore"`,
		},
		"negative window": {Object: validationtest.Certificate(`renewal: {policy: RenewBefore, windows: [{cron: "@daily", windowDuration: -1h}]}`)},
		"negative percentage": {
			Object:  validationtest.Certificate(`duration: 2562047h, renewBeforePercentage: -2147483648`),
			Refusal: `spec.renewBeforePercentage: Invalid value: -2147483648: certificate renewBeforePercentage must result in a renewBefore less than duration`,
		},
		"huge percentage": {
			Object:  validationtest.Certificate(`duration: 2562047h, renewBeforePercentage: 2147483647`),
			Refusal: `spec.renewBeforePercentage: Invalid value: 2147483647: certificate renewBeforePercentage must result in a renewBefore greater than 5m0s`,
		},
		"no CSR": {
			Object:  `{apiVersion: cert-manager.io/v1, kind: CertificateRequest, metadata: {}, spec: {issuerRef: {name: a}, request: ""}}`,
			Refusal: "spec.request: Required value: must be specified",
		},
		"usages of a request": {
			Object:  validationtest.Request(`usages: [any, a, b]`),
			Refusal: `spec.usages: Invalid value: ["any","a","b"]: unknown key usages: [a b]`,
		},

		"CNAME strategy": {
			Object:  validationtest.WithSolver(`dns01: {cnameStrategy: a, route53: {}}`),
			Refusal: solver + `.dns01.cnameStrategy: Invalid value: "a": must be one of "None" or "Follow"`,
		},
		"Azure environment": {
			Object: validationtest.WithSolver(`dns01: {azureDNS: {subscriptionID: a, resourceGroupName: a, environment: a}}`),
			Refusal: solver + `.dns01.azureDNS.environment: Invalid value: "a": ` +
				"must be either empty or one of AzurePublicCloud, AzureChinaCloud, AzureGermanCloud, or AzureUSGovernmentCloud",
		},
		"Gateway by default": {Object: parents(`{name: a}, {name: b, kind: Service}`)},
		"no Gateway kind":    {Object: parents(`{name: a}, {name: b, kind: ""}, {name: ""}`), Refusal: solver + ".http01.gateway.parentRefs[1].kind: Required value: kind is required when name is specified"},
		"no Gateway name":    {Object: parents(`{name: "", kind: Gateway}`), Refusal: solver + ".http01.gateway.parentRefs[0].name: Required value: name is required when kind is specified"},
		"nothing of both":    {Object: parents(`{name: "", kind: ""}`)},
		"AWS without a role": {Object: issuer(`vault: {server: a, path: a, auth: {aws: {role: ""}}}`), Refusal: "spec.vault.auth.aws.role: Required value: must be specified"},
		"no backend":         {Object: issuer(`venafi: {zone: a}`), Refusal: "spec.venafi: Required value: " + oneBackend},
		"two backends": {
			Object:  issuer(`venafi: {zone: a, tpp: {url: a, credentialsRef: {name: a}}, cloud: {apiTokenSecretRef: {name: a}}}`),
			Refusal: "spec.venafi: Forbidden: " + oneBackend,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.Refusal, refusalOf(answer(t, c))); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGates(t *testing.T) {
	crt := parse(t, validationtest.BareCertificate(`secretName: a, issuerRef: {name: a}, literalSubject: CN=a, isCA: true,
		nameConstraints: {permitted: {ipRanges: [a]}}, otherNames: [{oid: "", utf8Value: ""}]`)).(*cmv1.Certificate)
	want := "[spec.literalSubject: Forbidden: Feature gate LiteralCertificateSubject must be enabled on both webhook and controller to use the alpha `literalSubject` field, " +
		"spec.OtherNames: Forbidden: Feature gate OtherNames must be enabled on both webhook and controller to use the alpha `otherNames` field, " +
		"spec.nameConstraints: Forbidden: feature gate NameConstraints must be enabled]"
	if diff := cmp.Diff(want, refusalOf(validation.Certificate(crt, validation.Gates{}))); diff != "" {
		t.Errorf("refusal (-want +got):\n%s", diff)
	}
	if got := validation.Certificate(parse(t, validationtest.Certificate(``)).(*cmv1.Certificate), validation.Gates{}); len(got.Errors) > 0 {
		t.Errorf("a Certificate that needs no gate is refused: %v", got.Errors)
	}
}

func TestRequester(t *testing.T) {
	ask := func(fields string) *cmv1.CertificateRequest {
		return parse(t, validationtest.Request(fields)).(*cmv1.CertificateRequest)
	}
	who := authenticationv1.UserInfo{
		Username: "u", UID: "i", Groups: []string{"a", "b"},
		Extra: map[string]authenticationv1.ExtraValue{"k": {"q", "p"}},
	}
	const (
		own  = `username: u, uid: i, groups: [b, a, a], extra: {k: [p, q]}`
		must = " identity must be that of the requester"
	)
	for name, test := range map[string]struct {
		fields, want string
	}{
		"own":          {own, ""},
		"other user":   {`username: v, uid: i, groups: [b, a], extra: {k: [p, q]}`, "spec.username: Forbidden: username" + must},
		"one group":    {`username: u, uid: i, groups: [b], extra: {k: [p, q]}`, "spec.groups: Forbidden: groups" + must},
		"other extra":  {`username: u, uid: i, groups: [b, a], extra: {k: [p], l: [q]}`, "spec.extra: Forbidden: extra" + must},
		"nobody":       {``, "[spec.uid: Forbidden: uid" + must + ", spec.username: Forbidden: username" + must + ", spec.groups: Forbidden: groups" + must + ", spec.extra: Forbidden: extra" + must + "]"},
		"second value": {`username: u, uid: i, groups: [b, a], extra: {k: [p]}`, "spec.extra: Forbidden: extra" + must},
	} {
		if diff := cmp.Diff(test.want, validation.Text(validation.Requester(nil, ask(test.fields), who), 0)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// Later it does not matter who writes.
	if got := validation.Requester(ask(own), ask(own), authenticationv1.UserInfo{}); len(got) > 0 {
		t.Errorf("an unchanged identity is refused: %v", got)
	}
}

func TestDecisions(t *testing.T) {
	with := func(conditions string) *cmv1.CertificateRequest {
		return parse(t, validationtest.WithStatus(validationtest.Request(``), `conditions: [`+conditions+`]`)).(*cmv1.CertificateRequest)
	}
	const (
		ready    = `{type: Ready, status: "False"}`
		approved = `{type: Approved, status: "True"}`
		denied   = `{type: Denied, status: "True"}`
	)
	for _, test := range []struct {
		before, after string
		want          bool
	}{
		{"", ready, false},
		{ready, ready + "," + approved, true},
		{"", denied, true},
		{approved, approved + "," + ready, false},
		{approved, approved + "," + denied, true},
		{approved, "", false},
	} {
		if got := validation.Decides(with(test.before), with(test.after)); got != test.want {
			t.Errorf("from [%s] to [%s]: decides %v, want %v", test.before, test.after, got, test.want)
		}
	}
	twice := with(approved + "," + approved)
	want := `status.conditions: Forbidden: multiple "Approved" conditions present`
	for what, got := range map[string]validation.Result{
		"create": validation.CertificateRequestCreate(twice, pki.Limits{}),
		"update": validation.CertificateRequestUpdate(with(""), twice),
	} {
		if diff := cmp.Diff(want, validation.Text(got.Errors, got.MoreErrors)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	ref := cmmeta.IssuerReference{Name: "a", Group: "b.example"}
	for want, got := range map[string]error{
		`spec.issuerRef: Forbidden: referenced signer resource does not exist: {a  b.example}`:                                         validation.SignerUnknown(ref),
		`status.conditions: Forbidden: user "u" does not have permissions to set approved/denied conditions for issuer {a  b.example}`: validation.MayNotDecide("u", ref),
	} {
		if got.Error() != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestLimits holds that each limit of the policies has a case that shows it, and
// that the documentation lists them.
func TestLimits(t *testing.T) {
	shown := map[validationtest.Limit]bool{validationtest.Warned: true}
	for _, c := range validationtest.Cases() {
		if c.Beyond != nil {
			shown[c.Beyond.Limit] = true
		}
	}
	var listed strings.Builder
	for _, limit := range validationtest.Limits() {
		listed.WriteString("- " + string(limit) + "\n")
		if !shown[limit] {
			t.Errorf("no case shows the limit %q", limit)
		}
		delete(shown, limit)
	}
	for limit := range shown {
		t.Errorf("the limit %q is not among the limits", limit)
	}
	page, err := os.ReadFile("../../docs/admission.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), "<!-- begin limits -->\n")
	inDocs, _, _ := strings.Cut(after, "<!-- end limits -->")
	if diff := cmp.Diff(listed.String(), inDocs); diff != "" {
		t.Errorf("docs/admission.md (-want +got):\n%s", diff)
	}
}

// BenchmarkCreate measures what the webhook spends on the rules for typical
// objects.
func BenchmarkCreate(b *testing.B) {
	for name, text := range map[string]string{
		"Certificate":        validationtest.Certificate(`duration: 2160h, renewBefore: 360h, commonName: a.example, privateKey: {algorithm: ECDSA, size: 256}, usages: [server auth]`),
		"CertificateRequest": validationtest.Request(`usages: [server auth]`),
		"Issuer":             validationtest.WithSolver(`selector: {dnsZones: [a.example]}, dns01: {rfc2136: {nameserver: "192.0.2.1:53", tsigKeyName: a, tsigAlgorithm: HMACSHA256, tsigSecretSecretRef: {name: a, key: a}}}`),
	} {
		object := parse(b, text)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got := create(object); len(got.Errors) > 0 {
					b.Fatal(got.Errors)
				}
			}
		})
	}
}
