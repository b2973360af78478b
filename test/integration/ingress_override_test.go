package integration

import (
	"fmt"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/test/harness"
)

// TestIngressClassChanges: an Ingress that names a class that nobody serves is corrected
// while its Order waits; so is one whose annotations contradict each other. The same Order
// is completed.
func TestIngressClassChanges(t *testing.T) {
	t.Parallel()
	e := newEdge(t, edgeOptions{})
	e.nginx(t, nil)
	e.issuer(t, "le", e.byClass())
	const class, issuer = "acme.cert-manager.io/http01-ingress-ingressclassname: ", "cert-manager.io/issuer: le"

	e.ingress(t, "app", issuer+", "+class+"nobody")
	e.waits(t, "app-tls", "nobody")
	order := e.onlyOrder(t, "app-tls")
	e.ingress(t, "app", issuer+", "+class+e.class)
	e.ready(t, "app-tls")
	if after := e.onlyOrder(t, "app-tls"); after.UID != order.UID {
		t.Errorf("the Order %s was replaced by %s", order.Name, after.Name)
	}
	e.wantObjects(t)
	harness.WantValidations(t, e.CA, 1, 0)

	const override = "acme.cert-manager.io/http01-override-ingress-"
	manifest := harness.CertificateManifest("twice", "le", e.host("twice"))
	e.annotated(t, manifest, override+"name: app, "+override+"ingressclassname: "+e.class)
	harness.Eventually(t, soon, func() error {
		order := &acmev1.OrderList{}
		if err := e.List(t.Context(), order, client.InNamespace(e.Namespace)); err != nil {
			return err
		}
		for _, o := range order.Items {
			if o.Annotations[cmv1.CertificateNameKey] == "twice" && o.Status.State == acmev1.Pending && o.Status.Reason != "" {
				return nil
			}
		}
		return fmt.Errorf("no Order of twice waits for its annotations to be corrected")
	})
	e.annotated(t, manifest, override+"ingressclassname: "+e.class)
	e.ready(t, "twice")
	e.onlyOrder(t, "twice")
	harness.WantValidations(t, e.CA, 2, 0)
}

// onlyOrder returns the only Order of a Certificate.
func (e *edge) onlyOrder(t *testing.T, certificate string) *acmev1.Order {
	t.Helper()
	list := &acmev1.OrderList{}
	if err := e.List(t.Context(), list, client.InNamespace(e.Namespace)); err != nil {
		t.Fatal(err)
	}
	var found []*acmev1.Order
	for i := range list.Items {
		if list.Items[i].Annotations[cmv1.CertificateNameKey] == certificate {
			found = append(found, &list.Items[i])
		}
	}
	if len(found) != 1 {
		t.Fatalf("the Certificate %s has %d Orders", certificate, len(found))
	}
	return found[0]
}
