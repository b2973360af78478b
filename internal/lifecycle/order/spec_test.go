package order

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
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
	if why := Provenance(order, r); why == "" {
		t.Error("an Order is not provided for by a request that nobody has approved")
	}

	r.Spec.Request = []byte("x")
	if _, err := Build(r, &spec, pki.Limits{}); err == nil || err.Reason != "RequestParsingError" || err.Class != fault.Permanent {
		t.Errorf("got %v", err)
	}
}
