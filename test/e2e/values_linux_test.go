package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/test/harness"
)

// replicate installs what docs/install.md calls high availability. When the leader's pod
// is deleted, the other one issues.
func (w *world) replicate(t *testing.T) {
	w.helm(t, `helm upgrade cert-manager jetstack/cert-manager --namespace cert-manager --reuse-values -f `+chart+`/examples/ha.yaml`)
	w.Deployed(t, release, rollout)
	t.Log(w.Kubectl(t, "get", "deployments,poddisruptionbudgets", "--namespace", release))
	var first string
	w.Eventually(t, rollout, "a leader of this release", func(ctx context.Context) (err error) {
		if first, err = w.leader(ctx); err != nil {
			return err
		}
		return w.Get(ctx, client.ObjectKey{Namespace: release, Name: first}, &corev1.Pod{})
	})
	w.use(t)
	if err := w.Delete(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: release, Name: first}}); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	w.request(t, "taken-over", "taken-over."+guideZone)
	w.cluster.Ready(t, tenant, "taken-over", issuable)
	t.Logf("from the end of the leader to a certificate: %s", time.Since(begin).Round(time.Millisecond))
	// The pod that is deleted may have issued it before it was stopped.
	w.Eventually(t, rollout, "another leader", func(ctx context.Context) error {
		now, err := w.leader(ctx)
		if err == nil && (now == "" || now == first) {
			err = fmt.Errorf("%q holds the lease, as before", now)
		}
		return err
	})
}

// use logs the memory and the CPU time of the pods, as the kubelet measures them.
func (w *world) use(t *testing.T) {
	t.Helper()
	var summary struct {
		Pods []struct {
			PodRef struct{ Namespace, Name string }
			CPU    struct{ UsageCoreNanoSeconds int64 }
			Memory struct{ WorkingSetBytes, RSSBytes int64 }
		}
	}
	node := strings.TrimSpace(w.Kubectl(t, "get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"))
	if err := json.Unmarshal([]byte(w.Kubectl(t, "get", "--raw", "/api/v1/nodes/"+node+"/proxy/stats/summary?only_cpu_and_memory=true")), &summary); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, pod := range summary.Pods {
		if pod.PodRef.Namespace == release {
			fmt.Fprintf(&lines, "\n%s: working set %d MiB, resident %d MiB, %.2f s of CPU", pod.PodRef.Name,
				pod.Memory.WorkingSetBytes>>20, pod.Memory.RSSBytes>>20, time.Duration(pod.CPU.UsageCoreNanoSeconds).Seconds())
		}
	}
	t.Logf("the pods use:%s", &lines)
}

// installForTenant installs what docs/install.md says for one namespace: other namespaces
// are not served. The CRDs are those of a release in another namespace.
func (w *world) installForTenant(t *testing.T) {
	w.helm(t, `helm install cert-manager jetstack/cert-manager
  --namespace `+tenant+` --create-namespace --take-ownership
  --set crds.enabled=true --set everleaf.watchNamespace=`+tenant+`
  --set podDnsPolicy=None --set podDnsConfig.nameservers[0]=8.8.8.8`)
	w.Deployed(t, tenant, rollout)
	const elsewhere = "default"
	w.cluster.Apply(t, elsewhere, harness.CertificateManifest("elsewhere", "example-issuer", "elsewhere."+guideZone))
	w.request(t, "alone", "alone."+guideZone)
	w.cluster.Ready(t, tenant, "alone", issuable)
	certificate := &cmv1.Certificate{}
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: elsewhere, Name: "elsewhere"}, certificate); err != nil {
		t.Fatal(err)
	}
	if len(certificate.Status.Conditions) > 0 {
		t.Errorf("a Certificate in a namespace of others has the conditions %v", certificate.Status.Conditions)
	}
	w.Kubectl(t, "-n", tenant, "delete", "certificate", "alone")
	w.uninstallFrom(t, tenant)
}
