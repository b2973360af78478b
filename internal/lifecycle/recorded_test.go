package lifecycle

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/pki"
)

// recorded is a cluster in which cert-manager 1.21 had been issuing, at a time:
// what everleaf finds when it takes over. The keys were made for the recording.
type recorded struct {
	time           time.Time
	certificates   []cmv1.Certificate
	requests       []*cmv1.CertificateRequest
	orders         []*acmev1.Order
	challenges     []*acmev1.Challenge
	secrets        []*corev1.Secret
	issuers        []cmv1.Issuer
	clusterIssuers []cmv1.ClusterIssuer
}

func recordedCluster(t testing.TB, name string) recorded {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var dump struct {
		Time  time.Time
		Items []json.RawMessage
	}
	if err := json.Unmarshal(data, &dump); err != nil {
		t.Fatal(err)
	}
	r := recorded{time: dump.Time}
	for _, item := range dump.Items {
		r.add(t, item)
	}
	return r
}

func (r *recorded) add(t testing.TB, item []byte) {
	t.Helper()
	var kind metav1.TypeMeta
	if err := json.Unmarshal(item, &kind); err != nil {
		t.Fatal(err)
	}
	switch kind.Kind {
	case "Certificate":
		r.certificates = append(r.certificates, *decoded(t, item, &cmv1.Certificate{}))
	case "CertificateRequest":
		r.requests = append(r.requests, decoded(t, item, &cmv1.CertificateRequest{}))
	case "Order":
		r.orders = append(r.orders, decoded(t, item, &acmev1.Order{}))
	case "Challenge":
		r.challenges = append(r.challenges, decoded(t, item, &acmev1.Challenge{}))
	case "Secret":
		r.secrets = append(r.secrets, decoded(t, item, &corev1.Secret{}))
	case "Issuer":
		r.issuers = append(r.issuers, *decoded(t, item, &cmv1.Issuer{}))
	case "ClusterIssuer":
		r.clusterIssuers = append(r.clusterIssuers, *decoded(t, item, &cmv1.ClusterIssuer{}))
	default:
		t.Fatalf("unexpected kind %q", kind.Kind)
	}
}

func decoded[T any](t testing.TB, data []byte, into *T) *T {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
	return into
}

func (r recorded) secret(namespace, name string) *corev1.Secret {
	for _, s := range r.secrets {
		if s.Namespace == namespace && s.Name == name {
			return s
		}
	}
	return nil
}

// state is what the reconciler would load for a Certificate.
func (r recorded) state(crt *cmv1.Certificate) Certificate {
	c := Certificate{Object: crt, Backoff: DefaultBackoff}
	var sharing []cmv1.Certificate
	for i := range r.certificates {
		if other := &r.certificates[i]; other.Namespace == crt.Namespace && other.Spec.SecretName == crt.Spec.SecretName {
			sharing = append(sharing, *other)
		}
	}
	for _, s := range r.secrets {
		switch {
		case s.Namespace == crt.Namespace && s.Name == crt.Spec.SecretName:
			c.Secret = FactsOf(s, pki.Limits{})
		case metav1.IsControlledBy(s, crt) && s.Labels[cmv1.IsNextPrivateKeySecretLabelKey] == "true":
			c.Keys = append(c.Keys, FactsOf(s, pki.Limits{}))
		}
	}
	for _, q := range r.requests {
		if metav1.IsControlledBy(q, crt) {
			c.Requests = append(c.Requests, q)
		}
	}
	if owner := SecretOwner(sharing, c.Secret); owner != crt.Name {
		c.Rival = owner
	}
	return c
}

func (r recorded) issuer(namespace string, ref cmmeta.IssuerReference) *Issuer {
	for i := range r.clusterIssuers {
		if IssuerKind(ref) == cmv1.ClusterIssuerKind && r.clusterIssuers[i].Name == ref.Name {
			return &Issuer{Spec: &r.clusterIssuers[i].Spec, Ready: true}
		}
	}
	for i := range r.issuers {
		if IssuerKind(ref) == cmv1.IssuerKind && r.issuers[i].Name == ref.Name && r.issuers[i].Namespace == namespace {
			return &Issuer{Spec: &r.issuers[i].Spec, Ready: true}
		}
	}
	return nil
}

// account is an ACME issuer's, with the thumbprint of its recorded key.
func (r recorded) account(t testing.TB, namespace string, ref cmmeta.IssuerReference) *Account {
	t.Helper()
	spec := r.issuer(namespace, ref).Spec.ACME
	if IssuerKind(ref) == cmv1.ClusterIssuerKind {
		namespace = "cert-manager"
	}
	key, err := pki.ParseKey(r.secret(namespace, spec.PrivateKey.Name).Data["tls.key"], pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	thumbprint, err := acme.Thumbprint(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &Account{Issuer: spec, Thumbprint: thumbprint}
}
