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

// The files in the directory pki that are not of a certificate.
const (
	serviceAccountKey       = "service-accounts.key"
	controllerManagerConfig = "kube-controller-manager.kubeconfig"
)

func (c *ControlPlane) pki(name string) string {
	return filepath.Join(c.options.DataDir, "pki", name)
}

// writeFiles issues the certificates of the children, as NAME.crt and NAME.key in
// the directory pki. The authorities and the key of the service accounts persist.
// Every start replaces the rest.
func (c *ControlPlane) writeFiles(now time.Time) error {
	var err error
	if c.ca, err = loadAuthority(c.pki(""), "ca", now); err != nil {
		return err
	}
	etcd, err := loadAuthority(c.pki(""), "etcd-ca", now)
	if err != nil {
		return err
	}
	proxy, err := loadAuthority(c.pki(""), "proxy-ca", now)
	if err != nil {
		return err
	}
	if err := ensureKey(c.pki(serviceAccountKey)); err != nil {
		return err
	}
	for _, leaf := range []struct {
		ca            *authority
		name, subject string
		hosts         []string
	}{
		{etcd, "etcd", "etcd", []string{"127.0.0.1", "localhost"}},
		{etcd, "etcd-client", "kube-apiserver", nil},
		{proxy, "proxy-client", proxyName, nil},
		{c.ca, "kube-apiserver", "kube-apiserver", []string{
			"127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", serviceIP,
		}},
	} {
		cert, key, err := leaf.ca.issue(pkix.Name{CommonName: leaf.subject}, now, leaf.hosts...)
		if err != nil {
			return err
		}
		if err := writePair(c.pki(leaf.name), cert, key); err != nil {
			return err
		}
	}
	return nil
}

// serviceRange is the range of ClusterIPs, and serviceIP its first address,
// that of the Service "kubernetes". Neither is routed.
const (
	serviceRange = "10.96.0.0/16"
	serviceIP    = "10.96.0.1"
)

// proxyName is the API server as servers behind its aggregation layer know it. Its
// authority signs nothing else: who has a certificate of it can act as anybody there.
const proxyName = "front-proxy-client"

// EtcdConfig is how to reach etcd itself, past the API server, as a restored backup does.
func (c *ControlPlane) EtcdConfig() *rest.Config {
	return &rest.Config{Host: c.etcdURL(), TLSClientConfig: rest.TLSClientConfig{
		CAFile: c.pki("etcd-ca.crt"), CertFile: c.pki("etcd-client.crt"), KeyFile: c.pki("etcd-client.key"),
	}}
}

func (c *ControlPlane) etcdURL() string { return fmt.Sprintf("https://127.0.0.1:%d", c.etcdPort) }

func (c *ControlPlane) etcdArguments() []string {
	url := c.etcdURL()
	args := []string{
		"--name=default",
		"--data-dir=" + filepath.Join(c.options.DataDir, "etcd"),
		"--listen-client-urls=" + url,
		"--advertise-client-urls=" + url,
		"--client-cert-auth",
		"--trusted-ca-file=" + c.pki("etcd-ca.crt"),
		"--cert-file=" + c.pki("etcd.crt"),
		"--key-file=" + c.pki("etcd.key"),
		// A single member has no peers, but etcd still listens for them.
		"--listen-peer-urls=https://127.0.0.1:0",
		"--peer-client-cert-auth",
		"--peer-trusted-ca-file=" + c.pki("etcd-ca.crt"),
		"--peer-cert-file=" + c.pki("etcd.crt"),
		"--peer-key-file=" + c.pki("etcd.key"),
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
		"--etcd-servers=" + c.etcdURL(),
		"--etcd-cafile=" + c.pki("etcd-ca.crt"),
		"--etcd-certfile=" + c.pki("etcd-client.crt"),
		"--etcd-keyfile=" + c.pki("etcd-client.key"),
		"--tls-cert-file=" + c.pki("kube-apiserver.crt"),
		"--tls-private-key-file=" + c.pki("kube-apiserver.key"),
		"--client-ca-file=" + c.pki("ca.crt"),
		// The aggregation layer, through which solver webhooks are reached.
		"--proxy-client-cert-file=" + c.pki("proxy-client.crt"),
		"--proxy-client-key-file=" + c.pki("proxy-client.key"),
		"--requestheader-client-ca-file=" + c.pki("proxy-ca.crt"),
		"--requestheader-allowed-names=" + proxyName,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--anonymous-auth=false",
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.pki(serviceAccountKey),
		"--service-account-signing-key-file=" + c.pki(serviceAccountKey),
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

func (c *ControlPlane) controllerManagerArguments() []string {
	return []string{
		"--kubeconfig=" + c.pki(controllerManagerConfig),
		"--controllers=" + strings.Join(controllers, ","),
		"--use-service-account-credentials",
		"--service-account-private-key-file=" + c.pki(serviceAccountKey),
		"--root-ca-file=" + c.pki("ca.crt"),
		"--leader-elect=false",
		// No port: nothing scrapes it, and no port can be in use.
		"--secure-port=0",
		"--profiling=false",
	}
}
