package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/plan"
)

var errSlow = errors.New("no answer")

func keyOf(n int) types.NamespacedName {
	return types.NamespacedName{Namespace: "n", Name: fmt.Sprint(n)}
}

// TestEndpoints walks through what happens to 20 workers, by a script: "+a 3" are
// three objects that ask a, "-a 2 ok" are two actions there that end, and a
// duration lets time pass.
func TestEndpoints(t *testing.T) {
	for name, c := range map[string]struct {
		workers int
		script  []string
		// want is what each "+" finds: places, and the time that each has.
		want []string
		// woken is who is woken by the places that become free.
		woken []string
	}{
		"a quarter for one server": {
			workers: 20, script: []string{"+a 30", "+b 1"},
			want: []string{"5 with 15s", "1 with 15s"},
		},
		"half for one server that answers": {
			workers: 20, script: []string{"+a 1", "-a 1 ok", "+a 30", "+b 9"},
			want: []string{"1 with 15s", "10 with 2m0s", "5 with 15s"},
		},
		"half for servers that have not answered": {
			workers: 20, script: []string{"+a 5", "+b 5", "+c 5"},
			want: []string{"5 with 15s", "5 with 15s", "0"},
		},
		"one that answers has its time, whatever others do": {
			workers: 20, script: []string{"+good 1", "-good 1 ok", "+a 5", "+b 5", "+c 5", "+good 9"},
			want: []string{"1 with 15s", "5 with 15s", "5 with 15s", "0", "5 with 2m0s"},
		},
		"a quarter asks no server": {
			workers: 20, script: []string{
				"+a 1", "-a 1 ok", "+b 1", "-b 1 ok", "+c 1", "-c 1 ok", "+d 1", "-d 1 ok",
				"+a 5", "+b 5", "+c 5", "+d 5",
			},
			want: []string{"1 with 15s", "1 with 15s", "1 with 15s", "1 with 15s", "5 with 2m0s", "5 with 2m0s", "5 with 2m0s", "0"},
		},
		"a server that hangs has one place, and the whole time once in ten minutes": {
			workers: 20, script: []string{
				"+a 5", "15s", "-a 5 slow", "+a 2", "2m", "-a 1 slow", "+a 2", "15s", "-a 1 slow", "8m", "+a 2", "-a 1 ok", "+a 9",
			},
			want: []string{"5 with 15s", "1 with 2m0s", "1 with 15s", "1 with 2m0s", "9 with 2m0s"},
		},
		"a failure that comes soon is an answer": {
			workers: 20, script: []string{"+a 1", "-a 1 slow", "+a 9"}, want: []string{"1 with 15s", "9 with 2m0s"},
		},
		"few workers": {
			workers: 2, script: []string{"+a 2", "+b 1"}, want: []string{"1 with 15s", "0"},
		},
		"one worker": {workers: 1, script: []string{"+a 2"}, want: []string{"1 with 15s"}},
		"no limit":   {workers: 0, script: []string{"+a 30"}, want: []string{"30 with 15s"}},
		"a free place wakes who waits longest, at the server or elsewhere": {
			workers: 20, script: []string{"+a 7", "+b 5", "+c 1", "-a 1 ok", "-b 2 ok"},
			want:  []string{"5 with 15s", "5 with 15s", "0"},
			woken: []string{"5", "6", "12"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			clock := clocktesting.NewFakeClock(time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC))
			e := newEndpoints(clock)
			e.setWorkers(c.workers)
			places := map[string][]*place{}
			var got, woken []string
			object := 0
			for _, step := range c.script {
				if d, err := time.ParseDuration(step); err == nil {
					clock.Step(d)
					continue
				}
				var server, how string
				var n int
				_, _ = fmt.Sscanf(step[1:], "%s %d %s", &server, &n, &how)
				if strings.HasPrefix(step, "-") {
					for range n {
						var err error
						if how == "slow" {
							err = errSlow
						}
						for _, key := range e.leave(places[server][0], err) {
							woken = append(woken, key.Name)
						}
						places[server] = places[server][1:]
					}
					continue
				}
				found, limit := 0, time.Duration(0)
				for range n {
					p, _ := e.enter(keyOf(object), server, 2*time.Minute)
					object++
					if p != nil {
						places[server] = append(places[server], p)
						found, limit = found+1, max(limit, p.limit)
					}
				}
				if found == 0 {
					got = append(got, "0")
				} else {
					got = append(got, fmt.Sprintf("%d with %s", found, limit))
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("places (-want +got):\n%s", diff)
			}
			if c.woken != nil {
				if diff := cmp.Diff(c.woken, woken); diff != "" {
					t.Errorf("woken (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestEndpointsForget holds that neither objects that are gone nor servers that
// nobody asks are kept.
func TestEndpointsForget(t *testing.T) {
	e := newEndpoints(clocktesting.NewFakeClock(time.Now()))
	e.setWorkers(4)
	held, _ := e.enter(keyOf(0), "held", time.Minute)
	for range 2 {
		e.enter(keyOf(1), "held", time.Minute)
	}
	if len(e.waiting) != 1 {
		t.Errorf("%d objects wait, want 1", len(e.waiting))
	}
	e.forget(keyOf(1))
	if len(e.waiting) != 0 {
		t.Errorf("%d objects wait, want none", len(e.waiting))
	}
	for n := range 2 * maxEndpoints {
		p, _ := e.enter(keyOf(2), fmt.Sprint(n), time.Minute)
		e.leave(p, nil)
	}
	if len(e.servers) > maxEndpoints+1 || e.servers["held"] == nil {
		t.Errorf("%d servers are known, the one that is asked %t", len(e.servers), e.servers["held"] != nil)
	}
	e.leave(held, nil)
}

func TestACMEServer(t *testing.T) {
	for url, want := range map[string]string{
		"https://acme.example.com/directory":     "the ACME server acme.example.com",
		"https://ACME.example.com:443/dir":       "the ACME server acme.example.com",
		"https://acme.example.com:14000/dir":     "the ACME server acme.example.com:14000",
		"https://[2001:db8::1]/dir":              "the ACME server [2001:db8::1]",
		"http://127.0.0.1:8080/dir?x=y#fragment": "the ACME server 127.0.0.1:8080",
	} {
		if got := ACMEServer(url); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

// remoteTheatre is a theatre whose actions ask a server.
type remoteTheatre struct {
	*theatre
	server string
}

func (r *remoteTheatre) Load(_ context.Context, o *acmev1.Order) (Work[*acmev1.Order, status], error) {
	r.object = o
	return r, nil
}

func (r *remoteTheatre) Endpoint(action plan.Action) (string, time.Duration) {
	if _, isLocal := action.(local); isLocal {
		return "", 0
	}
	return r.server, time.Minute
}

func (r *remoteTheatre) Waiting(s status, cause string, _ time.Time) status {
	s.Reason = cause
	return s
}

// TestDrivePutsOff holds that an object without a place at its server occupies no
// worker, says so if the wait may be long, and is not held back from what asks no
// server.
func TestDrivePutsOff(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC))
	r := &remoteTheatre{&theatre{stored: order()}, "the server a"}
	d := NewDriver(r, Settings[*acmev1.Order, status]{
		Kind: "Order", Manager: "m", New: func() *acmev1.Order { return &acmev1.Order{} },
		Status: func(o *acmev1.Order) *status { return &o.Status }, API: r, Clock: clock,
	})
	d.SetUp(4, nil)
	other, _ := d.endpoints.enter(keyOf(1), "the server a", time.Minute)
	reconcileOnce := func(after time.Duration, want ...string) {
		t.Helper()
		r.log = nil
		result, err := d.Reconcile(t.Context(), request())
		if err != nil || result.RequeueAfter != after {
			t.Errorf("comes back after %s (error %v), want %s", result.RequeueAfter, err, after)
		}
		if diff := cmp.Diff(want, r.log); diff != "" {
			t.Errorf("what happened (-want +got):\n%s", diff)
		}
	}
	r.next = []plan.Plan[status]{{Do: act("ask"), Status: because("x")}}
	reconcileOnce(placeRetry)
	clock.Step(10 * time.Second)
	r.next = []plan.Plan[status]{{Do: local("note")}, {Do: act("ask"), Status: because("x")}}
	reconcileOnce(placeRetry, "note", "store waiting for the server a, which has not answered other requests in time as m")
	d.endpoints.leave(other, nil)
	r.next = []plan.Plan[status]{{Do: act("ask"), Status: because("x")}, {Status: because("x")}}
	reconcileOnce(0, "ask", "store x as m")
	if n := len(d.endpoints.servers["the server a"].places); n != 0 {
		t.Errorf("%d places are taken after the action", n)
	}
}
