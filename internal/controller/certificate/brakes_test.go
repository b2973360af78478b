package certificate

import (
	"context"
	"crypto"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
)

// TestUnfitRequest has requests that do not serve right after their creation, and
// some that are not even created: each is one counted failure that says why, and
// not a request after the other.
func TestUnfitRequest(t *testing.T) {
	mutate := func(change func(*cmv1.CertificateRequest)) func(*fakes) {
		return func(f *fakes) {
			f.objects = interceptor.NewClient(f.objects, interceptor.Funcs{
				Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
					if r, ok := o.(*cmv1.CertificateRequest); ok {
						change(r)
					}
					return c.Create(ctx, o, opts...)
				},
			})
		}
	}
	for _, test := range []struct {
		name    string
		server  func(*fakes)
		limits  pki.Limits
		created int
		want    string
	}{
		{"a policy caps the duration", mutate(func(r *cmv1.CertificateRequest) {
			r.Spec.Duration = &metav1.Duration{Duration: 24 * time.Hour}
		}), pki.Limits{}, 1, `CertificateRequest "web-1" was changed while it was created: spec.duration are not as they were sent`},
		{"a policy takes the annotations", mutate(func(r *cmv1.CertificateRequest) {
			r.Annotations = nil
		}), pki.Limits{}, 1, "annotation cert-manager.io/certificate-revision, annotation cert-manager.io/private-key-secret-name"},
		{"a policy takes the owner", mutate(func(r *cmv1.CertificateRequest) {
			r.OwnerReferences = nil
		}), pki.Limits{}, 1, "metadata.ownerReferences"},
		{"a webhook replaces the signing request", mutate(func(r *cmv1.CertificateRequest) {
			r.Spec.Request = lifecycletest.NewRequest(crt(), key(7), 1).Spec.Request
		}), pki.Limits{}, 1, "spec.request"},
		{"larger than the limit", func(*fakes) {}, pki.Limits{MaxCertificateSize: 300}, 0, "--max-certificate-size"},
		{"key larger than the limit", func(*fakes) {}, pki.Limits{MaxPrivateKeySize: 100}, 0, "--max-private-key-size"},
	} {
		t.Run(test.name, func(t *testing.T) {
			object := crt()
			f := newFakes(t, nil, object)
			created := 0
			test.server(&f)
			f.objects = interceptor.NewClient(f.objects, interceptor.Funcs{
				Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
					created++
					return c.Create(ctx, o, opts...)
				},
			})
			config := config
			config.Limits = test.limits
			s := f.start(t, config)
			for range 5 {
				s.reconcile(t)
				s.clock.Step(time.Minute)
			}
			if created != test.created {
				t.Errorf("%d requests were created", created)
			}
			status := f.certificate(t).Status
			begun := condition.Find(status.Conditions, cmv1.CertificateConditionIssuing)
			if begun == nil || begun.Status != cmmeta.ConditionFalse || begun.Reason != "RequestFailed" || !strings.Contains(begun.Message, test.want) {
				t.Errorf("condition %+v", begun)
			}
			if n := ptr.Deref(status.FailedIssuanceAttempts, 0); n != 1 {
				t.Errorf("%d failures are counted", n)
			}
			err := f.objects.Get(t.Context(), client.ObjectKey{Namespace: "app", Name: "web-1"}, &cmv1.CertificateRequest{})
			if !apierrors.IsNotFound(err) {
				t.Errorf("the unfit request stays, and may be signed (%v)", err)
			}
		})
	}
}

// nextKeySecret is a Secret with a next private key of crt().
func nextKeySecret(name string, change ...func(*corev1.Secret)) *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "app", Name: name, ResourceVersion: "3",
			Labels:          map[string]string{cmv1.IsNextPrivateKeySecretLabelKey: "true", cmv1.PartOfCertManagerControllerLabelKey: "true"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(crt(), cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind))},
		},
		Data: map[string][]byte{"tls.key": lifecycletest.Must(pki.EncodeKey(key(1), pki.PKCS8))},
	}
	for _, f := range change {
		f(s)
	}
	return s
}

// TestForeignNextKey holds that a Secret that is somebody else's does not stop an
// issuance because the status names it, and stays as it is.
func TestForeignNextKey(t *testing.T) {
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "web-x"}, Data: map[string][]byte{"a": []byte("b")}}
	object := crt(func(c *cmv1.Certificate) { c.Status.NextPrivateKeySecretName = ptr.To("web-x") })
	f := newFakes(t, []runtime.Object{foreign}, object)
	s := f.start(t, config)
	s.reconcile(t)
	name := ptr.Deref(f.certificate(t).Status.NextPrivateKeySecretName, "")
	if name == "" || name == "web-x" {
		t.Errorf("the next private key is in %q", name)
	}
	for _, secret := range f.secrets(t) {
		if secret.Name == "web-x" && (len(secret.Data) != 1 || len(secret.Labels) != 0) {
			t.Errorf("the foreign Secret was changed: %+v", secret)
		}
	}
	if err := f.objects.Get(t.Context(), client.ObjectKey{Namespace: "app", Name: "web-1"}, &cmv1.CertificateRequest{}); err != nil {
		t.Error(err)
	}
}

// TestUnlabelledKey holds that a next private key that has lost the label of our
// cache is used, and deleted in the end.
func TestUnlabelledKey(t *testing.T) {
	unlabelled := nextKeySecret("web-k", func(s *corev1.Secret) { delete(s.Labels, cmv1.PartOfCertManagerControllerLabelKey) })
	object := crt(func(c *cmv1.Certificate) { c.Status.NextPrivateKeySecretName = ptr.To("web-k") })
	f := newFakes(t, []runtime.Object{unlabelled}, object)
	// The cache of foreign Secrets is not filled by the fakes: the name is taken.
	s := f.start(t, config)
	s.reconcile(t)
	if secrets := f.secrets(t); len(secrets) != 1 {
		t.Errorf("%d Secrets, want the one there was", len(secrets))
	}
	r := &cmv1.CertificateRequest{}
	if err := f.objects.Get(t.Context(), client.ObjectKey{Namespace: "app", Name: "web-1"}, r); err != nil {
		t.Fatal(err)
	}
	if r.Annotations[cmv1.CertificateRequestPrivateKeyAnnotationKey] != "web-k" {
		t.Errorf("the request is for another key: %v", r.Annotations)
	}
}

// TestTargetIsNoNextKey holds that a Secret of the Certificate's own is not taken
// for a next private key, and deleted as such, whatever its labels are.
func TestTargetIsNoNextKey(t *testing.T) {
	for _, test := range []struct {
		name   string
		secret *corev1.Secret
		want   int
	}{
		{"next private key", nextKeySecret("web-k"), 1},
		{"target", nextKeySecret("web-tls"), 0},
		{"target before", nextKeySecret("old-tls", func(s *corev1.Secret) {
			s.Annotations = map[string]string{cmv1.CertificateNameKey: "web"}
		}), 0},
		{"without the label", nextKeySecret("web-k", func(s *corev1.Secret) { delete(s.Labels, cmv1.IsNextPrivateKeySecretLabelKey) }), 0},
	} {
		s := newFakes(t, []runtime.Object{test.secret}).start(t, config)
		s.fill(t)
		if got := len(s.load(t, crt()).State.Keys); got != test.want {
			t.Errorf("%s: %d keys", test.name, got)
		}
	}
}

// TestAbandonedKey holds that a key is not made for a Certificate that is gone, or
// whose spec wants another.
func TestAbandonedKey(t *testing.T) {
	rsa := func(size int) func(*cmv1.Certificate) {
		return func(c *cmv1.Certificate) {
			c.Spec.PrivateKey = &cmv1.CertificatePrivateKey{Algorithm: cmv1.RSAKeyAlgorithm, Size: size}
		}
	}
	for _, test := range []struct {
		name string
		then func(started)
		want bool
	}{
		{"wanted", func(s started) { s.load(t, crt(rsa(2048))) }, false},
		{"gone", func(s started) { s.Forget(subject) }, true},
		{"other spec", func(s started) { s.load(t, crt(rsa(4096))) }, true},
		{"other Certificate of the name", func(s started) {
			s.load(t, crt(rsa(2048), func(c *cmv1.Certificate) { c.UID = "other" })).note()
		}, true},
		{"another key is there", func(s started) { s.memory.Find(subject, "").hold(key(1), now) }, true},
	} {
		s := newFakes(t, nil).start(t, config)
		ctx, cancel := context.WithCancel(t.Context())
		j := &job{spec: pki.KeySpec{Algorithm: pki.RSA, Size: 2048}, since: now, cancel: cancel}
		m := s.memory.Of(subject, crt().UID, nil)
		m.begin(j)
		test.then(s)
		if got := ctx.Err() != nil; got != test.want {
			t.Errorf("%s: abandoned %t", test.name, got)
		}
		before, _ := m.held()
		if got := m.end(j, crypto.Signer(key(2)), now); got == test.want {
			t.Errorf("%s: its key is taken: %t", test.name, got)
		}
		if after, _ := m.held(); test.want && after != before {
			t.Errorf("%s: the key of before is replaced", test.name)
		}
	}
}

// TestSecretOfIssuer has target Secrets that issuers need.
func TestSecretOfIssuer(t *testing.T) {
	issuer := func(config cmv1.IssuerConfig) *cmv1.Issuer {
		return &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "own"}, Spec: cmv1.IssuerSpec{IssuerConfig: config}}
	}
	account := &acmev1.ACMEIssuer{}
	account.PrivateKey.Name = "web-tls"
	for _, test := range []struct {
		name        string
		issuer      client.Object
		annotations map[string]string
		want        string
	}{
		{"CA", issuer(cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "web-tls"}}), nil, `Issuer "own"`},
		{"account", issuer(cmv1.IssuerConfig{ACME: account}), nil, `Issuer "own"`},
		{"CA that a Certificate made", issuer(cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "web-tls"}}), map[string]string{cmv1.CertificateNameKey: "web"}, ""},
		{"CA of another Secret", issuer(cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "x"}}), nil, ""},
		{"CA of another namespace", clusterIssuer(cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "web-tls"}}, cmmeta.ConditionTrue), nil, ""},
	} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace: "app", Name: "web-tls", Annotations: test.annotations, Labels: map[string]string{cmv1.PartOfCertManagerControllerLabelKey: "true"},
		}}
		s := newFakes(t, []runtime.Object{secret}, test.issuer).start(t, config)
		s.fill(t)
		if got := s.load(t, crt()).SecretUsedBy; got != test.want {
			t.Errorf("%s: used by %q, want %q", test.name, got, test.want)
		}
	}
}

// TestLongNames holds that the names of what is made for a Certificate are names
// that the API server takes, wherever they are cut.
func TestLongNames(t *testing.T) {
	for length := 150; length <= 253; length++ {
		for _, name := range []string{strings.Repeat("a", length), strings.Repeat("a.", length)[:length-1] + "b"} {
			s := newFakes(t, nil).start(t, config)
			key := s.load(t, crt(func(c *cmv1.Certificate) { c.Name = name })).nextKeyName()
			for _, made := range []string{key, core.RequestName(name, 12345)} {
				if wrong := validation.IsDNS1123Subdomain(made); len(wrong) > 0 {
					t.Errorf("%q becomes %q: %q", name, made, wrong)
				}
			}
		}
	}
}
