package certificate

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
)

func TestRegistration(t *testing.T) {
	r := newFakes(t, nil).start(t, config).Registration()
	if r.Name != "certificates" || r.Kind != "Certificate" || r.Reconciler == nil || r.Requeue == nil || r.Share != 3 {
		t.Errorf("got %+v", r)
	}
	var watched []string
	for _, w := range r.Watches {
		watched = append(watched, w.Kind)
	}
	if !slices.Equal(watched, []string{"Secret", "CertificateRequest", "Certificate", "Issuer", "ClusterIssuer"}) {
		t.Errorf("watches %q", watched)
	}
	if len(r.Indexes) != 3 || r.Indexes[0].Kind != "Certificate" || !slices.Equal(r.Indexes[0].Values(crt()), []string{"web-tls"}) ||
		r.Indexes[0].Values(crt(func(c *cmv1.Certificate) { c.Spec.SecretName = "" })) != nil || r.Indexes[0].Values(&corev1.Secret{}) != nil {
		t.Errorf("indexes %+v", r.Indexes)
	}
}

// TestWatches has events of each kind, and the Certificates that they wake.
func TestWatches(t *testing.T) {
	named := func(namespace, name, secret string) *cmv1.Certificate {
		return crt(func(c *cmv1.Certificate) {
			c.Namespace, c.Name, c.UID, c.Spec.SecretName = namespace, name, types.UID(name), secret
		})
	}
	one, two := named("app", "one", "shared"), named("app", "two", "shared")
	failed := func(c *cmv1.Certificate, name, kind, group string) *cmv1.Certificate {
		c.Status.LastFailureTime, c.Spec.IssuerRef = lifecycletest.At(now), cmmeta.IssuerReference{Name: name, Kind: kind, Group: group}
		return c
	}
	failed(one, "le", "", "")
	failed(two, "le", "ClusterIssuer", "cert-manager.io")
	two.Spec.Keystores = &cmv1.CertificateKeystores{
		PKCS12: &cmv1.PKCS12Keystore{Create: true, PasswordSecretRef: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "pw"}}},
		JKS:    &cmv1.JKSKeystore{Create: true, PasswordSecretRef: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "pw"}}},
	}
	one.Spec.Keystores = &cmv1.CertificateKeystores{PKCS12: &cmv1.PKCS12Keystore{PasswordSecretRef: two.Spec.Keystores.JKS.PasswordSecretRef}}
	objects := []client.Object{one, two, named("app", "three", "three-tls"), named("elsewhere", "four", "shared"), failed(named("app", "five", "five"), "le", "", "example.com")}
	ours := func(name, label string, owner *cmv1.Certificate) *corev1.Secret {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: name, Labels: map[string]string{cmv1.PartOfCertManagerControllerLabelKey: "true"}}}
		if label != "" {
			s.Labels[label] = "true"
		}
		if owner != nil {
			s.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind))}
		}
		return s
	}
	foreignOwner := ours("foreign-owner", cmv1.IsNextPrivateKeySecretLabelKey, one)
	foreignOwner.OwnerReferences[0].Kind = "Other"
	secrets := []runtime.Object{
		ours("shared", "", nil), ours("one-abcde", cmv1.IsNextPrivateKeySecretLabelKey, one), ours("owned", "", one), foreignOwner, ours("other", "", nil),
	}
	s := newFakes(t, secrets, objects...).start(t, config)
	s.fill(t)
	cached := func(name string) client.Object {
		item, ok, err := s.Secrets.Informers()[0].GetStore().GetByKey("app/" + name)
		if err != nil || !ok {
			t.Fatalf("Secret %s is not cached (%v)", name, err)
		}
		return item.(client.Object)
	}
	request := func(owner *cmv1.Certificate, change ...func(*cmv1.CertificateRequest)) client.Object {
		return lifecycletest.NewRequest(owner, key(1), 1, change...)
	}
	watches := map[string]func(context.Context, client.Object) []types.NamespacedName{}
	for _, w := range s.Registration().Watches {
		watches[w.Kind] = w.Keys
	}
	for _, test := range []struct {
		kind, name string
		object     client.Object
		want       []string
	}{
		{"Secret", "of two", cached("shared"), []string{"one", "two"}},
		{"Secret", "next private key", cached("one-abcde"), []string{"one"}},
		{"Secret", "owned, and no next private key", cached("owned"), nil},
		{"Secret", "next private key of another kind", cached("foreign-owner"), nil},
		{"Secret", "of nobody", cached("other"), nil},
		{"Secret", "metadata only", &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "three-tls"}}, []string{"three"}},
		{"Secret", "password of a keystore", &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "pw"}}, []string{"two"}},
		{"CertificateRequest", "of a Certificate", request(two), []string{"two"}},
		{"CertificateRequest", "of nobody", request(two, func(r *cmv1.CertificateRequest) { r.OwnerReferences = nil }), nil},
		{"CertificateRequest", "of another kind", request(two, func(r *cmv1.CertificateRequest) { r.OwnerReferences[0].Kind = "Other" }), nil},
		{"Certificate", "with another of the same Secret", two, []string{"one"}},
		{"Certificate", "with a Secret of its own", objects[2], nil},
		{"Certificate", "of no kind", &corev1.Pod{}, nil},
		{"Issuer", "of a failed Certificate", &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "le"}}, []string{"one"}},
		{"Issuer", "elsewhere", &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "elsewhere", Name: "le"}}, nil},
		{"Issuer", "of Certificates that have not failed", &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "ca"}}, nil},
		{"ClusterIssuer", "of a failed Certificate", &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "le"}}, []string{"two"}},
		{"ClusterIssuer", "of no kind", &corev1.Pod{}, nil},
	} {
		t.Run(test.kind+" "+test.name, func(t *testing.T) {
			var got []string
			for _, k := range watches[test.kind](t.Context(), test.object) {
				if k.Namespace != "app" {
					t.Errorf("wakes %s", k)
				}
				got = append(got, k.Name)
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("wakes %q, want %q", got, test.want)
			}
		})
	}
}
