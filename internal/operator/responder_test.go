package operator

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/responder"
)

// TestResponderOutlivesItsManager holds that the port is closed until all Challenges are
// known, and that requests are answered until the time of grace is over.
func TestResponderOutlivesItsManager(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	var filled atomic.Bool
	clock := clocktesting.NewFakeClock(time.Now())
	r := &responding{
		address: address, filled: filled.Load, grace: time.Minute, clock: clock, log: logr.Discard(),
		handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }),
	}
	answers := func() bool {
		answer, err := http.Get("http://" + address)
		if err != nil {
			return false
		}
		answer.Body.Close()
		return true
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	started := make(chan error, 1)
	go func() { started <- r.Start(ctx) }()
	if answers() {
		t.Error("answers before all Challenges are known")
	}
	filled.Store(true)
	for !answers() {
		select {
		case err := <-started:
			t.Fatalf("ended: %v", err)
		default:
		}
	}
	cancel()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.End()
	}()
	if !answers() {
		t.Error("does not answer in the time of grace")
	}
	clock.Step(time.Minute)
	<-ended
	if answers() {
		t.Error("still answers")
	}
}

// A responder that has not begun, and none at all, end at once.
func TestNoResponderEnds(t *testing.T) {
	var none *responding
	none.End()
	r := &responding{address: "127.0.0.1:0", filled: func() bool { return false }, clock: clocktesting.NewFakeClock(time.Now()), log: logr.Discard()}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Start(ctx); err != nil {
		t.Error(err)
	}
	r.End()
}

func TestResponderWithoutItsPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r := &responding{address: taken.Addr().String(), filled: func() bool { return true }, clock: clocktesting.NewFakeClock(time.Now()), log: logr.Discard()}
	if err := r.Start(t.Context()); err == nil {
		t.Error("no error")
	}
}

// TestKnows holds that only a process which listens says that it answers a Challenge: the
// others have no Challenges in their table.
func TestKnows(t *testing.T) {
	challenge := &acmev1.Challenge{ObjectMeta: metav1.ObjectMeta{UID: "a"}}
	challenge.Spec.Type, challenge.Spec.Token, challenge.Spec.Key = acmev1.ACMEChallengeTypeHTTP01, "t", "t.k"
	for _, listens := range []bool{false, true} {
		s := shared{table: responder.NewTable(clocktesting.NewFakeClock(time.Now()))}
		if listens {
			s.table.OnAdd(challenge, false)
		}
		if s.Knows("a") != listens || s.Knows("b") {
			t.Errorf("listens: %t, knows %t", listens, s.Knows("a"))
		}
	}
}
