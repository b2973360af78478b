package cluster

import (
	"context"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// versioned makes a fake API server check the versions of Secrets as a real one does.
func versioned(t *testing.T) *fake.Clientset {
	core := fake.NewClientset()
	writes := 0
	current := func() *corev1.Secret {
		o, err := core.Tracker().Get(corev1.SchemeGroupVersion.WithResource("secrets"), "everleaf", LeftRecordsName)
		if err != nil {
			return nil
		}
		return o.(*corev1.Secret)
	}
	conflict := func() error {
		return apierrors.NewConflict(corev1.Resource("secrets"), LeftRecordsName, errors.New("another version"))
	}
	core.PrependReactor("*", "secrets", func(action clienttesting.Action) (bool, runtime.Object, error) {
		have := current()
		switch a := action.(type) {
		case clienttesting.DeleteActionImpl:
			want := a.DeleteOptions.Preconditions
			if want == nil || want.UID == nil || want.ResourceVersion == nil {
				t.Error("a delete names no version")
			} else if have != nil && (*want.UID != have.UID || *want.ResourceVersion != have.ResourceVersion) {
				return true, nil, conflict()
			}
		case clienttesting.CreateActionImpl:
			writes++
			secret := a.Object.(*corev1.Secret)
			secret.UID, secret.ResourceVersion = types.UID(fmt.Sprint("uid-", writes)), fmt.Sprint(writes)
		case clienttesting.UpdateActionImpl:
			writes++
			secret := a.Object.(*corev1.Secret)
			if secret.ResourceVersion == "" || secret.UID == "" {
				t.Error("an update names no version")
			} else if have != nil && (secret.ResourceVersion != have.ResourceVersion || secret.UID != have.UID) {
				return true, nil, conflict()
			}
			secret.ResourceVersion = fmt.Sprint(writes)
		}
		return false, nil, nil
	})
	return core
}

func TestLeftRecords(t *testing.T) {
	l := &LeftRecords{Core: versioned(t), Namespace: "everleaf"}
	for _, data := range []string{"", "one", "two", "", "three", "", ""} {
		if err := l.Save(t.Context(), []byte(data)); err != nil {
			t.Fatal(err)
		}
		got, err := l.Load(t.Context())
		if err != nil || string(got) != data {
			t.Errorf("saved %q, loaded %q, %v", data, got, err)
		}
	}
}

// TestLeftRecordsOfAnother holds that a process changes nothing that another one has
// written since, and does so when it is asked again.
func TestLeftRecordsOfAnother(t *testing.T) {
	for name, test := range map[string]struct{ first, second, late string }{
		"update after update": {"a", "b", "c"},
		"update after delete": {"a", "", "c"},
		"delete after update": {"a", "b", ""},
		"create after create": {"", "b", "c"},
	} {
		t.Run(name, func(t *testing.T) {
			core := versioned(t)
			former, next := &LeftRecords{Core: core, Namespace: "everleaf"}, &LeftRecords{Core: core, Namespace: "everleaf"}
			save := func(l *LeftRecords, data string) error { return l.Save(context.Background(), []byte(data)) }
			if err := save(former, test.first); err != nil {
				t.Fatal(err)
			}
			if _, err := next.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := save(next, test.second); err != nil {
				t.Fatal(err)
			}
			if err := save(former, test.late); !errors.Is(err, ErrStale) {
				t.Errorf("the late write: %v", err)
			}
			if got, err := (&LeftRecords{Core: core, Namespace: "everleaf"}).Load(t.Context()); err != nil || string(got) != test.second {
				t.Errorf("stored %q, %v", got, err)
			}
			if err := save(former, test.late); err != nil {
				t.Errorf("asked again: %v", err)
			}
		})
	}
}
