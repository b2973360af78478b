package challenge

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
)

// leftInMemory is a LeftStore.
type leftInMemory struct {
	mu    sync.Mutex
	data  []byte
	saves int
}

func (l *leftInMemory) Load(context.Context) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.data, nil
}

func (l *leftInMemory) Save(_ context.Context, data []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.data = data
	l.saves++
	return nil
}

func (l *leftInMemory) saved() ([]byte, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.data, l.saves
}

// TestLeftIsResumed holds that the next process removes what this one has left behind,
// if the issuer is still the one whose credentials were used.
func TestLeftIsResumed(t *testing.T) {
	// The first process leaves two records behind.
	first := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"), challengeOf("b", "one", "o"))
	for _, name := range []string{"a", "b"} {
		w := first.load(t, name)
		first.do(t, w, core.Present{}, core.RemoveFinalizer{Abandoned: true})
	}
	// Both wait for their next try, and one waits to store them. A second step could be
	// that try.
	for first.clock.Waiters() < 3 {
		runtime.Gosched()
	}
	first.clock.Step(saveDelay)
	data, saves := first.left.saved()
	for ; saves == 0; data, saves = first.left.saved() {
		runtime.Gosched()
	}
	if text := string(data); strings.Count(text, "issuerUID") != 2 || saves != 1 {
		t.Fatalf("saved %d times: %s", saves, text)
	}
	another := acmeIssuer("one")
	another.UID = "another"
	changed := acmeIssuer("one")
	changed.Spec.ACME.Solvers[0].DNS01 = &acmev1.ACMEChallengeSolverDNS01{RFC2136: &acmev1.ACMEIssuerDNS01ProviderRFC2136{Nameserver: "192.0.2.99"}}
	both := []string{"begin a.example", "begin b.example", "clean up", "clean up"}
	for name, test := range map[string]struct {
		objects []client.Object
		data    []byte
		later   time.Duration
		want    []string
	}{
		"as it was":                 {[]client.Object{acmeIssuer("one")}, data, 0, both},
		"a day later":               {[]client.Object{acmeIssuer("one")}, data, 25 * time.Hour, nil},
		"the issuer is gone":        {nil, data, 0, nil},
		"the issuer is another one": {[]client.Object{another}, data, 0, nil},
		"the solver has changed":    {[]client.Object{changed}, data, 0, nil},
		"damaged":                   {[]client.Object{acmeIssuer("one")}, data[:len(data)-3], 0, nil},
		"nothing":                   {[]client.Object{acmeIssuer("one")}, nil, 0, nil},
	} {
		inBubble(t, name, func(t *testing.T) {
			s := newStage(t, test.objects...)
			abandoned := 0
			s.Abandoned = func() { abandoned++ }
			s.left.data = test.data
			s.clock.Step(test.later)
			if err := s.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.passes(t)
			if diff := cmp.Diff(test.want, s.solver.log, cmpopts.SortSlices(strings.Compare), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if abandoned != 0 {
				t.Errorf("%d are counted again", abandoned)
			}
			if name != "damaged" && len(s.left.data) > 0 {
				t.Errorf("what is removed, or stays, is still stored: %s", s.left.data)
			}
		})
	}
}

// TestLeftOnlyIfLeft holds that a record is stored only while it is to be tried again by
// the next process.
func TestLeftOnlyIfLeft(t *testing.T) {
	for name, fails := range map[string]error{
		"is removed in time":         errors.New("no"),
		"cannot be removed for good": fault.New(fault.Permanent, "Gone", "no"),
	} {
		inBubble(t, name, func(t *testing.T) {
			s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"))
			s.solver.fail = []error{nil, fails}
			s.do(t, s.load(t, "a"), core.Present{})
			s.Forget(key("a"))
			s.passes(t)
			if s.left.saves != 0 {
				t.Errorf("stored %d times", s.left.saves)
			}
		})
	}
}
