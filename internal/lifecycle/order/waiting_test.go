package order

import (
	"testing"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/plan"
)

// TestEveryWaitHasAReason walks the states of an Order that differ from the usual
// one in up to three respects, and holds that each plan that waits says why, unless
// the wait ends within two minutes.
func TestEveryWaitHasAReason(t *testing.T) {
	type change func(*State)
	dimensions := [][]change{
		{
			func(s *State) { s.Object.Status, s.Server = acmev1.OrderStatus{}, nil }, func(s *State) { s.Server = nil },
			func(s *State) { s.Object.Status.Authorizations[0].Identifier = "" }, func(s *State) { s.Object.Status.Authorizations = nil },
		},
		{
			serverHas(acme.StatusReady), serverHas(acme.StatusProcessing), serverHas(acme.StatusValid), serverHas("odd"),
			func(s *State) {
				if s.Server != nil {
					s.Server.Status, s.Server.RetryAfter = acme.StatusProcessing, now.Add(hour)
				}
			},
		},
		{
			func(s *State) { s.Account = nil }, func(s *State) { s.Account, s.NotReady = nil, "no" }, func(s *State) { s.Account.NewOrderNotBefore = now.Add(hour) },
			func(s *State) { s.NotBefore = now.Add(hour) }, func(s *State) { s.Account.Issuer = &acmev1.ACMEIssuer{} },
		},
		{
			func(s *State) { s.Request = nil }, func(s *State) { s.Request.Status.Conditions = nil },
			func(s *State) { s.BlockedBy = "a/b" }, func(s *State) { s.BlockedBy, s.BlockedUntil = "a/b", now.Add(time.Second) },
		},
		{with("", ""), with(acmev1.Pending, acmev1.Valid), with(acmev1.Valid, acmev1.Valid), with(acmev1.Expired, acmev1.Pending), with(acmev1.Pending)},
		{polled(1), polled(slowPolls), polled(rarePolls)},
		{since(time.Minute), since(3 * time.Minute), since(2 * hour)},
		{func(s *State) { s.Loaded = now.Add(-hour) }, func(s *State) { s.Recheck = true }},
	}
	waits, usual := 0, ordered()
	var walk func([]change, [][]change)
	walk = func(path []change, left [][]change) {
		for i := range left {
			for _, c := range left[i] {
				if len(path) < 3 {
					walk(append(path[:len(path):len(path)], c), left[i+1:])
				}
			}
		}
		s := usual
		account, memory, server := *s.Account, *s.Memory, *s.Server
		memory.Server = &server
		s.Object, s.Request, s.Account, s.Memory = s.Object.DeepCopy(), s.Request.DeepCopy(), &account, &memory
		for _, c := range path {
			c(&s)
		}
		at := now
		for {
			p := s.Next(at)
			if acts(p) || p.Status.Reason != "" {
				break
			}
			waits++
			if !p.Until.After(at) || p.Until.Sub(now) > quiet {
				t.Fatalf("waits until %s without a reason: %+v\nmemory %+v", p.Until, p, *s.Memory)
			}
			at = p.Until
		}
	}
	walk(nil, dimensions)
	if waits == 0 {
		t.Error("no plan waits")
	}
}

// TestEveryFailureHasAReason holds that a failed action that is not the API
// server's says why the Order waits.
func TestEveryFailureHasAReason(t *testing.T) {
	var refusals []lifecycletest.Refusal
	for _, kind := range []string{
		acme.TypeRateLimited, acme.TypeServerInternal, acme.TypeMalformed, acme.TypeUnauthorized, acme.TypeAccountDoesNotExist, acme.TypeOrderNotReady,
	} {
		for _, status := range []int{400, 403, 404, 429, 503} {
			refusals = append(refusals, lifecycletest.Refuse(status, kind, ""), lifecycletest.Refuse(status, kind, "7200"))
		}
	}
	for _, action := range []plan.Action{CreateOrder{}, FetchOrder{}, FetchAuthorizations{}, Finalize{}, Download{}} {
		for _, refusal := range refusals {
			s := ordered()
			err := refusal.Asked(t, ask(action))
			s.Memory.Failed(action, err, now)
			p := s.Failed(plan.Failure{Action: action, Err: err}, now)
			_, local := p.Do.(plan.Local)
			if (p.Do == nil || local) && p.Status.Reason == "" {
				t.Errorf("%s, %+v: waits without a reason: %+v", action, refusal, p)
			}
		}
	}
}

// acts reports whether a plan does something, stores something, or is an end.
func acts(p Plan) bool {
	return p.Do != nil || p.Persist == plan.Before || p.Persist == plan.Regardless || Final(p.Status.State)
}

func serverHas(status string) func(*State) {
	return func(s *State) {
		if s.Server != nil {
			s.Server.Status = status
		}
	}
}

func with(states ...acmev1.State) func(*State) {
	return func(s *State) {
		if o := ordered(); len(s.Object.Status.Authorizations) == len(o.Object.Status.Authorizations) {
			s.Challenges = challenges(o, states...)
		}
	}
}

func polled(n int) func(*State) { return func(s *State) { s.Polls = n } }

func since(d time.Duration) func(*State) {
	return func(s *State) {
		if s.Server != nil {
			s.FetchedAt = now.Add(-d)
		}
	}
}

// TestPollDelay holds that what takes long is asked for rarely: the waits grow
// after two minutes and after an hour.
func TestPollDelay(t *testing.T) {
	total, polls := time.Duration(0), 0
	for _, phase := range []struct{ until, longest time.Duration }{{2 * time.Minute, 5 * time.Second}, {hour, time.Minute}, {24 * hour, 10 * time.Minute}} {
		for ; total < phase.until; polls++ {
			delay := PollDelay(polls)
			if total += delay; delay > phase.longest || total > phase.until-phase.longest && total < phase.until && delay < phase.longest {
				t.Errorf("poll %d after %s waits %s", polls, total, delay)
			}
		}
	}
	if polls > 250 {
		t.Errorf("%d polls in a day", polls)
	}
}
