package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/internal/operator"
)

// namespace is the namespace of the certificates.
const namespace = "bench"

// plane is the control plane of one measurement.
type plane struct {
	*local.ControlPlane
	client.Client
	settings settings
	name     string
	audit    string
	token    string
	// names is how many names a certificate has.
	names int
	// prefix is that of the names of the next measured certificates.
	prefix string
}

func startPlane(ctx context.Context, s settings, name string) (*plane, error) {
	say("%s: starting a control plane", name)
	p := &plane{settings: s, name: name, names: 1, audit: filepath.Join(s.dir, name+"-audit.log")}
	var err error
	p.ControlPlane, err = local.Start(ctx, local.Options{
		DataDir: filepath.Join(s.dir, name), BinDir: s.binDir, AuditLog: p.audit, UnsafeNoFsync: s.noFsync,
	})
	if err != nil {
		return nil, err
	}
	if p.Client, err = newClient(p.RESTConfig()); err == nil {
		err = p.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *plane) stop() {
	if err := p.Stop(); err != nil {
		say("%s: %v", p.name, err)
	}
}

func newClient(config *rest.Config) (client.Client, error) {
	scheme, err := operator.Scheme()
	if err != nil {
		return nil, err
	}
	return client.New(config, client.Options{Scheme: scheme})
}

// controllerConfig authenticates the controllers with a token of their service
// account, as in a pod. The API server caches the verification of a token, but
// verifies a client certificate with every request.
func (p *plane) controllerConfig(ctx context.Context) (*rest.Config, error) {
	if p.token == "" {
		core, err := kubernetes.NewForConfig(p.RESTConfig())
		if err != nil {
			return nil, err
		}
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](6 * 3600)}}
		if request, err = core.CoreV1().ServiceAccounts(local.Namespace).CreateToken(ctx, "cert-manager", request, metav1.CreateOptions{}); err != nil {
			return nil, err
		}
		p.token = request.Status.Token
	}
	admin := p.RESTConfig()
	return &rest.Config{Host: admin.Host, BearerToken: p.token, TLSClientConfig: rest.TLSClientConfig{CAData: admin.CAData}, QPS: -1}, nil
}

// kubeconfig writes a kubeconfig for the controllers.
func (p *plane) kubeconfig(ctx context.Context) (string, error) {
	config, err := p.controllerConfig(ctx)
	if err != nil {
		return "", err
	}
	file := clientcmdapi.NewConfig()
	file.Clusters["bench"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	file.AuthInfos["bench"] = &clientcmdapi.AuthInfo{Token: config.BearerToken}
	file.Contexts["bench"] = &clientcmdapi.Context{Cluster: "bench", AuthInfo: "bench"}
	file.CurrentContext = "bench"
	path := filepath.Join(p.settings.dir, p.name+".kubeconfig")
	return path, clientcmd.WriteToFile(*file, path)
}

// clusterSecret creates a Secret for ClusterIssuers.
func (p *plane) clusterSecret(ctx context.Context, name string, data map[string]string) error {
	return p.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: local.Namespace, Name: name}, StringData: data})
}

func (p *plane) issuer(ctx context.Context, config cmv1.IssuerConfig) error {
	return p.Create(ctx, &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: namespace}, Spec: cmv1.IssuerSpec{IssuerConfig: config}})
}

// certificate returns one of the measured Certificates, of n names.
func certificate(name string, n int) *cmv1.Certificate {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("%s%s.%s", name, strings.Repeat("x", i), zone))
	}
	return &cmv1.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: cmv1.CertificateSpec{
			SecretName: name + "-tls",
			DNSNames:   names,
			PrivateKey: &cmv1.CertificatePrivateKey{Algorithm: cmv1.ECDSAKeyAlgorithm, Size: 256},
			IssuerRef:  cmmeta.IssuerReference{Kind: cmv1.ClusterIssuerKind, Name: namespace},
		},
	}
}

// number returns the name of a certificate in a batch.
func number(prefix string, i int) string { return fmt.Sprintf("%s-%04d", prefix, i) }
