package integration

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/harness"
)

// patience is enough for a step of a CA issuance on a machine that is busy.
const patience = 2 * time.Minute

// lab is a namespace with a self-signed issuer, a CA issuer below it, and
// controllers.
type lab struct {
	*harness.Cluster
	ns      string
	traffic *harness.Traffic
	// start starts controllers again, after stop.
	start func(t *testing.T)
	stop  func()
}

const labIssuers = `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: selfsigned}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: root}
spec:
  secretName: root
  isCA: true
  commonName: root
  duration: 8760h
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: selfsigned}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: ca}
spec: {ca: {secretName: root}}
`

// newLab returns a lab whose test runs beside others.
func newLab(t *testing.T, how harness.Controllers) *lab {
	t.Helper()
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	how.Options = within(ns, how.Options)
	return startLab(t, cluster, ns, how)
}

// newLabAlone returns a lab for a test that measures, or that needs more than one
// namespace: no other test runs at the same time.
func newLabAlone(t *testing.T, how harness.Controllers) *lab {
	t.Helper()
	cluster := harness.Shared(t)
	return startLab(t, cluster, cluster.Namespace(t), how)
}

// within has controllers work in one namespace only, so that other tests can run at
// the same time. more changes the options further; it may be nil.
func within(ns string, more func(*operator.Options)) func(*operator.Options) {
	return func(o *operator.Options) {
		o.Namespace = ns
		if more != nil {
			more(o)
		}
	}
}

func startLab(t *testing.T, cluster *harness.Cluster, ns string, how harness.Controllers) *lab {
	t.Helper()
	l := &lab{Cluster: cluster, ns: ns, traffic: &harness.Traffic{}}
	change := how.Config
	how.Config = func(c *rest.Config) {
		if change != nil {
			change(c)
		}
		l.traffic.Record(c)
	}
	l.start = func(t *testing.T) { l.stop = cluster.Run(t, how) }
	l.start(t)
	l.Apply(t, l.ns, labIssuers)
	l.Ready(t, l.ns, "root", patience)
	return l
}

// certificate applies a Certificate with a spec in YAML's flow style.
func (l *lab) certificate(t *testing.T, name, spec string) {
	t.Helper()
	l.Apply(t, l.ns, certificateManifest(name, spec))
}

func certificateManifest(name, spec string) string {
	return fmt.Sprintf("apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: %s}\nspec: %s\n", name, spec)
}

func (l *lab) secret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	s := &corev1.Secret{}
	if err := l.Get(t.Context(), client.ObjectKey{Namespace: l.ns, Name: name}, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (l *lab) crt(t *testing.T, name string) *cmv1.Certificate {
	t.Helper()
	c := &cmv1.Certificate{}
	if err := l.Get(t.Context(), client.ObjectKey{Namespace: l.ns, Name: name}, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// revision waits until a Certificate is ready at a revision and not being
// issued.
func (l *lab) revision(t *testing.T, name string, want int) *cmv1.Certificate {
	t.Helper()
	var crt *cmv1.Certificate
	harness.Eventually(t, patience, func() error {
		crt = l.crt(t, name)
		if got := crt.Status.Revision; got == nil || *got != want {
			return fmt.Errorf("%s has revision %v, want %d: %s", name, deref(got), want, conditions(crt))
		}
		if !isTrue(crt, cmv1.CertificateConditionReady) || isTrue(crt, cmv1.CertificateConditionIssuing) {
			return fmt.Errorf("%s is not idle: %s", name, conditions(crt))
		}
		return nil
	})
	return crt
}

func deref(n *int) any {
	if n == nil {
		return nil
	}
	return *n
}

func isTrue(crt *cmv1.Certificate, kind cmv1.CertificateConditionType) bool {
	c := certificateCondition(crt, kind)
	return c != nil && c.Status == cmmeta.ConditionTrue
}

func certificateCondition(crt *cmv1.Certificate, kind cmv1.CertificateConditionType) *cmv1.CertificateCondition {
	for i := range crt.Status.Conditions {
		if crt.Status.Conditions[i].Type == kind {
			return &crt.Status.Conditions[i]
		}
	}
	return nil
}

func conditions(crt *cmv1.Certificate) string {
	var all []string
	for _, c := range crt.Status.Conditions {
		all = append(all, fmt.Sprintf("%s=%s (%s): %s", c.Type, c.Status, c.Reason, c.Message))
	}
	return strings.Join(all, "; ")
}

// chainOf reads a Secret's chain, and checks that its key fits.
func chainOf(t *testing.T, s *corev1.Secret) ([]*x509.Certificate, crypto.PrivateKey) {
	t.Helper()
	pair, err := tls.X509KeyPair(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		t.Fatalf("Secret %s: %v", s.Name, err)
	}
	var chain []*x509.Certificate
	for _, der := range pair.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, cert)
	}
	return chain, pair.PrivateKey
}

// verify holds a Secret's chain against the root in its ca.crt.
func verify(t *testing.T, s *corev1.Secret, name string) []*x509.Certificate {
	t.Helper()
	chain, _ := chainOf(t, s)
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.Data[cmmeta.TLSCAKey]) {
		t.Fatalf("Secret %s has no ca.crt", s.Name)
	}
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		DNSName: name, Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		t.Fatalf("Secret %s: %v", s.Name, err)
	}
	return chain
}

func TestLifecycleKeys(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	tests := []struct{ name, key, block, algorithm string }{
		{"rsa", `{algorithm: RSA, size: 2048}`, "RSA PRIVATE KEY", "RSA"},
		{"rsa-pkcs8", `{algorithm: RSA, size: 3072, encoding: PKCS8}`, "PRIVATE KEY", "RSA"},
		{"default", `{}`, "RSA PRIVATE KEY", "RSA"},
		{"ecdsa", `{algorithm: ECDSA}`, "EC PRIVATE KEY", "ECDSA"},
		{"ecdsa-384", `{algorithm: ECDSA, size: 384}`, "EC PRIVATE KEY", "ECDSA"},
		{"ecdsa-521-pkcs8", `{algorithm: ECDSA, size: 521, encoding: PKCS8}`, "PRIVATE KEY", "ECDSA"},
		{"ed25519", `{algorithm: Ed25519, encoding: PKCS8}`, "PRIVATE KEY", "Ed25519"},
		{"ed25519-pkcs1", `{algorithm: Ed25519}`, "PRIVATE KEY", "Ed25519"},
	}
	for _, issuer := range []string{"ca", "selfsigned"} {
		for _, tt := range tests {
			l.certificate(t, issuer+"-"+tt.name, fmt.Sprintf(`{secretName: %s-%s, dnsNames: [%s.example.com], privateKey: %s, issuerRef: {name: %s}}`,
				issuer, tt.name, tt.name, tt.key, issuer))
		}
	}
	for _, issuer := range []string{"ca", "selfsigned"} {
		for _, tt := range tests {
			t.Run(issuer+"/"+tt.name, func(t *testing.T) {
				crt := l.revision(t, issuer+"-"+tt.name, 1)
				s := l.secret(t, issuer+"-"+tt.name)
				block, _ := pem.Decode(s.Data[corev1.TLSPrivateKeyKey])
				if block == nil || block.Type != tt.block {
					t.Errorf("the key is %v, want %s", block, tt.block)
				}
				chain := verify(t, s, tt.name+".example.com")
				if got := chain[0].PublicKeyAlgorithm.String(); got != tt.algorithm {
					t.Errorf("the key is %s, want %s", got, tt.algorithm)
				}
				if s.Type != corev1.SecretTypeTLS || !crt.Status.NotAfter.Time.Equal(chain[0].NotAfter) {
					t.Errorf("type %s, status.notAfter %s, want %s", s.Type, crt.Status.NotAfter, chain[0].NotAfter)
				}
			})
		}
	}
}

func TestLifecycleChainOfCAs(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	// All at once, leaf first: each waits for what is above it.
	l.certificate(t, "leaf", `{secretName: leaf, dnsNames: [leaf.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: intermediate}}`)
	l.Apply(t, l.ns, "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: intermediate}\nspec: {ca: {secretName: intermediate}}\n")
	l.certificate(t, "intermediate", `{secretName: intermediate, isCA: true, commonName: intermediate, privateKey: {algorithm: Ed25519}, issuerRef: {name: ca}}`)
	l.revision(t, "leaf", 1)
	s := l.secret(t, "leaf")
	chain := verify(t, s, "leaf.example.com")
	if len(chain) != 2 || !chain[1].IsCA || chain[1].Subject.CommonName != "intermediate" || chain[0].IsCA {
		t.Errorf("the chain is %v", chain)
	}
	// The CA that the issuer knows: it has no more of its own chain.
	if !bytes.Equal(s.Data[cmmeta.TLSCAKey], l.secret(t, "intermediate").Data[corev1.TLSCertKey]) {
		t.Error("ca.crt is not the last certificate of the CA's chain")
	}
	verify(t, l.secret(t, "intermediate"), "")
}

func TestLifecycleCASecretComesLate(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	l.Apply(t, l.ns, "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: late}\nspec: {ca: {secretName: late}}\n")
	l.certificate(t, "waits", `{secretName: waits, dnsNames: [waits.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: late}}`)
	issuer := &cmv1.Issuer{}
	harness.Eventually(t, patience, func() error {
		if err := l.Get(t.Context(), client.ObjectKey{Namespace: l.ns, Name: "late"}, issuer); err != nil {
			return err
		}
		for _, c := range issuer.Status.Conditions {
			if c.Status == cmmeta.ConditionFalse && strings.Contains(c.Message, "not found") {
				return nil
			}
		}
		return fmt.Errorf("conditions: %+v", issuer.Status.Conditions)
	})
	harness.Eventually(t, patience, func() error {
		c := certificateCondition(l.crt(t, "waits"), cmv1.CertificateConditionIssuing)
		if c == nil || !strings.Contains(c.Message, "does not have a Ready status condition") {
			return fmt.Errorf("the Issuing condition does not say what it waits for: %+v", c)
		}
		return nil
	})
	root := l.secret(t, "root")
	err := l.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metaNamed(l.ns, "late"), Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: root.Data[corev1.TLSCertKey], corev1.TLSPrivateKeyKey: root.Data[corev1.TLSPrivateKeyKey]},
	})
	if err != nil {
		t.Fatal(err)
	}
	crt := l.revision(t, "waits", 1)
	if crt.Status.FailedIssuanceAttempts != nil {
		t.Errorf("waiting for the CA counted as %d failures", *crt.Status.FailedIssuanceAttempts)
	}
	verify(t, l.secret(t, "waits"), "waits.example.com")
}
