package challenge

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/metrics"
)

func key(name string) types.NamespacedName { return types.NamespacedName{Namespace: "ns", Name: name} }

// sharer reads a Challenge such as "issuer:namespace/name!"; the issuer and the
// namespace may be left out, and the exclamation mark means that it is presented.
func sharer(text string) (types.NamespacedName, core.Issuer, bool) {
	text, begun := strings.CutSuffix(text, "!")
	issuer, rest, ok := strings.Cut(text, ":")
	if !ok {
		issuer, rest = "one", text
	}
	k := key(rest)
	if namespace, name, ok := strings.Cut(rest, "/"); ok {
		k = types.NamespacedName{Namespace: namespace, Name: name}
	}
	return k, core.Issuer{Kind: "ClusterIssuer", Name: issuer}, begun
}

func TestSlots(t *testing.T) {
	for _, test := range []struct {
		name string
		max  int
		// steps are Challenges: "a" acquires and must get a slot, "a?" must be
		// queued, "-a" releases, "-a>b,c" releases and is to wake b and c.
		steps string
	}{
		{"free", 2, "a b c?"},
		{"twice is once", 2, "a a b"},
		{"first come, first served", 1, "a b? c? -a>b c? b -b>c c"},
		{"as many as are free", 2, "a b c? d? e? -a>c -b>d e? d c e?"},
		{"newcomers do not jump the queue", 1, "a b? -a>b c? b"},
		{"a place in the queue is given back", 1, "a b? c? -b -a>c c"},
		{"head of the queue goes away", 1, "a b? c? -a>b -b>c c"},
		{"nothing to give back", 1, "-a a -b b? -c"},
		{"back at the end of the queue", 1, "a b? c? -b b? -a>c c b?"},
		{"each issuer has its own", 1, "a two:b c? two:d? -two:b>d -a>c"},
		{"namespaces take turns", 1, "x/a x/b? x/c? x/d? y/e? y/f? z/g? -x/a>b -x/b>e -y/e>g -z/g>c -x/c>f -y/f>d"},
		{"a namespace that comes back stands behind", 1, "x/a y/b? -x/a>b x/c? y/d? -y/b>c -x/c>d"},
		{"what is presented comes first", 1, "a b? c!? d!? -a>c -c>d -d>b"},
		{"of four slots one goes to the others", 1, "a b? c? p!? q!? r!? s!? t!? -a>p -p>q -q>r -r>b -b>s -s>t -t>c"},
		{"for each namespace", 1, "x/a x/b? x/p!? y/c? -x/a>p -x/p>c -y/c>b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := NewSlots(test.max)
			for _, step := range strings.Fields(test.steps) {
				if rest, ok := strings.CutPrefix(step, "-"); ok {
					name, woken, _ := strings.Cut(rest, ">")
					k, _, _ := sharer(name)
					var got []string
					for _, k := range s.Release(k) {
						got = append(got, k.Name)
					}
					if want := strings.FieldsFunc(woken, func(r rune) bool { return r == ',' }); !slices.Equal(got, want) {
						t.Errorf("%s: wakes %v, want %v", step, got, want)
					}
					continue
				}
				name, queued := strings.CutSuffix(step, "?")
				k, issuer, begun := sharer(name)
				if got := s.Acquire(k, issuer, begun, start); got == queued {
					t.Errorf("%s: acquired %t", step, got)
				}
				for issuer, l := range s.lines {
					if l.taken > test.max {
						t.Errorf("%s: %d of %d slots of %s are taken", step, l.taken, test.max, issuer.Name)
					}
				}
			}
			for k := range s.shares {
				s.Release(k)
			}
			if len(s.shares)+len(s.lines) > 0 {
				t.Errorf("when all are gone, %d Challenges and %d issuers are remembered", len(s.shares), len(s.lines))
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
		s.Acquire(key(name), core.Issuer{}, false, start)
	}
	want("full", core.Held, core.Queued, core.Queued)
	s.Release(key("a"))
	want("released", core.NoSlot, core.Offered, core.Queued)
	s.Acquire(key("b"), core.Issuer{}, false, start)
	want("taken again", core.NoSlot, core.Held, core.Queued)
}

func TestSlotQueues(t *testing.T) {
	s := NewSlots(1)
	for i, name := range []string{"a", "b!", "x/c", "y/d!", "two:e"} {
		k, issuer, begun := sharer(name)
		s.Acquire(k, issuer, begun, start.Add(time.Duration(i)*time.Second))
	}
	b, _, _ := sharer("b")
	s.Release(b)
	got := s.Queues()
	slices.SortFunc(got, func(a, b metrics.Queue) int { return cmp.Compare(a.Name, b.Name) })
	want := []metrics.Queue{
		{Kind: "ClusterIssuer", Name: "one", Challenges: 2, Oldest: start.Add(2 * time.Second)},
		{Kind: "ClusterIssuer", Name: "two"},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
