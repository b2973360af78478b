package controller

import (
	"context"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func TestMemory(t *testing.T) {
	var m Memory[string]
	one, two := types.NamespacedName{Namespace: "n", Name: "one"}, types.NamespacedName{Namespace: "n", Name: "two"}
	if m.Find(one, "u") != nil || m.Drop(one) != nil || m.Len() != 0 {
		t.Error("an empty memory holds something")
	}
	*m.Of(one, "u", nil) = "first"
	*m.Of(two, "v", nil) = "second"
	if got := m.Find(one, "u"); got == nil || *got != "first" || got != m.Of(one, "u", nil) {
		t.Errorf("found %v", got)
	}
	if m.Find(one, "another") != nil || m.Len() != 2 {
		t.Error("another object's memory is found")
	}
	var former []string
	note := func(s *string) { former = append(former, *s) }
	m.Of(two, "v", note)
	if got := m.Of(one, "another", note); *got != "" || !slices.Equal(former, []string{"first"}) {
		t.Errorf("another object begins with %q; before it: %q", *got, former)
	}
	if m.Find(one, "u") != nil {
		t.Error("the former object is still remembered")
	}
	if got := m.Drop(two); got == nil || *got != "second" || m.Find(two, "v") != nil || m.Len() != 1 {
		t.Errorf("dropped %v, %d are left", got, m.Len())
	}
}

// TestMemoryOfAnyUID holds that an object whose UID is not known yet keeps its
// memory when the UID is known.
func TestMemoryOfAnyUID(t *testing.T) {
	var m Memory[string]
	one := types.NamespacedName{Namespace: "n", Name: "one"}
	*m.Of(one, "", nil) = "early"
	if got := *m.Of(one, "u", nil); got != "early" {
		t.Errorf("the UID is known, and the memory is %q", got)
	}
	if got := m.Of(one, "", nil); *got != "early" || m.Find(one, "") != got || m.Find(one, "u") != got {
		t.Errorf("with any UID the memory is %q", *got)
	}
	if got := *m.Of(one, "another", nil); got != "" {
		t.Errorf("another object begins with %q", got)
	}
}

func TestTopic(t *testing.T) {
	var topic Topic[string]
	topic.Publish(t.Context(), "nobody listens")
	var got []string
	subscribe := func(name string) {
		topic.Subscribe(func(_ context.Context, news string) { got = append(got, name+" "+news) })
	}
	subscribe("a")
	topic.Publish(t.Context(), "1")
	subscribe("b")
	topic.Publish(t.Context(), "2")
	if want := []string{"a 1", "a 2", "b 2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestComplete(t *testing.T) {
	type deps struct {
		Name string
		Next *int
		List []int
	}
	for _, test := range []struct {
		name   string
		deps   deps
		except []string
		want   []string
	}{
		{"all", deps{"n", new(int), []int{1}}, nil, nil},
		{"none", deps{}, nil, []string{"Name is missing", "Next is missing", "List is missing"}},
		{"none that is needed", deps{Name: "n"}, []string{"Next", "List"}, nil},
		{"one", deps{Name: "n", List: []int{}}, nil, []string{"Next is missing"}},
	} {
		err := Complete(test.deps, test.except...)
		if (err != nil) != (test.want != nil) {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say that %s", test.name, err, want)
			}
		}
		if err != nil && strings.Count(err.Error(), "missing") != len(test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
