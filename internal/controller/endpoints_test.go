package controller

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/everleaf/everleaf/internal/fault"
)

var errSlow = errors.New("no answer")

func keyOf(n int) types.NamespacedName {
	return types.NamespacedName{Namespace: "n", Name: fmt.Sprint(n)}
}

// TestEndpoints walks through what happens to the workers, by a script: "+a 3" are
// three objects that ask a, first those that have been woken, "*a 3" are such that
// have begun, "-a 2 ok" are two actions there that end, "no" has the first that was
// woken decline, and a duration lets time pass.
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
		"all except two reserves for one server that answers": {
			workers: 20, script: []string{"+a 1", "-a 1 ok", "+a 30", "+b 9"},
			want: []string{"1 with 15s", "13 with 30s", "2 with 15s"},
		},
		"the reserves of many workers": {
			workers: 40, script: []string{"+a 1", "-a 1 ok", "+a 30", "+b 9"},
			want: []string{"1 with 15s", "25 with 30s", "5 with 15s"},
		},
		"half for servers that have not answered": {
			workers: 20, script: []string{"+a 5", "+b 5", "+c 5"},
			want: []string{"5 with 15s", "5 with 15s", "0"},
		},
		"a quarter for servers that hang, and another for new ones": {
			workers: 8, script: []string{
				"+a 1", "-a 1 silent", "+b 1", "-b 1 silent", "+c 1", "-c 1 silent", "+a 1", "+b 1", "+c 1", "+new 2", "+newer 1", "-a 1 silent", "-b 1 silent",
			},
			want:  []string{"1 with 15s", "1 with 15s", "1 with 15s", "1 with 2m0s", "1 with 2m0s", "0", "2 with 15s", "0"},
			woken: []string{"8", "5"},
		},
		"one that answers has its time, whatever others do": {
			workers: 20, script: []string{"+good 1", "-good 1 ok", "+a 5", "+b 5", "+c 5", "+good 9"},
			want: []string{"1 with 15s", "5 with 15s", "5 with 15s", "0", "5 with 30s"},
		},
		"a quarter asks no server": {
			workers: 20, script: []string{
				"+a 1", "-a 1 ok", "+b 1", "-b 1 ok", "+c 1", "-c 1 ok", "+d 1", "-d 1 ok",
				"+a 5", "+b 5", "+c 5", "+d 5",
			},
			want: []string{"1 with 15s", "1 with 15s", "1 with 15s", "1 with 15s", "5 with 30s", "5 with 30s", "5 with 30s", "0"},
		},
		"a server that hangs has one place, and the whole time once in ten minutes": {
			workers: 20, script: []string{
				"+a 5", "15s", "-a 5 slow", "+a 2", "2m", "-a 1 slow", "+a 2", "15s", "-a 1 slow", "8m", "+a 2", "-a 1 ok", "+a 9",
			},
			want: []string{"5 with 15s", "1 with 2m0s", "1 with 15s", "1 with 2m0s", "9 with 30s"},
		},
		"what does not answer hangs, though who asks it gives up soon": {
			workers: 20, script: []string{"+a 2", "4s", "-a 1 silent", "+a 9", "-a 1 ok", "+a 3"},
			want: []string{"2 with 15s", "0", "3 with 30s"},
		},
		"one that stops answering has the whole time at once": {
			workers: 20, script: []string{"+a 1", "-a 1 ok", "+a 9", "30s", "-a 9 silent", "+a 2", "2m", "-a 1 silent", "+a 1"},
			want: []string{"1 with 15s", "9 with 30s", "1 with 2m0s", "1 with 15s"},
		},
		"one that needs longer gets it, until it stops answering": {
			workers: 20, script: []string{
				"+a 1", "-a 1 ok", "+a 1", "30s", "-a 1 silent", "+a 1", "40s", "-a 1 ok", "+a 3", "50s", "-a 3 ok", "+a 3", "2m", "-a 3 silent",
				"+a 1", "40s", "-a 1 ok", "+a 1",
			},
			want: []string{"1 with 15s", "1 with 30s", "1 with 2m0s", "3 with 2m0s", "3 with 2m0s", "1 with 2m0s", "1 with 2m0s"},
		},
		"an error of another server says nothing about this one": {
			workers: 20, script: []string{"+a 1", "15s", "-a 1 elsewhere", "+a 9", "-a 1 ok", "+a 3", "30s", "-a 1 elsewhere", "+a 1"},
			want: []string{"1 with 15s", "5 with 15s", "3 with 30s", "1 with 30s"},
		},
		"a failure that comes soon is an answer": {
			workers: 20, script: []string{"+a 1", "-a 1 slow", "+a 9"}, want: []string{"1 with 15s", "9 with 30s"},
		},
		"few workers": {
			workers: 2, script: []string{"+a 2", "+b 1"}, want: []string{"1 with 15s", "0"},
		},
		"one worker": {workers: 1, script: []string{"+a 2"}, want: []string{"1 with 15s"}},
		"no limit":   {workers: 0, script: []string{"+a 30"}, want: []string{"30 with 15s"}},
		"places that become free go to the servers in turn": {
			workers: 20, script: []string{"+a 7", "+b 5", "+c 1", "-a 1 ok", "-b 2 ok"},
			want:  []string{"5 with 15s", "5 with 15s", "0"},
			woken: []string{"5", "12", "6"},
		},
		"a place that is offered is kept, and passed on": {
			workers: 2, script: []string{"+a 3", "-a 1 ok", "+b 1", "no", "+b 1", "-b 1 ok"},
			want:  []string{"1 with 15s", "0", "1 with 15s"},
			woken: []string{"1", "3", "2"},
		},
		"what has begun comes first": {
			workers: 2, script: []string{"+a 2", "*a 1", "-a 1 ok", "+a 1", "-a 1 ok"},
			want:  []string{"1 with 15s", "0", "1 with 30s"},
			woken: []string{"2", "1"},
		},
		"every fourth place is for one that has not begun": {
			workers: 2, script: []string{
				"+a 2", "*a 1", "*a 1", "*a 1", "*a 1",
				"-a 1 ok", "+a 1", "-a 1 ok", "+a 1", "-a 1 ok", "+a 1", "-a 1 ok", "+a 1", "-a 1 ok",
			},
			want:  []string{"1 with 15s", "0", "0", "0", "0", "1 with 30s", "1 with 30s", "1 with 30s", "1 with 30s"},
			woken: []string{"2", "3", "4", "1", "5"},
		},
		"servers take turns": {
			workers: 8, script: []string{
				"+a 1", "-a 1 ok", "+a 5", "+b 1", "+a 3", "+b 3", "+c 1",
				"-a 1 ok", "+a 1", "-a 1 ok", "+b 1", "-a 1 ok", "-a 1 ok", "-b 1 ok", "-a 1 ok",
			},
			want:  []string{"1 with 15s", "5 with 30s", "1 with 15s", "0", "0", "0", "1 with 30s", "1 with 15s"},
			woken: []string{"7", "10", "8", "13", "9", "11"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			clock := clocktesting.NewFakeClock(time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC))
			var got, woken []string
			e := newEndpoints(clock, func(keys ...types.NamespacedName) {
				for _, key := range keys {
					woken = append(woken, key.Name)
				}
			})
			e.setWorkers(c.workers)
			places := map[string][]*place{}
			object, asked := 0, map[string]string{}
			for _, step := range c.script {
				if d, err := time.ParseDuration(step); err == nil {
					clock.Step(d)
					continue
				}
				if step == "no" {
					e.decline(e.invitation(types.NamespacedName{Namespace: "n", Name: woken[0]}))
					continue
				}
				var server, how string
				var n int
				_, _ = fmt.Sscanf(step[1:], "%s %d %s", &server, &n, &how)
				if strings.HasPrefix(step, "-") {
					for range n {
						var err error
						switch how {
						case "elsewhere":
							err = fault.Elsewhere(context.DeadlineExceeded)
						case "slow":
							err = errSlow
						case "silent":
							err = fault.New(fault.Transient, "Silent", "no answer").Because(&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded})
						}
						e.leave(places[server][0], err)
						places[server] = places[server][1:]
					}
					continue
				}
				found, limit := 0, time.Duration(0)
				come := slices.DeleteFunc(slices.Clone(woken), func(name string) bool {
					return asked[name] != server || e.invitation(types.NamespacedName{Namespace: "n", Name: name}) == nil
				})
				for range n {
					name := fmt.Sprint(object)
					if len(come) > 0 {
						name, come = come[0], come[1:]
					} else {
						object++
					}
					asked[name] = server
					p, _ := e.enter(types.NamespacedName{Namespace: "n", Name: name}, server, 2*time.Minute, step[0] == '*')
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
	e := newEndpoints(clocktesting.NewFakeClock(time.Now()), func(...types.NamespacedName) {})
	e.setWorkers(4)
	held, _ := e.enter(keyOf(0), "held", time.Minute, false)
	for range 2 {
		e.enter(keyOf(1), "held", time.Minute, false)
	}
	if len(e.waiting) != 1 {
		t.Errorf("%d objects wait, want 1", len(e.waiting))
	}
	e.forget(keyOf(1))
	if len(e.waiting) != 0 {
		t.Errorf("%d objects wait, want none", len(e.waiting))
	}
	for n := range 2 * maxEndpoints {
		p, _ := e.enter(keyOf(2), fmt.Sprint(n), time.Minute, false)
		e.leave(p, nil)
	}
	if len(e.servers) > maxEndpoints+1 || e.servers["held"] == nil {
		t.Errorf("%d servers are known, the one that is asked %t", len(e.servers), e.servers["held"] != nil)
	}
	e.leave(held, nil)
}

// TestEndpointsForgetFirst holds that what is known of servers that answer is kept
// longest, because it gives them their time and their places.
func TestEndpointsForgetFirst(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Now())
	e := newEndpoints(clock, func(...types.NamespacedName) {})
	e.setWorkers(20)
	ask := func(server string, err error) {
		p, _ := e.enter(keyOf(1), server, time.Minute, false)
		clock.Step(shortTime)
		e.leave(p, err)
	}
	ask("answers", nil)
	ask("hung before", errSlow)
	for n := range maxEndpoints {
		ask(fmt.Sprint(n), errSlow)
	}
	for server, want := range map[string]bool{"answers": true, "hung before": false, fmt.Sprint(maxEndpoints - 1): true} {
		if known := e.servers[server] != nil; known != want {
			t.Errorf("%s: known %t, want %t", server, known, want)
		}
	}
	if len(e.servers) > maxEndpoints {
		t.Errorf("%d servers are known", len(e.servers))
	}
}

// TestEndpointsCount lets objects come and go at random, and holds that the counts
// are those of what is there, and that nobody waits who could have a place.
func TestEndpointsCount(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { countEndpoints(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func countEndpoints(t *testing.T, random *rand.Rand) {
	clock := clocktesting.NewFakeClock(time.Now())
	e := newEndpoints(clock, func(...types.NamespacedName) {})
	e.setWorkers(12)
	var taken []*place
	for step := range 20000 {
		key := keyOf(random.IntN(60))
		switch random.IntN(8) {
		case 0:
			e.forget(key)
		case 1:
			e.decline(e.invitation(key))
		case 2:
			clock.Step(time.Duration(random.IntN(3000)) * time.Millisecond)
		case 3, 4:
			if len(taken) > 0 {
				i, err := random.IntN(len(taken)), error(nil)
				if random.IntN(4) == 0 {
					err = errSlow
				}
				e.leave(taken[i], err)
				taken = slices.Delete(taken, i, i+1)
			}
		default:
			if p, _ := e.enter(key, fmt.Sprint("server ", random.IntN(6)), time.Minute, random.IntN(2) == 0); p != nil {
				taken = append(taken, p)
			}
		}
		busy, queued, invited, counted := 0, 0, 0, 0
		for _, s := range e.servers {
			busy, invited = busy+len(s.places)+s.invited, invited+s.invited
			waits := s.queues[0].Len() + s.queues[1].Len()
			queued += waits
			if waits > 0 && e.room(s) {
				t.Fatalf("step %d: objects wait for %s, which has room", step, s.name)
			}
		}
		for _, n := range e.busy {
			counted += n
		}
		if busy != counted || busy > e.places() || queued+invited != len(e.waiting) || e.doubtful() > e.half() || e.busy[hangs] > e.quarter() || slices.Min(e.busy[:]) < 0 {
			t.Fatalf("step %d: %d places are taken, %v counted; %d objects are queued, %d invited, %d wait",
				step, busy, e.busy, queued, invited, len(e.waiting))
		}
	}
}

// BenchmarkEndpoints is one action at a server for which so many objects wait: it
// takes the time that it takes with one.
func BenchmarkEndpoints(b *testing.B) {
	for _, waiting := range []int{1, 10_000} {
		b.Run(fmt.Sprint(waiting), func(b *testing.B) {
			var woken []types.NamespacedName
			e := newEndpoints(clocktesting.NewFakeClock(time.Now()), func(keys ...types.NamespacedName) { woken = append(woken, keys...) })
			e.setWorkers(20)
			var taken []*place
			for n := range waiting + 20 {
				if p, _ := e.enter(keyOf(n), "a", time.Minute, true); p != nil {
					taken = append(taken, p)
				}
			}
			for b.Loop() {
				e.leave(taken[0], nil)
				taken = taken[1:]
				for _, key := range woken {
					p, _ := e.enter(key, "a", time.Minute, true)
					taken = append(taken, p)
					// It comes back for its next action.
					e.enter(types.NamespacedName{Namespace: "again", Name: key.Name}, "a", time.Minute, true)
				}
				woken = woken[:0]
			}
		})
	}
}

// TestInTime holds that a server which does not answer is reported with the time
// that it is given, in equal words whatever time an action has had.
func TestInTime(t *testing.T) {
	silent := fault.New(fault.Transient, "Silent", "no answer in time").Because(context.DeadlineExceeded)
	const told = "no answer in time; everleaf waits up to 15s for an answer, and once every 10m up to 2m"
	for _, test := range []struct {
		name          string
		err           error
		took, longest time.Duration
		want          string
	}{
		{"after the short time", silent, shortTime, 2 * time.Minute, told},
		{"after the usual time", silent, usualTime, 2 * time.Minute, told},
		{"after all its time", silent, 2 * time.Minute, 2 * time.Minute, told},
		{"wrapped", fmt.Errorf("x: %w", silent), usualTime, 2 * time.Minute, told},
		{"the client gives up soon", silent, 2 * time.Second, 2 * time.Minute, "no answer in time"},
		{"another server", fault.Elsewhere(silent), shortTime, 2 * time.Minute, "no answer in time"},
		{"no longer time", silent, shortTime, shortTime, "no answer in time"},
		{"another failure", fault.New(fault.Transient, "X", "refused"), usualTime, 2 * time.Minute, "refused"},
		{"unclassified", context.DeadlineExceeded, usualTime, 2 * time.Minute, "context deadline exceeded"},
	} {
		got := inTime(test.err, test.took, test.longest)
		if fault.Of(got).Message != test.want || !errors.Is(got, test.err) {
			t.Errorf("%s: got %q, want %q", test.name, fault.Of(got).Message, test.want)
		}
	}
	if inTime(nil, usualTime, time.Minute) != nil {
		t.Error("a success has become a failure")
	}
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

// The one action that has all its time is not used up by one that did not get to
// ask the server.
func TestFullTimeElsewhere(t *testing.T) {
	clock := clocktesting.NewFakeClock(t0)
	e := newEndpoints(clock, func(...types.NamespacedName) {})
	e.setWorkers(40)
	p, _ := e.enter(keyOf(0), "s", time.Minute, false)
	clock.Step(shortTime)
	e.leave(p, context.DeadlineExceeded)
	for n, err := range []error{fault.Elsewhere(context.DeadlineExceeded), context.DeadlineExceeded} {
		if p, _ = e.enter(keyOf(1+n), "s", time.Minute, false); p.limit != time.Minute {
			t.Fatalf("action %d has %s", n, p.limit)
		}
		clock.Step(shortTime)
		e.leave(p, err)
	}
	if p, _ = e.enter(keyOf(3), "s", time.Minute, false); p.limit != shortTime {
		t.Errorf("after one had all its time, the next has %s", p.limit)
	}
}
