package e2e

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/node"
)

const (
	// rollout is enough for pods that nothing holds up, on a machine that is busy.
	rollout = 2 * time.Minute
	// issuable is enough for a certificate that nothing holds up, together with a new
	// leader's wait for its lease.
	issuable = 2 * time.Minute
)

// TestChart installs, uses, upgrades and uninstalls the chart, in the order of the
// subtests: each needs those before it.
func TestChart(t *testing.T) {
	w := newWorld(t)
	for _, step := range []struct {
		name string
		run  func(*world, *testing.T)
	}{
		{"a pod reaches a pod through a Service, by its name", (*world).serves},
		{"helm install", (*world).install},
		{"the guide to RFC 2136", (*world).followGuide},
		{"propagation is stuck behind the DNS of the cluster", (*world).stuck},
		{"podDnsPolicy None cures it", (*world).cure},
		{"helm upgrade sets labels and changes no Secret", (*world).relabel},
		{"the values for high availability", (*world).replicate},
		{"the guide to an Ingress over HTTP-01", (*world).followIngressGuide},
		{"a responder is killed while a challenge waits", (*world).killResponder},
		{"a NetworkPolicy keeps the ingress controller from the responder", (*world).denyResponder},
		{"HTTP-01 in a pod", (*world).solveInPod},
		{"the guide to an Ingress over DNS-01", (*world).followCloudflareGuide},
		{"issuance goes on without the webhook", (*world).withoutWebhook},
		{"helm uninstall", (*world).uninstall},
		{"helm install without a webhook", (*world).installPolicies},
		{"helm uninstall of the policies", (*world).uninstall},
		{"helm install for one namespace", (*world).installForTenant},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(w, t) }) {
			t.FailNow()
		}
	}
}

func (w *world) serves(t *testing.T) {
	serves(t, w.Node)
	if got := w.Run(t, "outside", "lookup", "ns1."+guideZone); got != node.Authoritative+"\n" {
		t.Errorf("a name outside of the cluster has the address %q", got)
	}
}

// helm runs the line of a document, with the chart's location changed.
func (w *world) helm(t *testing.T, line string) {
	t.Helper()
	args := strings.Fields(strings.NewReplacer("jetstack/cert-manager", chart, "\\\n", " ").Replace(line))
	t.Log(w.Helm(t, args[1:]...))
}

// install is the line of seed 003, and what it shows then.
func (w *world) install(t *testing.T) {
	accepted := w.firstAccepted(t)
	w.helm(t, `helm install cert-manager jetstack/cert-manager \
  --namespace cert-manager --create-namespace \
  --version v1.9.1  --set installCRDs=true`)
	w.Deployed(t, release, rollout)
	t.Logf("from helm install to the first accepted Issuer: %s", accepted())
	const want = `NAME READY UP-TO-DATE AVAILABLE
cert-manager 1/1 1 1
cert-manager-cainjector 1/1 1 1
cert-manager-webhook 1/1 1 1
`
	out := w.Kubectl(t, "get", "deployments", "--namespace", release)
	t.Logf("kubectl get deployments --namespace cert-manager\n%s", out)
	var got strings.Builder
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		fmt.Fprintln(&got, strings.Join(fields[:len(fields)-1], " "))
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("Deployments without their age (-want +got):\n%s", diff)
	}
}

func (w *world) followGuide(t *testing.T) {
	w.Kubectl(t, "create", "namespace", tenant)
	w.Kubectl(t, "-n", tenant, "create", "secret", "generic", "tsig-secret", "--from-literal=tsig-secret-key="+w.key.Secret)
	w.cluster.Apply(t, tenant, harness.GuideManifest(cmv1.IssuerKind, node.Authoritative+":53", w.ca))
	w.request(t, "guide", "www."+guideZone, "*.www."+guideZone)
	w.cluster.Ready(t, tenant, "guide", issuable)
	harness.WantValidations(t, w.ca, 2, 0)
	harness.WantTXT(t, node.Authoritative+":53", "_acme-challenge.www."+guideZone, 0, 10*time.Second)
}

// stuck is seed 001: the DNS of the cluster knows nothing of the domain, and the resolver
// outside has the record.
func (w *world) stuck(t *testing.T) {
	w.request(t, "story", "www."+storyZone)
	const why = "When querying the SOA record for the domain 'www." + storyZone + ".' using nameservers [" + node.ClusterDNS + ":53]"
	w.cluster.WaitingFor(t, tenant, "story", issuable, why)
	w.cluster.IssuingHolds(t, tenant, "story", issuable, why)
	t.Log(w.Kubectl(t, "-n", tenant, "get", "challenges,certificates", "-o", "wide"))
}

func (w *world) cure(t *testing.T) {
	w.helm(t, `helm upgrade cert-manager jetstack/cert-manager --namespace cert-manager --reuse-values
  --set podDnsPolicy=None --set podDnsConfig.nameservers[0]=8.8.8.8`)
	w.Deployed(t, release, rollout)
	w.cluster.Ready(t, tenant, "story", issuable)
}

// relabel is seed 004: the labels of Azure's workload identity.
func (w *world) relabel(t *testing.T) {
	before := w.secrets(t)
	w.helm(t, `helm upgrade cert-manager jetstack/cert-manager --namespace cert-manager --reuse-values
  --set-string podLabels.azure\.workload\.identity/use=true
  --set-string serviceAccount.labels.azure\.workload\.identity/use=true`)
	w.Deployed(t, release, rollout)
	const label = "azure.workload.identity/use"
	pods, account := &corev1.PodList{}, &corev1.ServiceAccount{}
	w.Eventually(t, rollout, "one pod of the controllers", func(ctx context.Context) error {
		err := w.List(ctx, pods, client.InNamespace(release), client.MatchingLabels{"app.kubernetes.io/component": "controller"})
		if err == nil && len(pods.Items) != 1 {
			err = fmt.Errorf("there are %d", len(pods.Items))
		}
		return err
	})
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: release, Name: "cert-manager"}, account); err != nil {
		t.Fatal(err)
	}
	for what, labels := range map[string]map[string]string{"the pod": pods.Items[0].Labels, "the ServiceAccount": account.Labels} {
		if labels[label] != "true" {
			t.Errorf("%s has the labels %v, without %s", what, labels, label)
		}
	}
	w.leads(t, pods.Items[0].Name)
	// When this one is issued, the new controllers have seen the others.
	w.request(t, "relabelled", "relabelled."+guideZone)
	w.cluster.Ready(t, tenant, "relabelled", issuable)
	after := w.secrets(t)
	maps.DeleteFunc(after, func(name, _ string) bool { return strings.HasPrefix(name, tenant+"/relabelled-") })
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("helm upgrade changed Secrets (-before +after):\n%s", diff)
	}
}

// leads waits until a pod holds the controllers' lease.
func (w *world) leads(t *testing.T, pod string) {
	t.Helper()
	w.Eventually(t, rollout, "the new pod to lead", func(ctx context.Context) error {
		holder, err := w.leader(ctx)
		if err == nil && holder != pod {
			err = fmt.Errorf("%q holds the lease", holder)
		}
		return err
	})
}

// leader returns the pod that holds the controllers' lease, or "".
func (w *world) leader(ctx context.Context) (string, error) {
	lease := &coordinationv1.Lease{}
	if err := w.Get(ctx, client.ObjectKey{Namespace: "kube-system", Name: "cert-manager-controller"}, lease); err != nil {
		return "", err
	}
	pod, _, _ := strings.Cut(ptr.Deref(lease.Spec.HolderIdentity, ""), "_")
	return pod, nil
}

// secrets returns the versions of all Secrets except those in which Helm stores releases,
// and the next private keys: they are deleted a moment after their Certificate is Ready.
func (w *world) secrets(t *testing.T) map[string]string {
	t.Helper()
	all := &corev1.SecretList{}
	if err := w.List(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, s := range all.Items {
		if s.Type != "helm.sh/release.v1" && s.Labels[cmv1.IsNextPrivateKeySecretLabelKey] != "true" {
			versions[s.Namespace+"/"+s.Name] = s.ResourceVersion
		}
	}
	return versions
}

// withoutWebhook deletes the webhook's pod and keeps it from coming back. A certificate
// whose Secret is lost is issued again, and only what people write is refused.
func (w *world) withoutWebhook(t *testing.T) {
	w.Kubectl(t, "-n", release, "scale", "deployment", "cert-manager-webhook", "--replicas=0")
	w.Kubectl(t, "-n", release, "delete", "pods", "-l", "app.kubernetes.io/component=webhook", "--now", "--ignore-not-found")
	before := &corev1.Secret{}
	key := client.ObjectKey{Namespace: tenant, Name: "guide-tls"}
	if err := w.Get(t.Context(), key, before); err != nil {
		t.Fatal(err)
	}
	if err := w.Delete(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	w.Eventually(t, issuable, "a new certificate", func(ctx context.Context) error {
		after := &corev1.Secret{}
		if err := w.Get(ctx, key, after); err != nil {
			return err
		}
		if len(after.Data[corev1.TLSCertKey]) == 0 || string(after.Data[corev1.TLSCertKey]) == string(before.Data[corev1.TLSCertKey]) {
			return fmt.Errorf("the Secret has no new certificate")
		}
		return nil
	})
	t.Logf("from a lost Secret to a new certificate: %s", time.Since(begin).Round(time.Millisecond))
	begin = time.Now()
	refused := w.Apply(t.Context(), harness.CertificateManifest("refused", "example-issuer", "refused."+guideZone))
	t.Logf("until a Certificate is refused: %s", time.Since(begin).Round(time.Millisecond))
	if refused == nil || !strings.Contains(refused.Error(), "failed calling webhook") {
		t.Errorf("a Certificate that nobody checks: %v", refused)
	}
	w.Kubectl(t, "-n", release, "scale", "deployment", "cert-manager-webhook", "--replicas=1")
	w.Deployed(t, release, rollout)
}

// uninstall leaves the CRDs and the data, and nothing else that the chart has made.
func (w *world) uninstall(t *testing.T) { w.uninstallFrom(t, release) }

func (w *world) uninstallFrom(t *testing.T, namespace string) {
	t.Helper()
	made := w.made(t, namespace)
	if len(made) < 25 {
		t.Fatalf("the chart has made only %d objects", len(made))
	}
	secrets := w.secrets(t)
	w.helm(t, "helm uninstall cert-manager --wait --namespace "+namespace)
	var left []string
	for _, object := range made {
		err := w.Get(t.Context(), client.ObjectKeyFromObject(object), object)
		switch kept := object.GetKind() == "CustomResourceDefinition"; {
		case err == nil && !kept:
			left = append(left, object.GetKind()+" "+object.GetName())
		case err != nil && !apierrors.IsNotFound(err):
			t.Error(err)
		case err != nil && kept:
			t.Errorf("%s is gone", object.GetName())
		}
	}
	if len(left) > 0 {
		t.Errorf("helm uninstall leaves %s", strings.Join(left, ", "))
	}
	if diff := cmp.Diff(secrets, w.secrets(t)); diff != "" {
		t.Errorf("helm uninstall changed Secrets (-before +after):\n%s", diff)
	}
	got := strings.Fields(w.Kubectl(t, "-n", tenant, "get", "certificates", "-o", "name"))
	slices.Sort(got)
	want := []string{"certificate.cert-manager.io/guide", "certificate.cert-manager.io/relabelled", "certificate.cert-manager.io/story", "certificate.cert-manager.io/taken-over"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Certificates (-want +got):\n%s", diff)
	}
}

// installPolicies installs the chart with policies in place of the webhook. What was
// issued before stays as it is.
func (w *world) installPolicies(t *testing.T) {
	before := w.secrets(t)
	accepted := w.firstAccepted(t)
	w.helm(t, `helm install cert-manager jetstack/cert-manager --namespace cert-manager
  --set crds.enabled=true --set everleaf.admission=policies
  --set podDnsPolicy=None --set podDnsConfig.nameservers[0]=8.8.8.8`)
	w.Deployed(t, release, rollout)
	t.Logf("from helm install to the first accepted Issuer: %s", accepted())
	got := strings.Fields(w.Kubectl(t, "get", "deployments", "--namespace", release, "-o", "name"))
	if diff := cmp.Diff([]string{"deployment.apps/cert-manager", "deployment.apps/cert-manager-cainjector"}, got); diff != "" {
		t.Errorf("Deployments (-want +got):\n%s", diff)
	}
	refused := w.Apply(t.Context(), strings.Replace(harness.CertificateManifest("refused", "example-issuer", "refused."+guideZone), "refused-tls", "Not_A_Name", 1))
	if refused == nil || !strings.Contains(refused.Error(), "spec.secretName: Invalid value") {
		t.Errorf("a Certificate with a wrong secretName: %v", refused)
	}
	w.request(t, "policies", "policies."+guideZone)
	w.cluster.Ready(t, tenant, "policies", issuable)
	by := w.Kubectl(t, "-n", tenant, "get", "certificaterequest", "policies-1", "-o", "jsonpath={.spec.username}")
	if by != "system:serviceaccount:cert-manager:cert-manager" {
		t.Errorf("the request is by %q", by)
	}
	after := w.secrets(t)
	maps.DeleteFunc(after, func(name, _ string) bool { return strings.HasPrefix(name, tenant+"/policies-") })
	// The CA of the webhook that is no longer there is left, as other data is.
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the installation changed Secrets (-before +after):\n%s", diff)
	}
	w.Kubectl(t, "-n", tenant, "delete", "certificate", "policies")
}

// firstAccepted begins to try an Issuer, and returns how long it took until the API
// server accepted one.
func (w *world) firstAccepted(t *testing.T) func() time.Duration {
	t.Helper()
	began, took := time.Now(), make(chan time.Duration, 1)
	ctx, cancel := context.WithTimeout(t.Context(), rollout)
	t.Cleanup(cancel)
	go func() {
		defer close(took)
		for ; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
			issuer := &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "first"}}
			issuer.Spec.SelfSigned = &cmv1.SelfSignedIssuer{}
			if err := w.cluster.Create(ctx, issuer, client.DryRunAll); err == nil {
				took <- time.Since(began).Round(10 * time.Millisecond)
				return
			}
		}
	}()
	return func() time.Duration {
		after, accepted := <-took
		if !accepted {
			t.Errorf("no Issuer was accepted within %s", rollout)
		}
		return after
	}
}

// made returns the objects of the release and of its hooks.
func (w *world) made(t *testing.T, namespace string) []*unstructured.Unstructured {
	t.Helper()
	text := w.Helm(t, "get", "manifest", release, "--namespace", namespace) + "\n---\n" + w.Helm(t, "get", "hooks", release, "--namespace", namespace)
	var all []*unstructured.Unstructured
	for _, doc := range regexp.MustCompile(`(?m)^---$`).Split(text, -1) {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &object.Object); err != nil {
			t.Fatal(err)
		}
		if len(object.Object) > 0 {
			all = append(all, object)
		}
	}
	return all
}
