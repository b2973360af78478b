package issuer

import (
	"context"
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// secret is one Secret. shown is the version that the caches show.
type secret struct {
	version, shown, value string
	reads                 int
}

func (s *secret) Version(string, string) string { return s.shown }

func (s *secret) Live(_ context.Context, namespace, name string) (*corev1.Secret, error) {
	s.reads++
	if s.value == "" {
		return nil, nil
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: s.version}, Data: map[string][]byte{"k": []byte(s.value)},
	}, nil
}

func (s *secret) set(version, value string) { s.version, s.shown, s.value = version, version, value }

// TestSlowReading has a reading end after a later one that has seen a change: it is not taken
// for the newer one.
func TestSlowReading(t *testing.T) {
	stored := &secret{}
	stored.set("1", "old")
	slow, goOn := make(chan struct{}), make(chan struct{})
	k := Kept[string, string]{
		Secrets: stored, Same: func(a, b string) bool { return a == b }, End: func(v string) { t.Errorf("ended %q", v) },
		Read: func(ctx context.Context, of Identity, _ *cmv1.IssuerSpec, secrets *Reading) (string, error) {
			found, err := secrets.Secret(ctx, "s")
			if err != nil {
				return "", err
			}
			if string(found.Data["k"]) == "old" {
				close(slow)
				<-goOn
			}
			return string(found.Data["k"]), nil
		},
		New: func(_ Identity, _ *cmv1.IssuerSpec, read string) (string, error) { return read, nil },
	}
	of, spec := Identity{UID: "u"}, &cmv1.IssuerSpec{}
	got := make(chan string)
	go func() {
		value, _ := k.Of(t.Context(), of, spec, true)
		got <- value
	}()
	<-slow
	stored.set("2", "new")
	if value, err := k.Of(t.Context(), of, spec, true); value != "new" || err != nil {
		t.Errorf("got %q, %v", value, err)
	}
	close(goOn)
	if value := <-got; value != "new" {
		t.Errorf("the slow one got %q", value)
	}
}

func TestKept(t *testing.T) {
	stored := &secret{}
	stored.set("1", "a")
	var ended []string
	errNew := error(nil)
	k := Kept[string, string]{
		Secrets: stored, Same: func(a, b string) bool { return a == b }, End: func(v string) { ended = append(ended, v) },
		Read: func(ctx context.Context, _ Identity, _ *cmv1.IssuerSpec, secrets *Reading) (string, error) {
			var found *corev1.Secret
			for range 2 {
				var err error
				if found, err = secrets.Secret(ctx, "s"); err != nil || found == nil {
					return "", errors.Join(err, errors.New("no Secret"))
				}
			}
			return string(found.Data["k"]), nil
		},
		New: func(of Identity, spec *cmv1.IssuerSpec, read string) (string, error) {
			return of.Name.Name + spec.Vault.Path + read, errNew
		},
	}
	of := Identity{UID: "u", Name: types.NamespacedName{Name: "i"}, Namespace: "n"}
	spec := &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{Vault: &cmv1.VaultIssuer{Path: "-p-"}}}
	expect := func(step string, fresh bool, want string, reads int) {
		t.Helper()
		stored.reads = 0
		got, err := k.Of(t.Context(), of, spec, fresh)
		if got != want || (err != nil) != (want == "") || stored.reads != reads {
			t.Errorf("%s: %q after %d reads, error %v", step, got, stored.reads, err)
		}
	}
	expect("made", false, "i-p-a", 1)
	expect("kept", false, "i-p-a", 0)
	expect("fresh, and the same", true, "i-p-a", 1)
	stored.set("2", "a")
	expect("another version says the same", false, "i-p-a", 1)
	expect("its version is noted", false, "i-p-a", 0)
	stored.version, stored.value = "3", "b"
	expect("the caches do not show it yet", false, "i-p-a", 0)
	expect("fresh", true, "i-p-b", 1)
	expect("the caches are still behind", false, "i-p-b", 1)
	stored.shown = "3"
	expect("they are not any longer", false, "i-p-b", 0)
	spec = spec.DeepCopy()
	spec.Vault.Path = "-q-"
	expect("another spec", false, "i-q-b", 1)
	of.Namespace = "m"
	expect("another namespace", false, "i-q-b", 1)
	stored.set("4", "")
	expect("the Secret is gone", false, "", 1)
	stored.set("5", "c")
	errNew = errors.New("no")
	expect("cannot be made", false, "", 1)
	errNew = nil
	stored.set("3", "b")
	expect("what there was is kept", false, "i-q-b", 0)
	k.Forget("other")
	k.Forget("u")
	k.Forget("u")
	expect("forgotten", false, "i-q-b", 1)
	if want := []string{"i-p-a", "i-p-b", "i-q-b", "i-q-b"}; !slices.Equal(ended, want) {
		t.Errorf("ended %q, want %q", ended, want)
	}
}

func TestWhere(t *testing.T) {
	for global, want := range map[bool]string{
		false: "", true: `; the Secrets of ClusterIssuers must be in namespace "cert-manager", the cluster resource namespace`,
	} {
		r := Reading{of: Identity{Name: types.NamespacedName{Name: "i"}, Namespace: "cert-manager"}}
		if !global {
			r.of.Name.Namespace = "app"
		}
		if got := r.Where(); got != want {
			t.Errorf("ClusterIssuer %t: %q", global, got)
		}
	}
}
