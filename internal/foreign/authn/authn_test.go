package authn

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	errRefused = errors.New("refused")
	errBusy    = errors.New("busy")
	errDown    = errors.New("down")
)

// lab has a Keeper, and log-ins that take a second.
type lab struct {
	*Keeper[string]
	// gives is what the log-ins give, in their sequence; the last one repeats.
	gives []any
	mu    sync.Mutex
	// befores are the sessions that the log-ins got.
	befores []string
}

func newLab(gives ...any) *lab {
	return &lab{gives: gives, Keeper: &Keeper[string]{Now: time.Now, Next: func(err error) (bool, time.Time) {
		if errors.Is(err, errBusy) {
			return false, time.Now().Add(40 * time.Second)
		}
		return errors.Is(err, errRefused), time.Time{}
	}}}
}

func (l *lab) logIn(ctx context.Context, before string) (string, error) {
	l.mu.Lock()
	l.befores = append(l.befores, before)
	give := l.gives[min(len(l.befores), len(l.gives))-1]
	l.mu.Unlock()
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return "", ctx.Err()
	}
	switch give := give.(type) {
	case error:
		return "", give
	case string:
		return give, nil
	default:
		panic("the log-in has failed")
	}
}

func (l *lab) get(ctx context.Context, fresh bool) (string, error) {
	return l.Get(ctx, fresh, func(s string) bool { return s != "old" }, l.logIn)
}

// expect gets a session and checks what comes and how many log-ins there have been by then.
func (l *lab) expect(t *testing.T, step string, fresh bool, session string, is error, logIns int) {
	t.Helper()
	got, err := l.get(t.Context(), fresh)
	if got != session || !errors.Is(err, is) || len(l.befores) != logIns {
		t.Errorf("%s: %q, error %v, %d log-ins", step, got, err, len(l.befores))
	}
}

func TestKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab("a", "old", "b", "c", errDown, errDown, "d")
		l.expect(t, "first", false, "a", nil, 1)
		l.expect(t, "kept", false, "a", nil, 1)
		l.expect(t, "fresh, which serves its own request", true, "old", nil, 2)
		l.expect(t, "does not fit", false, "b", nil, 3)
		l.Drop(func(s string) bool { return s == "a" })
		l.expect(t, "another one dropped", false, "b", nil, 3)
		l.Drop(func(s string) bool { return s == "b" })
		l.expect(t, "dropped", false, "c", nil, 4)
		l.expect(t, "fresh, and the server is down", true, "", errDown, 5)
		l.expect(t, "the session is good all the same", false, "c", nil, 5)
		l.Drop(func(string) bool { return true })
		l.expect(t, "without a session", false, "", errDown, 6)
		l.expect(t, "a failure without a rest", false, "d", nil, 7)
		want := []string{"", "a", "old", "", "c", "", ""}
		for i, before := range l.befores {
			if before != want[i] {
				t.Errorf("log-in %d got %q", i, before)
			}
		}
	})
}

func TestRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab("a", errRefused, errRefused, errRefused, "b", errRefused, errBusy, "c")
		rests := func(step string, is error, logIns int, rest time.Duration) {
			t.Helper()
			l.expect(t, step, true, "", is, logIns)
			until := time.Now().Add(rest)
			time.Sleep(rest - time.Nanosecond)
			_, err := l.get(t.Context(), false)
			if resting := (*Rest)(nil); !errors.As(err, &resting) || !resting.Until.Equal(until) {
				t.Errorf("%s: rests by %v", step, err)
			}
			if len(l.befores) != logIns {
				t.Errorf("%s: %d log-ins", step, len(l.befores))
			}
			time.Sleep(time.Nanosecond)
		}
		l.expect(t, "first", false, "a", nil, 1)
		rests("refused, with the session so far", errRefused, 2, RefusedOnce)
		rests("refused again", errRefused, 3, RefusedAgain)
		rests("refused a third time", errRefused, 4, RefusedAgain)
		l.expect(t, "unlocked", false, "b", nil, 5)
		rests("refused after a success", errRefused, 6, RefusedOnce)
		rests("put off by the server", errBusy, 7, 40*time.Second)
		l.expect(t, "at its time", false, "c", nil, 8)
	})
}

// TestOnce: all who wait have the result of one log-in, except one that ended because nobody
// waited for it any more.
func TestOnce(t *testing.T) {
	for name, test := range map[string]struct {
		gives   []any
		session string
		is      error
		logIns  int
		// patience is for how long the first one waits.
		patience time.Duration
	}{
		"given":                {[]any{"a"}, "a", nil, 1, time.Hour},
		"down":                 {[]any{errDown, "a"}, "", errDown, 1, time.Hour},
		"panics":               {[]any{nil, "a"}, "", ErrUnfinished, 1, time.Hour},
		"the first one leaves": {[]any{"a"}, "a", nil, 2, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(test.gives...)
				impatient, stop := context.WithTimeout(t.Context(), test.patience)
				defer stop()
				go func() {
					defer func() { _ = recover() }()
					_, _ = l.get(impatient, false)
				}()
				synctest.Wait()
				var all sync.WaitGroup
				for i := range 16 {
					all.Go(func() {
						if got, err := l.get(t.Context(), i%2 == 0); got != test.session || !errors.Is(err, test.is) {
							t.Errorf("got %q, %v", got, err)
						}
					})
				}
				all.Wait()
				if len(l.befores) != test.logIns {
					t.Errorf("%d log-ins", len(l.befores))
				}
			})
		})
	}
}

func TestNotInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab("a")
		go func() { _, _ = l.get(t.Context(), false) }()
		synctest.Wait()
		ctx, stop := context.WithTimeout(t.Context(), time.Millisecond)
		defer stop()
		if _, err := l.get(ctx, false); !errors.Is(err, ErrNotInTime) || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(time.Second)
	})
}
