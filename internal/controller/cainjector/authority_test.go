package cainjector

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/injectable"
)

// secretCache has the metadata of Secrets that allow an injection, by their names.
type secretCache struct {
	client.Reader
	gone map[string]bool
}

func (c secretCache) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	if c.gone[key.Name] {
		return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
	}
	into.(*metav1.PartialObjectMetadata).ObjectMeta = allowed(key.Name)
	return nil
}

func allowed(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: "ns", Name: name, ResourceVersion: "1", Annotations: map[string]string{cmv1.AllowsInjectionFromSecretAnnotation: "true"},
	}
}

func sourceNamed(name string) injectable.Source {
	return injectable.Source{Kind: injectable.KindSecret, Key: types.NamespacedName{Namespace: "ns", Name: name}}
}

// hanging is an API server whose answer about the Secret slow comes late. A reactor
// would hold the lock of the fake.
type hanging struct {
	kubernetes.Interface
	slow  <-chan struct{}
	reads *atomic.Int32
}

func (h hanging) CoreV1() typedcorev1.CoreV1Interface { return hangingCore{h.Interface.CoreV1(), h} }

type hangingCore struct {
	typedcorev1.CoreV1Interface
	server hanging
}

func (h hangingCore) Secrets(ns string) typedcorev1.SecretInterface {
	return hangingSecrets{h.CoreV1Interface.Secrets(ns), h.server}
}

type hangingSecrets struct {
	typedcorev1.SecretInterface
	server hanging
}

func (h hangingSecrets) Get(ctx context.Context, name string, o metav1.GetOptions) (*corev1.Secret, error) {
	if name == "slow" {
		h.server.reads.Add(1)
		<-h.server.slow
	}
	return h.SecretInterface.Get(ctx, name, o)
}

// TestReadsDoNotWait: a Secret whose read hangs holds up nobody else, and is read once
// for all who want it.
func TestReadsDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core := fake.NewClientset()
		slow := make(chan struct{})
		var reads atomic.Int32
		core.PrependReactor("get", "secrets", func(action clienttesting.Action) (bool, runtime.Object, error) {
			name := action.(clienttesting.GetAction).GetName()
			return true, &corev1.Secret{ObjectMeta: allowed(name), Data: map[string][]byte{"ca.crt": []byte(name)}}, nil
		})
		a := &Authorities{Cache: secretCache{}, Core: hanging{core, slow, &reads}}
		answers := make(chan error, 3)
		for i := range 3 {
			go func() {
				_, err := a.of(t.Context(), user{"k", fmt.Sprint(i)}, sourceNamed("slow"))
				answers <- err
			}()
		}
		synctest.Wait()
		if ca, err := a.of(t.Context(), user{"k", "x"}, sourceNamed("fast")); err != nil || string(ca) != "fast" {
			t.Errorf("got %q, %v", ca, err)
		}
		close(slow)
		for range 3 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		if got := reads.Load(); got != 1 {
			t.Errorf("the slow Secret was read %d times", got)
		}
	})
}

// TestUnusedCAsGo: a CA is kept as long as its Secret exists and somebody wants it.
func TestUnusedCAsGo(t *testing.T) {
	core := fake.NewClientset()
	core.PrependReactor("get", "secrets", func(action clienttesting.Action) (bool, runtime.Object, error) {
		name := action.(clienttesting.GetAction).GetName()
		return true, &corev1.Secret{ObjectMeta: allowed(name), Data: map[string][]byte{"ca.crt": []byte(name)}}, nil
	})
	cache := secretCache{gone: map[string]bool{}}
	a := &Authorities{Cache: cache, Core: core, Scope: injectable.Scope{Ignored: []string{"other"}}}
	one, two := user{"k", "one"}, user{"k", "two"}
	of := func(u user, source injectable.Source) {
		t.Helper()
		var nothing *injectable.Nothing
		if _, err := a.of(t.Context(), u, source); err != nil && !errors.As(err, &nothing) {
			t.Fatal(err)
		}
	}
	want := func(step string, n int) {
		t.Helper()
		if len(a.read) != n {
			t.Errorf("%s: %d CAs are kept, want %d", step, len(a.read), n)
		}
	}
	of(one, sourceNamed("a"))
	of(two, sourceNamed("a"))
	want("both use a", 1)
	of(one, sourceNamed("b"))
	want("one uses b", 2)
	of(two, sourceNamed("b"))
	want("nobody uses a", 1)
	a.forget(one)
	want("one is gone", 1)
	of(two, injectable.Source{Kind: injectable.KindSecret, Key: types.NamespacedName{Namespace: "other", Name: "b"}})
	want("two is out of scope", 0)
	of(two, sourceNamed("b"))
	cache.gone["b"] = true
	of(two, sourceNamed("b"))
	want("the Secret is gone", 0)
}
