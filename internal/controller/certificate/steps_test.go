package certificate

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kubefake "k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/pki"
)

var now = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

func crt(change func(*cmv1.Certificate)) *cmv1.Certificate {
	c := &cmv1.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "one", UID: "crt"},
		Spec:       cmv1.CertificateSpec{SecretName: "tls", PrivateKey: &cmv1.CertificatePrivateKey{Algorithm: cmv1.ECDSAKeyAlgorithm}},
	}
	if change != nil {
		change(c)
	}
	return c
}

func newWork(t *testing.T, object *cmv1.Certificate, live ...runtime.Object) (*work, *kubefake.Clientset) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := cmv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	clientset, clock := kubefake.NewClientset(live...), clocktesting.NewFakeClock(now)
	secrets, err := cluster.NewSecrets(clientset, metadatafake.NewSimpleMetadataClient(metadatafake.NewTestScheme()), "", pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	r := &Reconciler{Secrets: secrets, Clock: clock, Events: cluster.NewEvents(clientset, scheme, clock, logr.Discard(), true, t.FailNow)}
	name := types.NamespacedName{Namespace: object.Namespace, Name: object.Name}
	return &work{
		Reconciler: r, owner: cluster.Owner{Kind: cluster.Certificate, NamespacedName: name},
		session: r.sessionOf(name, object.UID), state: core.State{Object: object},
	}, clientset
}

// TestKeyOfAnotherSpecIsDropped holds that a key that was made before the spec
// changed is not used for it.
func TestKeyOfAnotherSpecIsDropped(t *testing.T) {
	for _, test := range []struct {
		name string
		spec *cmv1.CertificatePrivateKey
		want bool
	}{
		{"as the spec wants it", &cmv1.CertificatePrivateKey{Algorithm: cmv1.ECDSAKeyAlgorithm, Size: 256}, true},
		{"another size", &cmv1.CertificatePrivateKey{Algorithm: cmv1.ECDSAKeyAlgorithm, Size: 384}, false},
		{"another algorithm", nil, false},
	} {
		w, _ := newWork(t, crt(func(c *cmv1.Certificate) { c.Spec.PrivateKey = test.spec }))
		key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
		if err != nil {
			t.Fatal(err)
		}
		w.hold(key)
		if got := w.state.Memory != nil && w.session.key != nil; got != test.want {
			t.Errorf("%s: kept %t, want %t", test.name, got, test.want)
		}
	}
}

func TestSessionsAreDropped(t *testing.T) {
	w, _ := newWork(t, crt(nil))
	w.session.generating = true
	w.drop(w.session)
	if len(w.sessions) != 1 {
		t.Error("a session is dropped that waits for a key")
	}
	w.session.generating = false
	w.drop(w.session)
	if len(w.sessions) != 0 {
		t.Error("a session is kept that holds nothing")
	}
}

// TestRequestWhoseKeyIsNotCachedStays holds that a new process does not delete
// a request for a key that its caches do not show yet.
func TestRequestWhoseKeyIsNotCachedStays(t *testing.T) {
	object := crt(func(c *cmv1.Certificate) { c.Status.Revision = ptr.To(1) })
	key := func(owner *cmv1.Certificate) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "one-abcde",
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, cmv1.SchemeGroupVersion.WithKind("Certificate"))},
		}}
	}
	next := &cmv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "one-2", Annotations: map[string]string{
		cmv1.CertificateRequestRevisionAnnotationKey: "2", cmv1.CertificateRequestPrivateKeyAnnotationKey: "one-abcde",
	}}}
	old := next.DeepCopy()
	old.Annotations[cmv1.CertificateRequestRevisionAnnotationKey] = "1"
	other := crt(func(c *cmv1.Certificate) { c.UID = "other" })
	for _, test := range []struct {
		name    string
		live    []runtime.Object
		request *cmv1.CertificateRequest
		want    error
	}{
		{"key is there", []runtime.Object{key(object)}, next, cluster.ErrStale},
		{"key is nowhere", nil, next, nil},
		{"another's key", []runtime.Object{key(other)}, next, nil},
		{"history", []runtime.Object{key(object)}, old, nil},
	} {
		w, _ := newWork(t, object, test.live...)
		if err := w.confirmKeyless(t.Context(), []*cmv1.CertificateRequest{test.request}); !errors.Is(err, test.want) {
			t.Errorf("%s: error %v, want %v", test.name, err, test.want)
		}
	}
}

func TestTellRefusal(t *testing.T) {
	requests := schema.GroupResource{Group: "cert-manager.io", Resource: "certificaterequests"}
	terminating := apierrors.NewForbidden(requests, "one-1", nil)
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	invalid := apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "tls", field.ErrorList{
		field.Invalid(field.NewPath("data").Key("tls.key"), "-----BEGIN PRIVATE KEY-----", "no"),
	})
	for _, test := range []struct {
		name string
		step core.Step
		err  error
		want []string
	}{
		{"quota", core.CreateRequest, apierrors.NewForbidden(requests, "one-1", errors.New("exceeded quota")), []string{
			`RequestFailed Failed to create CertificateRequest: certificaterequests.cert-manager.io "one-1" is forbidden: exceeded quota`,
		}},
		{"Secret refused", core.StoreSecret, invalid, []string{"WriteFailed Failed to store the certificate: Invalid data[tls.key]"}},
		{"namespace goes away", core.CreateRequest, terminating, nil},
		{"conflict", core.CreateRequest, apierrors.NewConflict(requests, "one-1", nil), nil},
		{"no answer", core.CreateRequest, errors.New("no answer"), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, core := newWork(t, crt(nil))
			w.tellRefusal(test.step, test.err)
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // send what is queued, and return
			if err := w.Events.Start(ctx); err != nil {
				t.Fatal(err)
			}
			list, err := core.CoreV1().Events("ns").List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range list.Items {
				got = append(got, e.Reason+" "+e.Message)
			}
			if diff := cmp.Diff(test.want, got); diff != "" || strings.Contains(strings.Join(got, ""), "PRIVATE") {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestCopied(t *testing.T) {
	defaults := []string{"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/"}
	for _, test := range []struct {
		prefixes []string
		key      string
		want     bool
	}{
		{defaults, "example.com/a", true},
		{defaults, "kubectl.kubernetes.io/last-applied-configuration", false},
		{nil, "example.com/a", false},
		{[]string{"example.com/"}, "example.com/a", true},
		{[]string{"example.com/"}, "example.org/a", false},
		{[]string{"-example.com/", "example.com/a"}, "example.com/a", true},
	} {
		if got := copied(test.prefixes, test.key); got != test.want {
			t.Errorf("%v, %s: %t", test.prefixes, test.key, got)
		}
	}
}
