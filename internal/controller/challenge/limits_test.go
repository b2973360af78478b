package challenge

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func key(name string) types.NamespacedName { return types.NamespacedName{Namespace: "ns", Name: name} }

func TestSlots(t *testing.T) {
	for _, test := range []struct {
		name string
		max  int
		// steps are names: "a" acquires and is to get a slot, "a?" is to be
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

func TestFailures(t *testing.T) {
	begin := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	minute := func(n int) time.Time { return begin.Add(time.Duration(n) * time.Minute) }
	var f Failures
	until := func(name string, at, want time.Time) {
		t.Helper()
		if got := f.Until("ca", name, at); !got.Equal(want) {
			t.Errorf("%s at %s: until %s, want %s", name, at, got, want)
		}
	}
	for n := range 3 {
		f.Add("ca", "a.example", minute(n))
		until("a.example", minute(n), time.Time{})
	}
	f.Add("other", "a.example", minute(2))
	f.Add("ca", "A.Example", minute(3))
	until("a.EXAMPLE", minute(3), minute(60))
	until("b.example", minute(3), time.Time{})
	until("a.example", minute(60), time.Time{})
	f.Add("ca", "a.example", minute(60))
	until("a.example", minute(60), minute(61))

	for n := range 100 {
		f.Add("ca", fmt.Sprintf("%d.example", n), minute(60+n))
	}
	if n := len(f.times); n != 61 {
		t.Errorf("%d names are remembered, want those of an hour", n)
	}
}
