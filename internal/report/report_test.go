package report

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

var now = time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)

func at(d time.Duration) *metav1.Time {
	t := metav1.NewTime(now.Add(d))
	return &t
}

const day24 = 24 * time.Hour

// cluster has a certificate in each state, and Orders within and beyond the times of the
// limits.
func cluster() Input {
	conditions := func(ready cmmeta.ConditionStatus, readyMessage string, issuing cmmeta.ConditionStatus, issuingMessage string) []cmv1.CertificateCondition {
		all := []cmv1.CertificateCondition{{Type: "Ready", Status: ready, Message: readyMessage}}
		if issuing != "" {
			all = append(all, cmv1.CertificateCondition{Type: "Issuing", Status: issuing, Message: issuingMessage})
		}
		return all
	}
	crt := func(name string, status cmv1.CertificateStatus, names ...string) cmv1.Certificate {
		return cmv1.Certificate{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
			Spec:       cmv1.CertificateSpec{DNSNames: names, IssuerRef: cmmeta.IssuerReference{Name: "letsencrypt", Kind: "ClusterIssuer"}},
			Status:     status,
		}
	}
	attempts := 2
	ready := cmv1.CertificateStatus{Conditions: conditions("True", "fine", "", ""), NotAfter: at(40 * day24), RenewalTime: at(10 * day24)}
	overdue := cmv1.CertificateStatus{Conditions: conditions("True", "fine", "", ""), NotAfter: at(9 * day24), RenewalTime: at(-2 * time.Hour)}
	failed := cmv1.CertificateStatus{
		Conditions: conditions("True", "fine", "False", "the name server ns1 answers REFUSED"), NotAfter: at(3 * day24), RenewalTime: at(-day24), LastFailureTime: at(-time.Hour), FailedIssuanceAttempts: &attempts,
	}
	expired := cmv1.CertificateStatus{Conditions: conditions("False", "Certificate expired", "", ""), NotAfter: at(-time.Hour)}
	issuing := cmv1.CertificateStatus{Conditions: conditions("False", "no Secret", "True", "DNS record not yet propagated")}
	order := func(age time.Duration, state acmev1.State, names ...string) acmev1.Order {
		return acmev1.Order{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", CreationTimestamp: *at(-age)},
			Spec:       acmev1.OrderSpec{DNSNames: names, IssuerRef: cmmeta.IssuerReference{Name: "letsencrypt", Kind: "ClusterIssuer"}}, Status: acmev1.OrderStatus{State: state},
		}
	}
	letsencrypt := cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "letsencrypt"}}
	letsencrypt.Spec.ACME = &acmev1.ACMEIssuer{Server: "https://acme-v02.api.letsencrypt.org/directory"}
	letsencrypt.Status.Conditions = []cmv1.IssuerCondition{{Type: "Ready", Status: "True"}}
	broken := cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "broken"}}
	broken.Spec.CA = &cmv1.CAIssuer{SecretName: "ca"}
	broken.Status.Conditions = []cmv1.IssuerCondition{{Type: "Ready", Status: "False", Message: "no Secret ca"}}
	windows := cmv1.CertificateStatus{
		Conditions: []cmv1.CertificateCondition{{Type: "Ready", Status: "False", Reason: "WindowError", Message: "bad\n\x1bcron"}}, NotAfter: at(40 * day24), RenewalTime: at(10 * day24),
	}
	halted := cmv1.CertificateStatus{Conditions: []cmv1.CertificateCondition{
		{Type: "Ready", Status: "False", Message: "no Secret"}, {Type: "Issuing", Status: "False", Reason: "TooManyIssuances", Message: "issued 3 times within an hour"},
	}}
	literal := crt("literal", windows)
	literal.Spec.LiteralSubject = "CN=alice,O=Example"
	upn := crt("upn", halted)
	upn.Spec.OtherNames = []cmv1.OtherName{{OID: "1.3.6.1.4.1.311.20.2.3", UTF8Value: "alice@example.com"}}
	other := crt("other", ready, "10.example.com")
	other.Spec.IssuerRef = cmmeta.IssuerReference{Name: "gone"}
	other.Spec.PrivateKey = &cmv1.CertificatePrivateKey{Algorithm: "ECDSA"}
	return Input{
		Certificates: []cmv1.Certificate{
			crt("ready", ready, "a.example.com", "b.example.com", "c.example.com", "d.example.com"), crt("overdue", overdue, "o.example.com"),
			crt("failed", failed, "f.example.co.uk"), crt("expired", expired, "e.example.com"), crt("issuing", issuing, "i.example.com"), crt("new", cmv1.CertificateStatus{}, "n.example.com"), other, literal, upn,
		},
		Orders: []acmev1.Order{
			order(time.Hour, "valid", "a.example.com", "*.b.example.com"), order(4*time.Hour, "valid", "*.b.example.com", "a.example.com"), order(2*time.Hour, "invalid", "f.example.co.uk"),
			order(6*day24, "valid", "x.example.co.uk"), order(8*day24, "valid", "old.example.com"),
		},
		Issuers: []cmv1.Issuer{broken}, ClusterIssuers: []cmv1.ClusterIssuer{letsencrypt}, Missing: []string{"Orders: forbidden"},
	}
}

func TestText(t *testing.T) {
	const want = `Certificates on 2026-11-27T10:00:00Z: 9, of which 4 ready, 3 failed, 1 being issued, 1 expired
Not read: Orders: forbidden

Needs attention
  STATE    CERTIFICATE   CAUSE
  expired  shop/expired  Certificate expired
  failed   shop/failed   the name server ns1 answers REFUSED
  failed   shop/new      no controller has seen it yet
  failed   shop/upn      issued 3 times within an hour
  issuing  shop/issuing  DNS record not yet propagated
  overdue  shop/overdue  the renewal should have begun on 2026-11-27
  window-error shop/literal bad cron

Calendar
  WEEK FROM   RENEW  EXPIRE
  2026-11-27  1      2
  2026-12-04  3      1
  2027-01-01  0      3

Certificates
  STATE    CERTIFICATE   EXPIRES     RENEWS      KEY         ISSUER                     NAMES
  expired  shop/expired  2026-11-27  -           RSA 2048    ClusterIssuer letsencrypt  e.example.com
  failed   shop/failed   2026-11-30  2026-11-26  RSA 2048    ClusterIssuer letsencrypt  f.example.co.uk
  failed   shop/new      -           -           RSA 2048    ClusterIssuer letsencrypt  n.example.com
  failed   shop/upn      -           -           RSA 2048    ClusterIssuer letsencrypt  alice@example.com
  issuing  shop/issuing  -           -           RSA 2048    ClusterIssuer letsencrypt  i.example.com
  ready    shop/overdue  2026-12-06  2026-11-27  RSA 2048    ClusterIssuer letsencrypt  o.example.com
  ready    shop/literal  2027-01-06  2026-12-07  RSA 2048    ClusterIssuer letsencrypt  CN=alice,O=Example
  ready    shop/other    2027-01-06  2026-12-07  ECDSA 256   Issuer shop/gone           10.example.com
  ready    shop/ready    2027-01-06  2026-12-07  RSA 2048    ClusterIssuer letsencrypt  a.example.com, b.example.com, c.example.com and 1 more

Issuers
  STATE   ISSUER                     TYPE     CERTIFICATES  NOT READY  CAUSE
  ready   ClusterIssuer letsencrypt  ACME     8             5
  failed  Issuer shop/gone           unknown  1             0          it was not found
  failed  Issuer shop/broken         CA       0             0          no Secret ca

Keys
  KEY        CERTIFICATES
  RSA 2048   8
  ECDSA 256  1

Rate limits of https://acme-v02.api.letsencrypt.org/directory: those that Let's Encrypt publishes
  WHAT                                          NAME                            USED  LIMIT
  orders of an account in 3 hours               ClusterIssuer letsencrypt       2     300 (0 %)
  certificates of a registered domain in 7 days  example.com                     2     50 (4 %)
  certificates of a registered domain in 7 days  example.co.uk                   1     50 (2 %)
  certificates of equal names in 7 days         *.b.example.com, a.example.com  2     5 (40 %)
`
	var out strings.Builder
	if err := Text(&out, Of(cluster(), now), false); err != nil {
		t.Fatal(err)
	}
	// Only what the columns hold matters here, not how wide they are.
	squeeze := func(text string) string {
		var lines []string
		for line := range strings.Lines(text) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		return strings.Join(lines, "\n")
	}
	if diff := cmp.Diff(squeeze(want), squeeze(out.String())); diff != "" {
		t.Errorf("-want +got:\n%s\n%s", diff, out.String())
	}
	out.Reset()
	if err := Text(&out, Of(cluster(), now), true); err != nil || !strings.Contains(out.String(), "  \x1b[31mfailed\x1b[0m   shop/failed") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// TestNothing: a cluster without certificates has a report too.
func TestNothing(t *testing.T) {
	var text, page strings.Builder
	r := Of(Input{}, now)
	if err := Text(&text, r, false); err != nil || text.String() != "Certificates on 2026-11-27T10:00:00Z: 0, of which 0 ready, 0 failed, 0 being issued, 0 expired\n" {
		t.Errorf("%v: %q", err, text.String())
	}
	if err := HTML(&page, r); err != nil || strings.Contains(page.String(), `id="attention"`) {
		t.Errorf("%v\n%s", err, page.String())
	}
}

// TestHTML: the page needs nothing from elsewhere, and text of the cluster is no markup.
func TestHTML(t *testing.T) {
	in := cluster()
	in.Certificates[2].Status.Conditions[1].Message = `<script>alert(1)</script>`
	var out strings.Builder
	if err := HTML(&out, Of(in, now)); err != nil {
		t.Fatal(err)
	}
	page := out.String()
	for _, wrong := range []string{"<script", "src=", "<link rel=\"stylesheet", "@import", "url(", "ZgotmplZ"} {
		if strings.Contains(page, wrong) {
			t.Errorf("the page has %s", wrong)
		}
	}
	for _, want := range []string{
		"&lt;script&gt;alert(1)", `<title>Certificates on 27 November 2026, 10:00 UTC</title>`, `<div><b class="ready">4</b><span>ready</span></div>`,
		`title="week from 27 Nov: 1 renew, 2 expire"`, "<td>example.com</td><td class=\"n\">2 of 50</td>", "prefers-color-scheme: dark",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}
