package integration

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/solverwebhook/solvertest"
	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/harness"
)

// ownSolver is a program that was written with package solverwebhook. It runs as a
// service account of its own, as in a pod.
type ownSolver struct {
	*faultLab
	// name is that of its service account in ns, and group its API group.
	name, group string
	core        kubernetes.Interface
	process     *child.Process
	port        string
	logFile     string
}

func newOwnSolver(t *testing.T, f *faultLab, name string) *ownSolver {
	t.Helper()
	core, err := kubernetes.NewForConfig(f.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	s := &ownSolver{faultLab: f, name: name, group: "acme." + f.ns + ".example", core: core}
	f.Apply(t, f.ns, "{apiVersion: v1, kind: ServiceAccount, metadata: {name: "+name+"}}")
	return s
}

// manifests applies those manifests of a program that say who may do what, for a
// service account in the test's namespace.
func (s *ownSolver) manifests(t *testing.T, path, group string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	own := strings.NewReplacer(
		"name: "+s.name+"\n  namespace: cert-manager\n", "name: "+s.name+"\n  namespace: "+s.ns+"\n", group, s.group,
		"-secrets\n  namespace: cert-manager", "-secrets\n  namespace: "+s.ns)
	for _, doc := range strings.Split(string(raw), "\n---\n") {
		if strings.Contains(doc, "rbac.authorization.k8s.io") {
			s.Apply(t, s.ns, own.Replace(doc+"\n"))
		}
	}
}

// start runs the program. It has no rights yet.
func (s *ownSolver) start(t *testing.T, program string) {
	t.Helper()
	token, err := s.core.CoreV1().ServiceAccounts(s.ns).CreateToken(t.Context(), s.name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	admin := s.RESTConfig()
	file := clientcmdapi.NewConfig()
	file.Clusters["test"] = &clientcmdapi.Cluster{Server: admin.Host, CertificateAuthorityData: admin.CAData}
	file.AuthInfos["test"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	file.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "test"}
	file.CurrentContext = "test"
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := clientcmd.WriteToFile(*file, kubeconfig); err != nil {
		t.Fatal(err)
	}
	address, err := child.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	if _, s.port, err = net.SplitHostPort(address); err != nil {
		t.Fatal(err)
	}
	crt, key := selfSigned(t, "solver."+s.ns+".svc")
	for name, content := range map[string][]byte{"tls.crt": crt, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "--bind-address=127.0.0.1", "--secure-port="+s.port, "--kubeconfig="+kubeconfig,
		"--tls-cert-file="+filepath.Join(dir, "tls.crt"), "--tls-private-key-file="+filepath.Join(dir, "tls.key"), "-v=2")
	cmd.Env = append(os.Environ(), "GROUP_NAME="+s.group)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	child.DieWithParent(cmd)
	if s.process, err = child.StartCommand(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.process.Stop()
		if err := s.process.Err(); err != nil {
			t.Errorf("the solver ended with %v", err)
		}
		if t.Failed() {
			t.Log(s.printed(t))
		}
	})
	s.logFile = log.Name()
	// The Service has the name of this host instead of pods.
	s.Apply(t, s.ns, strings.NewReplacer("GROUP", s.group, "NS", s.ns, "PORT", s.port, "CA", base64.StdEncoding.EncodeToString(crt)).Replace(`
apiVersion: v1
kind: Service
metadata: {name: solver}
spec: {type: ExternalName, externalName: localhost}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1alpha1.GROUP}
spec:
  group: GROUP
  version: v1alpha1
  groupPriorityMinimum: 1000
  versionPriority: 15
  caBundle: CA
  service: {name: solver, namespace: NS, port: PORT}
`))
}

// available waits until the API server passes requests on to the program.
func (s *ownSolver) available(t *testing.T) {
	t.Helper()
	harness.Eventually(t, 2*patience, func() error {
		_, err := s.core.Discovery().RESTClient().Get().AbsPath("/apis/" + s.group + "/v1alpha1").DoRaw(t.Context())
		return err
	})
}

// printed is what the program has printed.
func (s *ownSolver) printed(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(s.logFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// buildProgram builds a program of this repository.
func buildProgram(t *testing.T, dir string, args ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", append([]string{"build", "-o", program}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build in %s: %v\n%s", dir, err, out)
	}
	return program
}

// Report P38: a solver that was written with package solverwebhook starts without the
// RoleBinding, and says how to make it. It issues certificates, and goes on to when the
// API server has a new certificate, of a new authority, for its proxy.
func TestOwnSolver(t *testing.T) {
	f := newFaultLab(t, harness.QuickOptions{}, nil)
	s := newOwnSolver(t, f, "solver-webhook")
	s.start(t, buildProgram(t, "../..", "./examples/solver-webhook"))
	f.Secret(t, f.ns, "tsig", "secret", f.quick.Key.Secret)
	config := fmt.Sprintf(`{"nameserver": %q, "tsigKeyName": %q, "tsigSecretRef": {"name": "tsig", "key": "secret"}}`, f.quick.DNS.Addr(), f.quick.Key.Name)
	f.Apply(t, f.ns, harness.IssuerManifest("acme", f.quick.CA,
		fmt.Sprintf("{dns01: {webhook: {groupName: %s, solverName: example, config: %s}}}", s.group, config)))

	command := fmt.Sprintf("kubectl create rolebinding solver-webhook-authentication-reader --namespace=kube-system --role=extension-apiserver-authentication-reader --serviceaccount=%s:solver-webhook", f.ns)
	harness.Eventually(t, patience, func() error {
		if n := strings.Count(s.printed(t), command); n != 1 {
			return fmt.Errorf("the log has the command %d times:\n%s", n, s.printed(t))
		}
		return nil
	})
	const manifests = "../../examples/solver-webhook/manifests.yaml"
	s.manifests(t, manifests, "acme.example.org")
	s.available(t)
	f.Apply(t, f.ns, harness.CertificateManifest("first", "acme", "first.example.com", "*.first.example.com"))
	f.Ready(t, f.ns, "first", 3*patience)
	if n := strings.Count(s.printed(t), "kubectl create rolebinding"); n != 1 {
		t.Errorf("the log has the command %d times", n)
	}

	s.rotateProxy(t)
	f.Apply(t, f.ns, harness.CertificateManifest("second", "acme", "second.example.com"))
	f.Ready(t, f.ns, "second", 2*patience)
	if strings.Contains(s.printed(t), f.quick.Key.Secret) {
		t.Error("the log has a secret")
	}

	controllers, err := f.ControllerConfig()
	if err != nil {
		t.Fatal(err)
	}
	asker, err := kubernetes.NewForConfig(controllers)
	if err != nil {
		t.Fatal(err)
	}
	solvertest.Run(t, solvertest.Remote(asker, s.group, "example"), solvertest.Options{
		Zone: "example.com.", Nameserver: f.quick.DNS.Addr(), Config: config, Namespace: f.ns, Secrets: []string{f.quick.Key.Secret},
	})
	if err := s.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// rotateProxy gives the API server's proxy a certificate of a new authority, and has
// the old authority forgotten.
func (s *ownSolver) rotateProxy(t *testing.T) {
	t.Helper()
	dir := filepath.Join(filepath.Dir(s.KubeconfigPath()), "pki")
	before, err := os.ReadFile(filepath.Join(dir, "proxy-ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	after, crt, key := proxyIdentity(t)
	// As an administrator does it: first both authorities, then the certificate.
	write := func(name string, content []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "extension-apiserver-authentication"}}
	write("proxy-ca.crt", slices.Concat(before, after))
	harness.Eventually(t, 3*patience, func() error {
		if err := s.Get(t.Context(), client.ObjectKeyFromObject(config), config); err != nil {
			return err
		}
		if !strings.Contains(config.Data["requestheader-client-ca-file"], string(bytes.TrimSpace(after))) {
			return fmt.Errorf("the API server has not published its new proxy authority")
		}
		return nil
	})
	write("proxy-client.key", key)
	write("proxy-client.crt", crt)
	write("proxy-ca.crt", after)
	// The API server publishes old authorities for as long as they are valid, until
	// somebody removes them.
	harness.Eventually(t, 3*patience, func() error {
		if err := s.Get(t.Context(), client.ObjectKeyFromObject(config), config); err != nil {
			return err
		}
		if !strings.Contains(config.Data["requestheader-client-ca-file"], string(bytes.TrimSpace(before))) {
			return nil
		}
		config.Data["requestheader-client-ca-file"] = string(after)
		if err := s.Update(t.Context(), config); err != nil {
			return err
		}
		return fmt.Errorf("the API server still publishes its old proxy authority")
	})
}

// proxyIdentity returns a new authority, and a certificate of it, with its key, for the
// API server's proxy; all in PEM.
func proxyIdentity(t *testing.T) (authority, crt, key []byte) {
	t.Helper()
	issue := func(template, issuer *x509.Certificate, by crypto.Signer) (*x509.Certificate, crypto.Signer) {
		signer, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
		if err != nil {
			t.Fatal(err)
		}
		template.SerialNumber = big.NewInt(time.Now().UnixNano())
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
		if issuer == nil {
			issuer, by = template, signer
		}
		cert, err := pki.Sign(template, issuer, signer.Public(), by)
		if err != nil {
			t.Fatal(err)
		}
		return cert, signer
	}
	ca, signer := issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "new proxy authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	leaf, leafKey := issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "front-proxy-client"}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca, signer)
	key, err := pki.EncodeKey(leafKey, pki.PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	return pki.EncodeChain(ca), pki.EncodeChain(leaf), key
}

// The plugin with lego's providers issues a certificate for a name and its wildcard,
// whose challenges have the same record name.
func TestLegoPlugin(t *testing.T) {
	f := newFaultLab(t, harness.QuickOptions{}, nil)
	const plugin = "../../plugins/lego"
	patch := exec.Command("go", "run", "./internal/patch")
	patch.Dir = plugin
	if out, err := patch.CombinedOutput(); err != nil {
		t.Fatalf("patch lego: %v\n%s", err, out)
	}
	s := newOwnSolver(t, f, "lego-webhook")
	s.start(t, buildProgram(t, plugin, "-tags=lego_few", "-modfile=.build/go.mod", "."))
	s.manifests(t, plugin+"/manifests.yaml", "lego.example.org")
	f.Apply(t, f.ns, `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: lego-webhook-secrets}
rules: [{apiGroups: [""], resources: [secrets], resourceNames: [tsig], verbs: [get]}]
`)
	f.Secret(t, f.ns, "tsig", "secret", f.quick.Key.Secret)
	s.available(t)
	config := fmt.Sprintf(`{"provider": "rfc2136", "env": {"RFC2136_NAMESERVER": %q, "RFC2136_TSIG_KEY": %q, "RFC2136_TSIG_ALGORITHM": "hmac-sha256."}, "secretRefs": [{"env": "RFC2136_TSIG_SECRET", "name": "tsig", "key": "secret"}]}`,
		f.quick.DNS.Addr(), f.quick.Key.Name)
	f.Apply(t, f.ns, harness.IssuerManifest("acme", f.quick.CA,
		fmt.Sprintf("{dns01: {webhook: {groupName: %s, solverName: lego, config: %s}}}", s.group, config)))
	f.Apply(t, f.ns, harness.CertificateManifest("by-lego", "acme", "by-lego.example.com", "*.by-lego.example.com"))
	f.Ready(t, f.ns, "by-lego", 3*patience)
	harness.Eventually(t, patience, func() error {
		if left := f.quick.DNS.Records("_acme-challenge.by-lego.example.com."); len(left) > 0 {
			return fmt.Errorf("records are left: %q", left)
		}
		return nil
	})
	if strings.Contains(s.printed(t), f.quick.Key.Secret) {
		t.Error("the log has a secret")
	}
}
