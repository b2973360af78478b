package certificate

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
)

// TestCorrectedIssuer has a Certificate whose issuance failed. Each look at it is
// that of a new process, and the issuer alone changes.
func TestCorrectedIssuer(t *testing.T) {
	issuer := clusterIssuer(cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{}}, cmmeta.ConditionTrue)
	issuer.UID, issuer.Generation = "i", 1
	failed := metav1.NewTime(now.Add(-time.Minute))
	object := crt(func(c *cmv1.Certificate) {
		c.Status.LastFailureTime, c.Status.FailedIssuanceAttempts = &failed, ptr.To(1)
	})
	request := lifecycletest.NewRequest(object, key(1), 1, lifecycletest.FailedAt(failed.Time, "no"), func(r *cmv1.CertificateRequest) {
		r.Annotations[facts.IssuerVersionAnnotation] = "i/1"
		r.Spec.Request = lifecycletest.Must(pki.BuildRequest(core.TemplateOf(&object.Spec), key(1), pki.Limits{}))
	})
	f := newFakes(t, nil, object, request, issuer)
	look := func(change func(*cmv1.ClusterIssuer)) string {
		t.Helper()
		change(issuer)
		if err := f.objects.Update(t.Context(), issuer); err != nil {
			t.Fatal(err)
		}
		for range 2 { // to delete the old request, and to make another
			s := f.start(t, config)
			s.fill(t)
			s.reconcile(t)
		}
		got := &cmv1.CertificateRequest{}
		if err := f.objects.Get(t.Context(), client.ObjectKeyFromObject(request), got); err != nil {
			t.Fatal(err)
		}
		return got.Annotations[facts.IssuerVersionAnnotation]
	}
	if got := look(func(i *cmv1.ClusterIssuer) { i.Annotations = map[string]string{"a": "b"} }); got != "i/1" {
		t.Errorf("the spec is the same: the request is for %q", got)
	}
	if got := look(func(i *cmv1.ClusterIssuer) { i.Generation = 2 }); got != "i/2" {
		t.Errorf("the spec has changed: the request is for %q", got)
	}
}
