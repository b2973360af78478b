package integration

import (
	"fmt"
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/test/harness"
)

// TestCSRFromACME has a request for an ACME issuer met by an Order that it controls, and
// Orders refused that only name a request as their owner.
func TestCSRFromACME(t *testing.T) {
	q := harness.QuickACME(t, harness.QuickOptions{})
	l := newCSRLab(t, harness.Controllers{Options: func(o *operator.Options) {
		o.RecursiveNameservers, o.RecursiveNameserversOnly = []string{q.DNS.Addr()}, true
	}})
	l.Key(t, l.ns, q.Key)
	l.Apply(t, l.ns, harness.IssuerManifest("acme", q.CA, "{dns01: {"+harness.RFC2136(q.DNS.Addr(), q.Key)+"}}"))
	named := pki.Template{CommonName: "csr.example.com", DNSNames: []string{"csr.example.com"}}

	object := l.ask(t, csr{
		name: "acme", signer: l.issuerSigner("acme"), template: named, labels: map[string]string{"team": "mesh"},
		annotations: map[string]string{"example.com/kept": "yes", "kubectl.kubernetes.io/left": "out"},
	})
	chain := l.issued(t, object)
	if len(chain) < 2 || chain[0].DNSNames[0] != "csr.example.com" {
		t.Errorf("a chain of %d for %v", len(chain), chain[0].DNSNames)
	}
	orders := &acmev1.OrderList{}
	if err := l.List(t.Context(), orders, client.InNamespace(l.ns)); err != nil {
		t.Fatal(err)
	}
	if len(orders.Items) != 1 {
		t.Fatalf("%d Orders", len(orders.Items))
	}
	order := &orders.Items[0]
	owner := metav1.GetControllerOf(order)
	if owner == nil || owner.APIVersion != "certificates.k8s.io/v1" || owner.Kind != "CertificateSigningRequest" || owner.UID != object.UID {
		t.Errorf("the Order is controlled by %+v", owner)
	}
	if !strings.HasPrefix(order.Name, object.Name+"-") || order.Labels["team"] != "mesh" || order.Annotations["example.com/kept"] != "yes" || order.Annotations["kubectl.kubernetes.io/left"] != "" {
		t.Errorf("Order %s with labels %v and annotations %v", order.Name, order.Labels, order.Annotations)
	}

	l.failed(t, l.ask(t, csr{name: "cn", signer: l.issuerSigner("acme"), template: pki.Template{CommonName: "kubecsr", DNSNames: named.DNSNames}}),
		"InvalidOrder", `The CSR PEM requests a commonName that is not present in the list of dnsNames or ipAddresses.`)

	asked := q.Orders.N()
	waits := l.ask(t, csr{name: "unapproved", signer: l.issuerSigner("acme"), template: named, unapproved: true})
	stranger := l.ask(t, csr{name: "stranger", signer: l.issuerSigner("acme"), template: named, by: l.user(t, "csr-user-"+l.ns)})
	elsewhere := l.ask(t, csr{name: "elsewhere", signer: "example.com/" + l.ns + ".acme", template: named})
	const why = "The CertificateSigningRequest that controls the Order is not approved"
	for _, request := range []*certificatesv1.CertificateSigningRequest{elsewhere, waits, stranger} {
		forged := &acmev1.Order{
			ObjectMeta: metav1.ObjectMeta{Namespace: l.ns, Name: request.Name + "-forged", OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(request, certificatesv1.SchemeGroupVersion.WithKind("CertificateSigningRequest")),
			}},
			Spec: acmev1.OrderSpec{Request: request.Spec.Request, IssuerRef: cmmeta.IssuerReference{Name: "acme"}, CommonName: named.CommonName, DNSNames: named.DNSNames},
		}
		if err := l.Create(t.Context(), forged); err != nil {
			t.Fatal(err)
		}
		if request == elsewhere {
			// It is nobody's for a while, in case its owner is on its way.
			continue
		}
		harness.Eventually(t, patience, func() error {
			if err := l.Get(t.Context(), client.ObjectKeyFromObject(forged), forged); err != nil {
				return err
			}
			if forged.Status.Reason != why {
				return fmt.Errorf("Order %s is %q: %s", forged.Name, forged.Status.State, forged.Status.Reason)
			}
			return nil
		})
	}
	if n := q.Orders.N(); n != asked {
		t.Errorf("the ACME server was asked for %d forged orders", n-asked)
	}
}
