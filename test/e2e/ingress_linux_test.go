package e2e

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/solver/dns01/cloudflare/cloudflaretest"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/nginxingress"
	"github.com/everleaf/everleaf/test/node"
)

// cafeHost is that of the guide in package harness, and cafes is the namespace in which
// kubectl works.
const (
	cafeHost = "cert.example.com"
	cafes    = "default"
)

// cafe are the applications of the guide, which it takes from elsewhere.
const cafe = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: ` + cafes + `}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec: {containers: [{name: %[1]s, image: ` + node.PodImage + `, args: [serve, "8080"]}]}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s-svc, namespace: ` + cafes + `}
spec: {selector: {app: %[1]s}, ports: [{port: 80, targetPort: 8080}]}
`

// kubectlApply applies manifests of the guide, with the CA in the place of Let's Encrypt.
func (w *world) kubectlApply(t *testing.T, manifests string) {
	t.Helper()
	const server = "    server: https://acme-v02.api.letsencrypt.org/directory\n"
	local := fmt.Sprintf("    server: %s\n    caBundle: %s\n", w.ca.DirectoryURL, base64.StdEncoding.EncodeToString(w.ca.CABundle))
	manifests = strings.ReplaceAll(manifests, server, local)
	if err := w.Apply(t.Context(), manifests); err != nil {
		t.Fatal(err)
	}
}

// wantServed waits until the guide's host answers with its applications over TLS, and
// returns the certificate that it shows.
func (w *world) wantServed(t *testing.T) string {
	t.Helper()
	edge := netip.MustParseAddr(node.Edge)
	for _, app := range []string{"tea", "coffee"} {
		for _, scheme := range []string{"http", "https"} {
			w.Eventually(t, rollout, app+" over "+scheme, func(context.Context) error {
				if got := harness.Fetch(edge, scheme+"://"+cafeHost+"/"+app); !strings.HasPrefix(got, "200 "+app+"-") {
					return fmt.Errorf("%q", got)
				}
				return nil
			})
		}
	}
	conn, err := tls.Dial("tcp", node.Edge+":443", &tls.Config{ServerName: cafeHost, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	shown := conn.ConnectionState().PeerCertificates[0]
	return fmt.Sprintf("%s for %v by %s", shown.SerialNumber, shown.DNSNames, shown.Issuer.CommonName)
}

// followIngressGuide is seed 003, with HTTP-01.
func (w *world) followIngressGuide(t *testing.T) {
	w.kubectlApply(t, fmt.Sprintf(cafe, "coffee", 2)+"---"+fmt.Sprintf(cafe, "tea", 3))
	w.Eventually(t, rollout, "the applications", func(ctx context.Context) error {
		for _, app := range []string{"coffee", "tea"} {
			if err := w.Available(ctx, cafes, app); err != nil {
				return err
			}
		}
		return nil
	})
	t.Log(w.Kubectl(t, "get", "deployments,services", "--namespace", cafes))
	w.kubectlApply(t, harness.CafeHTTP01Issuer)
	w.Kubectl(t, "wait", "clusterissuer/prod-issuer", "--for=condition=Ready", "--timeout=60s")
	t.Log(w.Kubectl(t, "get", "clusterissuer"))
	begin := time.Now()
	w.kubectlApply(t, harness.CafeIngress)
	w.cluster.Ready(t, cafes, "cafe-secret", issuable)
	t.Logf("from the Ingress to a certificate: %s", time.Since(begin).Round(time.Millisecond))
	t.Log(w.Kubectl(t, "get", "certificates"))
	t.Log(w.Kubectl(t, "describe", "secret", "cafe-secret"))
	if shown := w.wantServed(t); !strings.Contains(shown, "["+cafeHost+"] by Pebble") {
		t.Errorf("the certificate is %s", shown)
	}
	if n := w.count(t, cafes, &corev1.PodList{}, "acme.cert-manager.io/http01-solver"); n != 0 {
		t.Errorf("there are %d pods of a solver", n)
	}
}

func (w *world) count(t *testing.T, namespace string, list client.ObjectList, label string) int {
	t.Helper()
	if err := w.List(t.Context(), list, client.InNamespace(namespace), client.HasLabels{label}); err != nil {
		t.Fatal(err)
	}
	return len(list.(*corev1.PodList).Items)
}

// hostCertificate applies a Certificate of a namespace for a host that leads to the edge.
func (w *world) hostCertificate(t *testing.T, namespace, name, issuer string) {
	t.Helper()
	w.cluster.Apply(t, namespace, strings.Replace(harness.CertificateManifest(name, issuer, name+".web."+guideZone),
		"issuerRef: {", "issuerRef: {kind: "+map[bool]string{true: cmv1.ClusterIssuerKind, false: cmv1.IssuerKind}[issuer == "prod-issuer"]+", ", 1))
}

// killResponder kills, in the midst of a challenge, the pod of the leader without notice.
// What the other one makes ready leads to it alone.
func (w *world) killResponder(t *testing.T) {
	w.edge.Hold()
	w.hostCertificate(t, cafes, "killed", "prod-issuer")
	w.cluster.WaitingFor(t, cafes, "killed", issuable, "404")
	first, err := w.leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices := w.Kubectl(t, "get", "endpointslices", "-l", "acme.cert-manager.io/http01-solver=true", "-o", "jsonpath={.items[0].endpoints[*].addresses}")
	w.Kubectl(t, "-n", release, "delete", "pod", first, "--force", "--grace-period=0")
	w.edge.Release()
	begin := time.Now()
	w.cluster.Ready(t, cafes, "killed", issuable)
	t.Logf("before, the challenge led to %s; from the end of the leader to a certificate: %s", slices, time.Since(begin).Round(time.Millisecond))
	w.Kubectl(t, "delete", "certificate", "killed")
	w.Deployed(t, release, rollout)
}

// denyResponder drops what the ingress controller sends to the responder, as networks do
// that know NetworkPolicies, and lets the probes of the kubelet pass.
func (w *world) denyResponder(t *testing.T) {
	rule := []string{"OUTPUT", "-s", node.Edge, "-p", "tcp", "--dport", "8089", "-j", "DROP"}
	filter := func(verb string) {
		t.Helper()
		if out, err := exec.Command("iptables", append([]string{verb}, rule...)...).CombinedOutput(); err != nil {
			t.Fatalf("iptables %s: %v: %s", verb, err, out)
		}
	}
	w.edge.Set(nginxingress.Faults{Source: netip.MustParseAddr(node.Edge)})
	filter("-I")
	w.hostCertificate(t, cafes, "denied", "prod-issuer")
	waiting := w.cluster.WaitingFor(t, cafes, "denied", issuable, "the shared responder, port 8089", "a NetworkPolicy may not let it in")
	t.Log(waiting.Status.Reason)
	filter("-D")
	w.cluster.Ready(t, cafes, "denied", issuable)
	w.edge.Set(nginxingress.Faults{})
	w.Kubectl(t, "delete", "certificate", "denied")
}

// solveInPod has an issuer whose solver has a podTemplate, in a namespace that admits only
// restricted pods and has a quota. The pod is deleted once.
func (w *world) solveInPod(t *testing.T) {
	const restricted = "restricted"
	w.kubectlApply(t, `
apiVersion: v1
kind: Namespace
metadata: {name: restricted, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: all, namespace: restricted}
spec: {hard: {requests.cpu: "1", requests.memory: 1Gi, limits.cpu: "1", limits.memory: 1Gi}}
`)
	w.cluster.Apply(t, restricted, harness.IssuerManifest("in-pod", w.ca, "{http01: {ingress: {ingressClassName: nginx, serviceType: ClusterIP, podTemplate: {metadata: {labels: {team: edge}}}}}}"))
	w.edge.Hold()
	w.hostCertificate(t, restricted, "pod", "in-pod")
	running := func(before string) (name string) {
		w.Eventually(t, rollout, "a pod of the solver", func(ctx context.Context) error {
			pods := &corev1.PodList{}
			if err := w.List(ctx, pods, client.InNamespace(restricted), client.MatchingLabels{"acme.cert-manager.io/http01-solver": "true", "team": "edge"}); err != nil {
				return err
			}
			for i := range pods.Items {
				p := &pods.Items[i]
				if string(p.UID) != before && p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
					name = string(p.UID) + " " + p.Name
					return nil
				}
			}
			return fmt.Errorf("%d pods", len(pods.Items))
		})
		return name
	}
	uid, name, _ := strings.Cut(running(""), " ")
	t.Log(w.Kubectl(t, "-n", restricted, "get", "pods,services,ingresses", "-l", "acme.cert-manager.io/http01-solver=true"))
	w.Kubectl(t, "-n", restricted, "delete", "pod", name, "--now")
	running(uid)
	w.edge.Release()
	w.cluster.Ready(t, restricted, "pod", issuable)
	t.Log(w.Kubectl(t, "-n", restricted, "get", "events", "--field-selector=involvedObject.kind=Challenge"))
	w.Eventually(t, rollout, "no pod of the solver", func(context.Context) error {
		if n := w.count(t, restricted, &corev1.PodList{}, "acme.cert-manager.io/http01-solver"); n > 0 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	w.Kubectl(t, "delete", "namespace", restricted)
}

// followCloudflareGuide is seed 003, with DNS-01 through Cloudflare's API. The controllers
// find what stands for it under its name, and trust it.
func (w *world) followCloudflareGuide(t *testing.T) {
	api := w.startCloudflare(t)
	w.helm(t, `helm upgrade cert-manager jetstack/cert-manager --namespace cert-manager --reuse-values
  --set extraEnv[0].name=SSL_CERT_FILE --set extraEnv[0].value=/etc/vendor/ca.crt
  --set volumes[0].name=vendor --set volumes[0].configMap.name=vendor-ca
  --set volumeMounts[0].name=vendor --set volumeMounts[0].mountPath=/etc/vendor`)
	w.Deployed(t, release, rollout)
	before := w.wantServed(t)
	w.kubectlApply(t, strings.Replace(harness.CafeCloudflareIssuer, "<API Token>", cloudflaretest.Token, 1))
	w.Kubectl(t, "delete", "secret", "cafe-secret")
	w.Eventually(t, issuable, "a new certificate", func(ctx context.Context) error {
		crt := &cmv1.Certificate{}
		if err := w.Get(ctx, client.ObjectKey{Namespace: cafes, Name: "cafe-secret"}, crt); err != nil {
			return err
		}
		if crt.Status.Revision == nil || *crt.Status.Revision != 2 {
			return fmt.Errorf("the conditions are %v", crt.Status.Conditions)
		}
		return nil
	})
	w.Kubectl(t, "wait", "clusterissuer/prod-issuer", "--for=condition=Ready", "--timeout=60s")
	t.Log(w.Kubectl(t, "get", "clusterissuer"))
	t.Log(w.Kubectl(t, "get", "certificates"))
	w.Eventually(t, rollout, "the new certificate to be served", func(context.Context) error {
		if w.wantServed(t) == before {
			return fmt.Errorf("still %s", before)
		}
		return nil
	})
	asked := api.Requests()
	if len(asked) == 0 {
		t.Error("Cloudflare's API was not asked")
	}
	t.Logf("Cloudflare's API was asked %d times, first: %s", len(asked), strings.Join(asked[:min(3, len(asked))], ", "))
	w.Kubectl(t, "delete", "ingress", "cafe-ingress")
	w.Kubectl(t, "delete", "secret", "cafe-secret", "killed-tls", "denied-tls")
	w.Kubectl(t, "delete", "clusterissuer", "prod-issuer")
	w.Kubectl(t, "delete", "deployments,services", "tea", "coffee", "tea-svc", "coffee-svc", "--ignore-not-found")
}

// startCloudflare starts what stands for Cloudflare's API, under its name and port. What is
// written there is in the name server. The ConfigMap vendor-ca has the certificate.
func (w *world) startCloudflare(t *testing.T) *cloudflaretest.Server {
	t.Helper()
	api := cloudflaretest.New(t)
	api.Changed = w.publish(t)
	backend, err := url.Parse(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	key := must(pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256}))
	csr := must(pki.ParseRequest(must(pki.BuildRequest(pki.Template{DNSNames: []string{api.Host()}}, key, pki.Limits{})), pki.Limits{}))
	template := must(pki.CertificateFromRequest(csr, pki.SignOptions{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}))
	certificate := must(pki.Sign(template, template, csr.PublicKey, key))
	server := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(backend))
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", node.Vendor+":443")
	if err != nil {
		t.Fatal(err)
	}
	server.Listener.Close()
	server.Listener = listener
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	bundle := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: release, Name: "vendor-ca"},
		Data:       map[string]string{"ca.crt": string(pki.EncodeChain(certificate))},
	}
	if err := w.Create(t.Context(), bundle); err != nil {
		t.Fatal(err)
	}
	return api
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// publish returns what puts the values of a name into the name server.
func (w *world) publish(t *testing.T) func(fqdn string, ttl time.Duration, values []string) {
	return func(fqdn string, ttl time.Duration, values []string) {
		name := strings.TrimSuffix(fqdn, ".") + "."
		script := fmt.Sprintf("server %s\nupdate delete %s TXT\n", node.Authoritative, name)
		for _, value := range values {
			script += fmt.Sprintf("update add %s %d TXT %q\n", name, int(ttl.Seconds()), value)
		}
		update := exec.Command("nsupdate", "-y", w.key.Algorithm+":"+w.key.Name+":"+w.key.Secret)
		update.Stdin = strings.NewReader(script + "send\n")
		if out, err := update.CombinedOutput(); err != nil {
			t.Errorf("nsupdate: %v\n%s", err, out)
		}
	}
}
