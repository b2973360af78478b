package lifecycletest

import (
	"embed"
	"encoding/json"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
)

// Recorded is a cluster in which cert-manager 1.21 had been issuing, at a time:
// what everleaf finds when it takes over. The keys were made for the recording.
type Recorded struct {
	Time           time.Time
	Certificates   []cmv1.Certificate
	Requests       []*cmv1.CertificateRequest
	Orders         []*acmev1.Order
	Challenges     []*acmev1.Challenge
	Secrets        []*corev1.Secret
	issuers        []cmv1.Issuer
	clusterIssuers []cmv1.ClusterIssuer
}

//go:embed testdata
var dumps embed.FS

func recordedCluster(t testing.TB, name string) Recorded {
	t.Helper()
	data, err := dumps.ReadFile("testdata/" + name + ".json")
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
	r := Recorded{Time: dump.Time}
	for _, item := range dump.Items {
		r.add(t, item)
	}
	return r
}

func (r *Recorded) add(t testing.TB, item []byte) {
	t.Helper()
	var kind metav1.TypeMeta
	if err := json.Unmarshal(item, &kind); err != nil {
		t.Fatal(err)
	}
	switch kind.Kind {
	case "Certificate":
		r.Certificates = append(r.Certificates, *decoded(t, item, &cmv1.Certificate{}))
	case "CertificateRequest":
		r.Requests = append(r.Requests, decoded(t, item, &cmv1.CertificateRequest{}))
	case "Order":
		r.Orders = append(r.Orders, decoded(t, item, &acmev1.Order{}))
	case "Challenge":
		r.Challenges = append(r.Challenges, decoded(t, item, &acmev1.Challenge{}))
	case "Secret":
		r.Secrets = append(r.Secrets, decoded(t, item, &corev1.Secret{}))
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

// Secret returns a recorded Secret, or nil.
func (r Recorded) Secret(namespace, name string) *corev1.Secret {
	for _, s := range r.Secrets {
		if s.Namespace == namespace && s.Name == name {
			return s
		}
	}
	return nil
}

// Issuer returns what a reference means in a namespace, or nil.
func (r Recorded) Issuer(namespace string, ref cmmeta.IssuerReference) *facts.Issuer {
	for i := range r.clusterIssuers {
		if ref.WithDefaults().Kind == cmv1.ClusterIssuerKind && r.clusterIssuers[i].Name == ref.Name {
			return &facts.Issuer{Spec: &r.clusterIssuers[i].Spec, Supported: true, Ready: true}
		}
	}
	for i := range r.issuers {
		if ref.WithDefaults().Kind == cmv1.IssuerKind && r.issuers[i].Name == ref.Name && r.issuers[i].Namespace == namespace {
			return &facts.Issuer{Spec: &r.issuers[i].Spec, Supported: true, Ready: true}
		}
	}
	return nil
}

// Account is an ACME issuer's, with the thumbprint of its recorded key.
func (r Recorded) Account(t testing.TB, namespace string, ref cmmeta.IssuerReference) *facts.Account {
	t.Helper()
	spec := r.Issuer(namespace, ref).Spec.ACME
	if ref.WithDefaults().Kind == cmv1.ClusterIssuerKind {
		namespace = "cert-manager"
	}
	key, err := pki.ParseKey(r.Secret(namespace, spec.PrivateKey.Name).Data["tls.key"], pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	thumbprint, err := acme.Thumbprint(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &facts.Account{Issuer: spec, Thumbprint: thumbprint}
}

// EachDump runs a test with each recorded cluster.
func EachDump(t *testing.T, test func(*testing.T, Recorded)) {
	for _, name := range []string{"in-flight", "settled"} {
		t.Run(name, func(t *testing.T) { test(t, recordedCluster(t, name)) })
	}
}
