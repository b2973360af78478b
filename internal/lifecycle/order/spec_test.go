package order

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/pki"
)

func TestBuildOrder(t *testing.T) {
	r := newRequest(newCertificate(func(c *cmv1.Certificate) {
		c.Spec.CommonName, c.Spec.Duration = "www.example.com", &metav1.Duration{Duration: 10 * time.Hour}
		c.Spec.DNSNames, c.Spec.IPAddresses = []string{"b.example.com", "a.example.com"}, []string{"10.0.0.1", "2001:db8::1"}
	}), key(1), 1)
	_, err := Build(r, acmeIssuer.Spec.ACME, pki.Limits{})
	samePlan(t, fault.New(fault.Permanent, "InvalidOrder", "The CSR PEM requests a commonName that is not present in the list of dnsNames or ipAddresses. If a commonName is set, ACME requires that the value is also present in the list of dnsNames or ipAddresses: \"www.example.com\" does not exist in [b.example.com a.example.com] or [10.0.0.1 2001:db8::1]"), err)

	// The common name of a literal subject is one, too.
	literal := newCertificate(func(c *cmv1.Certificate) {
		c.Spec.LiteralSubject, c.Spec.DNSNames = "CN=www.example.com,O=Example", []string{"a.example.com"}
	})
	_, err = Build(newRequest(literal, key(1), 1), acmeIssuer.Spec.ACME, pki.Limits{})
	if err == nil || err.Reason != "InvalidOrder" || !strings.Contains(err.Message, `"www.example.com" does not exist in [a.example.com] or []`) {
		t.Errorf("a common name that is in the literal subject only: %v", err)
	}

	r = newRequest(newCertificate(func(c *cmv1.Certificate) {
		c.Spec.CommonName, c.Spec.Duration = "a.example.com", &metav1.Duration{Duration: 10 * time.Hour}
		c.Spec.DNSNames, c.Spec.IPAddresses = []string{"b.example.com", "a.example.com"}, []string{"10.0.0.1"}
	}), key(1), 1)
	r.Labels, r.Annotations["x"] = map[string]string{"app": "web"}, "y"
	spec := *acmeIssuer.Spec.ACME
	spec.Profile, spec.EnableDurationFeature = "short", true
	order := mustOrder(Build(r, &spec, pki.Limits{}))
	samePlan(t, acmev1.OrderSpec{
		Request: r.Spec.Request, IssuerRef: r.Spec.IssuerRef, CommonName: "a.example.com", DNSNames: []string{"b.example.com", "a.example.com"},
		IPAddresses: []string{"10.0.0.1"}, Duration: r.Spec.Duration, Profile: "short",
	}, order.Spec)
	samePlan(t, r.Annotations, order.Annotations)
	samePlan(t, r.Labels, order.Labels)
	if why := Provenance(order, r, pki.Limits{}); why == "" {
		t.Error("an Order is not provided for by a request that nobody has approved")
	}

	r.Spec.Request = []byte("x")
	if _, err := Build(r, &spec, pki.Limits{}); err == nil || err.Reason != "RequestParsingError" || err.Class != fault.Permanent {
		t.Errorf("got %v", err)
	}
}

// TestOrderLimits holds that the configured limit decides about signing
// requests, whether it is lower or higher than the usual one.
func TestOrderLimits(t *testing.T) {
	many := make([]string, 1500)
	for i := range many {
		many[i] = fmt.Sprintf("a-name-as-long-as-this-one-%d.example.com", i)
	}
	for _, test := range []struct {
		name   string
		names  []string
		limits pki.Limits
		want   bool
	}{
		{"usual", []string{"example.com"}, pki.Limits{}, true},
		{"above a lower limit", []string{"example.com"}, pki.Limits{MaxCertificateSize: 100}, false},
		{"above the usual limit", many, pki.Limits{}, false},
		{"below a higher limit", many, pki.Limits{MaxCertificateSize: 1 << 20}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRequest(newCertificate(func(c *cmv1.Certificate) { c.Spec.DNSNames = test.names }), key(1), 1,
				requestIs(cmv1.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "x", "x", now))
			if _, err := Build(r, acmeIssuer.Spec.ACME, test.limits); (err == nil) != test.want {
				t.Errorf("Build: %v", err)
			}
			o := mustOrder(Build(r, acmeIssuer.Spec.ACME, pki.Limits{MaxCertificateSize: 1 << 20}))
			if why := Provenance(o, r, test.limits); (why == "") != test.want {
				t.Errorf("Provenance: %q", why)
			}
		})
	}
}

// TestFinalDot holds that a name that no server can sign is refused before any
// name is proved.
func TestFinalDot(t *testing.T) {
	for name, template := range map[string]x509.CertificateRequest{
		"dot.example.com.": {DNSNames: []string{"a.example.com", "dot.example.com."}},
		"a.example.com.":   {DNSNames: []string{"a.example.com"}, Subject: pkix.Name{CommonName: "a.example.com."}},
	} {
		der, err := x509.CreateCertificateRequest(rand.Reader, &template, key(1))
		if err != nil {
			t.Fatal(err)
		}
		r := newRequest(newCertificate(), key(1), 1)
		r.Spec.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
		_, refused := Build(r, acmeIssuer.Spec.ACME, pki.Limits{})
		samePlan(t, fault.New(fault.Permanent, "InvalidOrder", "The CSR PEM requests the name %q with a final dot, which no ACME server signs; remove the dot", name), refused)
	}
}

// TestRequestThatDiffers holds that a signing request which says something else
// than the spec that was approved, or which no CA takes, is refused before any name
// is proved.
func TestRequestThatDiffers(t *testing.T) {
	template := &x509.CertificateRequest{DNSNames: []string{"a.example.com"}}
	encode := func(change func(*x509.CertificateRequest, []byte) []byte) []byte {
		asked := *template
		if change != nil {
			change(&asked, nil)
		}
		der, err := x509.CreateCertificateRequest(rand.Reader, &asked, key(1))
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			der = change(&asked, der)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	}
	extension := func(id asn1.ObjectIdentifier, value ...byte) func(*x509.CertificateRequest, []byte) []byte {
		return func(r *x509.CertificateRequest, der []byte) []byte {
			r.ExtraExtensions = []pkix.Extension{{Id: id, Critical: true, Value: value}}
			return der
		}
	}
	keyUsage, basicConstraints := asn1.ObjectIdentifier{2, 5, 29, 15}, asn1.ObjectIdentifier{2, 5, 29, 19}
	for _, test := range []struct {
		name   string
		change func(*x509.CertificateRequest, []byte) []byte
		want   string
	}{
		{"the same", nil, ""},
		{"no CA, as the spec", extension(basicConstraints, 0x30, 0), ""},
		{
			"a CA", extension(basicConstraints, 0x30, 3, 1, 1, 0xff),
			"encoded CSR error: IsCA true does not match expected value false",
		},
		{
			"other usages", extension(keyUsage, 3, 2, 2, 4),
			"encoded CSR error: the KeyUsages [ 'cert sign' ] do not match the expected KeyUsages [ 'digital signature', 'key encipherment' ]",
		},
		{
			"signed by another key", func(_ *x509.CertificateRequest, der []byte) []byte {
				if len(der) > 0 {
					der[len(der)-1] ^= 1
				}
				return der
			}, "certificate request is not signed by its own key: x509: ECDSA verification failure",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRequest(newCertificate(), key(1), 1)
			r.Spec.Request = encode(test.change)
			_, refused := Build(r, acmeIssuer.Spec.ACME, pki.Limits{})
			if test.want == "" {
				if refused != nil {
					t.Errorf("refused: %v", refused)
				}
				return
			}
			samePlan(t, fault.New(fault.Permanent, "InvalidOrder", "The CSR in spec.request cannot be ordered: %s", test.want), refused)
		})
	}
}

// TestBlocksUntil holds that an Order that is stuck does not hold others back for
// ever, and that it does until it has its order at the server.
func TestBlocksUntil(t *testing.T) {
	o := &acmev1.Order{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now)}}
	if until := BlocksUntil(o); !until.IsZero() {
		t.Errorf("without a URL until %s", until)
	}
	o.Status.URL = "https://acme/o"
	if until := BlocksUntil(o); !until.Equal(now.Add(5 * time.Minute)) {
		t.Errorf("until %s", until)
	}
}
