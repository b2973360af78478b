package local

import (
	"crypto/x509/pkix"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// controllers are the parts of kube-controller-manager that everleaf's users
// need: deletion of namespaces and dependents, service accounts with their
// tokens, and aggregated roles. The other parts serve nodes and pods.
var controllers = []string{
	"clusterrole-aggregation-controller",
	"garbage-collector-controller",
	"namespace-controller",
	"serviceaccount-controller",
	"serviceaccount-token-controller",
}

// auditPolicy logs each request once, without bodies.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  nonResourceURLs: ["/healthz*", "/livez*", "/readyz*"]
- level: Metadata
`

// files are the certificates and keys that the children read.
type files struct {
	ca, etcdCA                        string
	etcdServer, etcdClient, apiServer pair
	serviceAccountKey                 string
}

// writeFiles issues the certificates of the children. The authorities and the
// key of the service accounts persist. Every start replaces the rest.
func (c *ControlPlane) writeFiles(now time.Time) error {
	dir := filepath.Join(c.options.DataDir, "pki")
	var err error
	if c.ca, err = loadAuthority(dir, "ca", now); err != nil {
		return err
	}
	etcdCA, err := loadAuthority(dir, "etcd-ca", now)
	if err != nil {
		return err
	}
	f := files{ca: c.ca.file, etcdCA: etcdCA.file, serviceAccountKey: filepath.Join(dir, "service-accounts.key")}
	if err := ensureKey(f.serviceAccountKey); err != nil {
		return err
	}
	const loopback = "127.0.0.1"
	if f.etcdServer, err = etcdCA.issueFile(dir, "etcd", pkix.Name{CommonName: "etcd"}, now, loopback, "localhost"); err != nil {
		return err
	}
	if f.etcdClient, err = etcdCA.issueFile(dir, "etcd-client", pkix.Name{CommonName: "kube-apiserver"}, now); err != nil {
		return err
	}
	f.apiServer, err = c.ca.issueFile(dir, "kube-apiserver", pkix.Name{CommonName: "kube-apiserver"}, now,
		loopback, "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", serviceIP)
	c.files = f
	return err
}

// serviceRange is the range of ClusterIPs, and serviceIP its first address,
// that of the Service "kubernetes". Neither is routed.
const (
	serviceRange = "10.96.0.0/16"
	serviceIP    = "10.96.0.1"
)

func (c *ControlPlane) etcdArguments() []string {
	url := fmt.Sprintf("https://127.0.0.1:%d", c.etcdPort)
	args := []string{
		"--name=default",
		"--data-dir=" + filepath.Join(c.options.DataDir, "etcd"),
		"--listen-client-urls=" + url,
		"--advertise-client-urls=" + url,
		"--client-cert-auth",
		"--trusted-ca-file=" + c.files.etcdCA,
		"--cert-file=" + c.files.etcdServer.certFile,
		"--key-file=" + c.files.etcdServer.keyFile,
		// A single member has no peers, but etcd still listens for them.
		"--listen-peer-urls=https://127.0.0.1:0",
		"--peer-client-cert-auth",
		"--peer-trusted-ca-file=" + c.files.etcdCA,
		"--peer-cert-file=" + c.files.etcdServer.certFile,
		"--peer-key-file=" + c.files.etcdServer.keyFile,
		"--log-level=warn",
	}
	if c.options.UnsafeNoFsync {
		args = append(args, "--unsafe-no-fsync")
	}
	return args
}

func (c *ControlPlane) apiServerArguments() []string {
	args := []string{
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--external-hostname=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.port),
		fmt.Sprintf("--etcd-servers=https://127.0.0.1:%d", c.etcdPort),
		"--etcd-cafile=" + c.files.etcdCA,
		"--etcd-certfile=" + c.files.etcdClient.certFile,
		"--etcd-keyfile=" + c.files.etcdClient.keyFile,
		"--tls-cert-file=" + c.files.apiServer.certFile,
		"--tls-private-key-file=" + c.files.apiServer.keyFile,
		"--client-ca-file=" + c.files.ca,
		"--anonymous-auth=false",
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.files.serviceAccountKey,
		"--service-account-signing-key-file=" + c.files.serviceAccountKey,
		"--service-cluster-ip-range=" + serviceRange,
		"--endpoint-reconciler-type=none",
		"--profiling=false",
	}
	if c.options.AuditLog != "" {
		args = append(args,
			"--audit-policy-file="+c.auditPolicyPath(),
			"--audit-log-path="+c.options.AuditLog,
			// No rotation, so that entries can be counted.
			"--audit-log-maxsize=1000000",
		)
	}
	return args
}

func (c *ControlPlane) auditPolicyPath() string {
	return filepath.Join(c.options.DataDir, "audit-policy.yaml")
}

func (c *ControlPlane) controllerManagerArguments(kubeconfig string) []string {
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--controllers=" + strings.Join(controllers, ","),
		"--use-service-account-credentials",
		"--service-account-private-key-file=" + c.files.serviceAccountKey,
		"--root-ca-file=" + c.files.ca,
		"--leader-elect=false",
		// No port: nothing scrapes it, and no port can be in use.
		"--secure-port=0",
		"--profiling=false",
	}
}

// writeControllerManagerConfig writes the kubeconfig of kube-controller-manager.
func (c *ControlPlane) writeControllerManagerConfig() (string, error) {
	config, err := c.ConfigFor("system:kube-controller-manager")
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.options.DataDir, "pki", "kube-controller-manager.kubeconfig")
	return path, c.writeKubeconfig(path, rest.CopyConfig(config))
}
