package challenge

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
)

func key(name string) types.NamespacedName { return types.NamespacedName{Namespace: "ns", Name: name} }

func TestSlots(t *testing.T) {
	for _, test := range []struct {
		name string
		max  int
		// steps are names: "a" acquires and must get a slot, "a?" must be
		// queued, "-a" releases, "-a>b,c" releases and is to wake b and c.
		steps string
	}{
		{"free", 2, "a b c?"},
		{"twice is once", 2, "a a b"},
		{"first come, first served", 1, "a b? c? -a>b c? b -b>c c"},
		{"as many as are free", 2, "a b c? d? e? -a>c -b>c,d e? d c e?"},
		{"newcomers do not jump the queue", 1, "a b? -a>b c? b"},
		{"a place in the queue is given back", 1, "a b? c? -b -a>c c"},
		{"head of the queue goes away", 1, "a b? c? -a>b -b>c c"},
		{"nothing to give back", 1, "-a a -b b? -c"},
		{"back at the end of the queue", 1, "a b? c? -b b? -a>c c b?"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := NewSlots(test.max)
			for _, step := range strings.Fields(test.steps) {
				if rest, ok := strings.CutPrefix(step, "-"); ok {
					name, woken, _ := strings.Cut(rest, ">")
					var got []string
					for _, k := range s.Release(key(name)) {
						got = append(got, k.Name)
					}
					if want := strings.FieldsFunc(woken, func(r rune) bool { return r == ',' }); !slices.Equal(got, want) {
						t.Errorf("%s: wakes %v, want %v", step, got, want)
					}
					continue
				}
				name, queued := strings.CutSuffix(step, "?")
				if got := s.Acquire(key(name)); got == queued {
					t.Errorf("%s: acquired %t", step, got)
				}
				if len(s.taken) > test.max {
					t.Errorf("%s: %d of %d slots are taken", step, len(s.taken), test.max)
				}
			}
		})
	}
}

func TestSlotOf(t *testing.T) {
	s := NewSlots(1)
	want := func(when string, a, b, c core.Slot) {
		t.Helper()
		for name, slot := range map[string]core.Slot{"a": a, "b": b, "c": c} {
			if got := s.Of(key(name)); got != slot {
				t.Errorf("%s: %s has %q, want %q", when, name, got, slot)
			}
		}
	}
	want("at first", core.NoSlot, core.NoSlot, core.NoSlot)
	for _, name := range []string{"a", "b", "c"} {
		s.Acquire(key(name))
	}
	want("full", core.Held, core.Queued, core.Queued)
	s.Release(key("a"))
	want("released", core.NoSlot, core.Offered, core.Queued)
	s.Acquire(key("b"))
	want("taken again", core.NoSlot, core.Held, core.Queued)
}
