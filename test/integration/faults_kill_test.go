package integration

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/everleaf/everleaf/test/harness"
)

// victim is a process that is killed at one of its writes.
type victim struct {
	namespace string
	// after is whether the write is done before the process dies.
	after bool

	mu sync.Mutex
	// left is how many writes are left until then; negative means all.
	left int
	dead bool
	died chan harness.Call
}

// intercept has nothing pass to the API server, or back, once the process is dead.
func (v *victim) intercept(call harness.Call, next func() (*http.Response, error)) (*http.Response, error) {
	v.mu.Lock()
	dies := false
	if !v.dead && v.left >= 0 && call.Write() && call.Namespace == v.namespace {
		v.left--
		dies = v.left < 0
		v.dead = dies
	}
	dead := v.dead
	v.mu.Unlock()
	switch {
	case dies && v.after:
		answer, err := harness.Lost(next())
		v.died <- call
		return answer, err
	case dies:
		v.died <- call
		return nil, harness.ErrCut
	case dead:
		return nil, harness.ErrCut
	}
	return next()
}

// kill has the process die at its nth write from now, counted from zero.
func (v *victim) kill(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.left = n
}

// spare has the process live on.
func (v *victim) spare() { v.kill(-1) }

// killable is a lab whose controllers die at a write.
type killable struct {
	*lab
	*victim
}

// newKillable returns a lab with controllers of which each start is a new victim.
func newKillable(t *testing.T, after bool, how harness.Controllers) *killable {
	t.Helper()
	k := &killable{}
	how.Config = func(c *rest.Config) {
		k.victim = &victim{after: after, left: -1, died: make(chan harness.Call, 1)}
		harness.Intercept(c, k.victim.intercept)
	}
	k.lab = newLab(t, how)
	return k
}

// everyWrite has a Certificate issued again and again, each time with the controllers
// killed at the next write of an issuance, until they are not. issue starts issuance n,
// from 1, and returns the name of its Certificate and the revision that it leads to.
// It returns the writes.
func (k *killable) everyWrite(t *testing.T, issue func(n int) (string, int)) []string {
	t.Helper()
	var writes []string
	for n := 0; ; n++ {
		k.traffic.Settle(t, k.ns, time.Second)
		k.namespace = k.ns
		k.kill(n)
		name, revision := issue(n + 1)
		var died *harness.Call
		harness.Eventually(t, patience, func() error {
			select {
			case call := <-k.died:
				died = &call
				return nil
			default:
			}
			if err := k.intact(t.Context(), name, revision); err != nil {
				return err
			}
			return quietFor(k.traffic.Writes(k.ns), 2*time.Second)
		})
		if died == nil {
			k.spare()
			return writes
		}
		writes = append(writes, died.Verb+" "+died.Resource)
		k.stop()
		k.start(t)
		k.wantIntact(t, name, revision)
	}
}

// quietFor returns an error if the last of the calls was made within a duration.
func quietFor(calls []harness.Call, quiet time.Duration) error {
	if len(calls) > 0 && time.Since(calls[len(calls)-1].At) < quiet {
		return errors.New("still written to")
	}
	return nil
}

// TestKilledAtEveryWrite: the controllers are killed at each write that an issuance takes,
// one after the other: before the API server has it, and after. Each time, the revision
// rises by exactly one, the key is that of the certificate, and nothing is left behind.
func TestKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		after, again bool
	}{
		{"first issuance, the write is lost", false, false},
		{"first issuance, the answer is lost", true, false},
		{"reissuance, the write is lost", false, true},
		{"reissuance, the answer is lost", true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := newKillable(t, test.after, harness.Controllers{})
			if test.again {
				k.certificate(t, "crt", simple("crt", ""))
				k.wantIntact(t, "crt", 1)
			}
			writes := k.everyWrite(t, func(n int) (string, int) {
				if test.again {
					k.issueByHand(t, "crt")
					return "crt", n + 1
				}
				name := fmt.Sprintf("crt-%d", n)
				k.certificate(t, name, simple(name, ""))
				return name, 1
			})
			t.Logf("killed at %v", writes)
			if len(writes) < 5 {
				t.Errorf("only %d writes", len(writes))
			}
		})
	}
}

// TestKilledAtEveryWriteOfACME is TestKilledAtEveryWrite for an issuance of ACME.
func TestKilledAtEveryWriteOfACME(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(map[bool]string{false: "the write is lost", true: "the answer is lost"}[after], func(t *testing.T) {
			quick := harness.QuickACME(t, harness.QuickOptions{})
			k := newKillable(t, after, harness.Controllers{Options: quick.Resolve})
			quick.Issuer(t, k.Cluster, k.ns, "acme")
			k.Apply(t, k.ns, harness.CertificateManifest("crt-0", "acme", "crt-0.example.com"))
			k.wantIntact(t, "crt-0", 1)
			writes := k.everyWrite(t, func(n int) (string, int) {
				name := fmt.Sprintf("crt-%d", n)
				k.Apply(t, k.ns, harness.CertificateManifest(name, "acme", name+".example.com"))
				return name, 1
			})
			harness.Eventually(t, patience, func() error { return leftOfACME(t, k.Cluster, k.ns, quick) })
			t.Logf("killed at %v; %d orders", writes, quick.Orders.N())
			// An order is lost if the process dies between newOrder and the write of its URL.
			if most := len(writes) + 2 + 1; quick.Orders.N() > most {
				t.Errorf("%d orders, %d allowed", quick.Orders.N(), most)
			}
		})
	}
}
