package certificate

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/condition"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
)

// TestCauseOfOrder has a request that failed by its Order: the newest of two. The
// Certificate repeats what the Order says, and not what the request says of it.
func TestCauseOfOrder(t *testing.T) {
	object := crt()
	request := lifecycletest.NewRequest(object, key(1), 1, lifecycletest.FailedAt(now, `Failed to wait for order resource "web-1-1" to become ready: order is in "errored" state: in short`), func(r *cmv1.CertificateRequest) {
		r.Spec.Request = lifecycletest.Must(pki.BuildRequest(core.TemplateOf(&object.Spec), key(1), pki.Limits{}))
	})
	s := newFakes(t, []runtime.Object{nextKeySecret("web-k")}, object, request).start(t, config)
	s.fill(t)
	for i, reason := range []string{"the first", "no solver for y.example.com"} {
		o := &acmev1.Order{ObjectMeta: metav1.ObjectMeta{
			Namespace: "app", Name: reason[:5], CreationTimestamp: metav1.NewTime(now.Add(time.Duration(i) * time.Second)),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(request, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateRequestKind))},
		}}
		o.Status.State, o.Status.Reason = acmev1.Errored, reason
		item, err := cluster.ReduceOrder(pki.Limits{})(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.orders.GetIndexer().Add(item); err != nil {
			t.Fatal(err)
		}
	}
	w := s.load(t, object)
	status := w.Next(now).Status
	if c := condition.Find(status.Conditions, cmv1.CertificateConditionIssuing); c == nil || !strings.Contains(c.Message, "will be retried: no solver for y.example.com; to try at once after a repair: everleaf renew web -n app; next try at") {
		t.Errorf("Issuing is %+v", c)
	}
}
