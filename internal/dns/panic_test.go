package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/everleaf/everleaf/internal/propagation"
)

// TestPanicIsAMalformedAnswer holds that a server whose answer makes a reader
// panic costs no more than its own answer.
func TestPanicIsAMalformedAnswer(t *testing.T) {
	r, err := NewResolver(Config{Servers: []string{"192.0.2.1:53"}, Dial: func(context.Context, string, string) (net.Conn, error) {
		panic("hostile data")
	}})
	if err != nil {
		t.Fatal(err)
	}
	report, err := r.Probe(t.Context(), challenge, "v", propagation.RecursiveOnly, "")
	if err != nil || len(report.Answers) != 1 || report.Answers[0].Failure != propagation.Malformed {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := r.addresses(t.Context(), "ns1.example.test."); err == nil {
		t.Error("addresses of a server that makes readers panic")
	}
	for range 2 {
		if _, err := r.serversOf(t.Context(), "example.test.", nil); err == nil {
			t.Error("servers from an answer that makes readers panic")
		}
	}
}

// TestFlightSurvivesPanic holds that a search that panics does not leave those
// who wait for it waiting.
func TestFlightSurvivesPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flight[int]
		gate, panicked := make(chan struct{}), make(chan any, 1)
		go func() {
			defer func() { panicked <- recover() }()
			_, _ = f.do(t.Context(), "k", func() (int, error) {
				<-gate
				panic("hostile data")
			})
		}()
		synctest.Wait()
		got := make(chan int, 1)
		go func() {
			n, _ := f.do(t.Context(), "k", func() (int, error) { return 7, nil })
			got <- n
		}()
		synctest.Wait()
		close(gate)
		if <-panicked == nil {
			t.Error("the panic was swallowed: the reconcile goes on with nothing")
		}
		if n := <-got; n != 7 {
			t.Errorf("the other search found %d", n)
		}
	})
}

// TestProbeBudget holds that a zone with very many addresses is asked at some of
// them, with each server among them.
func TestProbeBudget(t *testing.T) {
	r, err := NewResolver(Config{Servers: []string{"192.0.2.1:53"}, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("nobody here")
	}})
	if err != nil {
		t.Fatal(err)
	}
	set := serverSet{zone: "example.test."}
	for server := range maxServers {
		s := nameServer{name: fmt.Sprintf("ns%d.example.test.", server)}
		for n := range maxPerName {
			s.addrs = append(s.addrs, netip.AddrFrom4([4]byte{198, 51, byte(server), byte(n)}))
		}
		set.servers = append(set.servers, s)
	}
	p := prober{Resolver: r, value: "v"}
	answers, _ := p.askZone(t.Context(), set, challenge)
	asked := map[string]bool{}
	for _, a := range answers {
		asked[a.Server] = true
	}
	if len(answers) != maxAsks || len(asked) != maxServers {
		t.Errorf("%d addresses of %d servers were asked", len(answers), len(asked))
	}
}
