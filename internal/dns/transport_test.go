package dns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/propagation"
)

func TestFailureOf(t *testing.T) {
	op := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errno)}
	}
	for err, want := range map[error]propagation.Failure{
		nil:                       propagation.NoFailure,
		op(syscall.ENETUNREACH):   propagation.NoRoute,
		op(syscall.EHOSTUNREACH):  propagation.Unreachable,
		op(syscall.EPERM):         propagation.Unreachable,
		op(syscall.EADDRNOTAVAIL): propagation.NoRoute,
		op(syscall.ECONNREFUSED):  propagation.ConnectionRefused,
		os.ErrDeadlineExceeded:    propagation.Timeout,
		context.DeadlineExceeded:  propagation.Timeout,
		io.EOF:                    propagation.Timeout,
		errStray:                  propagation.Malformed,
		errors.New("x"):           propagation.OtherFailure,
	} {
		if got := FailureOf(err); got != want {
			t.Errorf("FailureOf(%v) = %q, want %q", err, got, want)
		}
	}
}

// A server whose second address is IPv6 on a machine without IPv6.
func TestProbeWithoutRoute(t *testing.T) {
	w := newWorld(t, testZone("ns1", "ns1 AAAA 2001:db8::1"))
	w.serve(1, testZone("ns1", txt))
	r := w.resolve(func(c *Config) {
		c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if strings.HasPrefix(address, "[2001:db8:") {
				return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}
	})
	got, err := r.Probe(context.Background(), challenge, "v", propagation.Authoritative, "")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		challenge + " ns1.example.test. child NOERROR AA has",
		challenge + " ns1.example.test. child NoRoute",
	}
	if diff := cmp.Diff(want, lines(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	wantVerdict := propagation.Verdict{State: propagation.Accept, Message: fmt.Sprintf("left out: ns1.example.test. ([2001:db8::1]:%s) cannot be reached from here (no route)", w.port)}
	if diff := cmp.Diff(wantVerdict, propagation.Judge(got, propagation.LedgerEntry{VisibleSince: t0}, propagation.Policy{}, t0)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The server answers FORMERR to EDNS0, after datagrams that answer nothing.
func TestStrayDatagramsAndOldServers(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			q := new(mdns.Msg)
			if q.Unpack(buf[:n]) != nil {
				return
			}
			a := new(mdns.Msg)
			a.SetReply(q)
			a.Id++
			stray, _ := a.Pack()
			_, _ = conn.WriteTo(stray, from)
			_, _ = conn.WriteTo([]byte("x"), from)
			a.Id--
			if q.IsEdns0() != nil {
				a.Question, a.Rcode = nil, mdns.RcodeFormatError
			}
			raw, _ := a.Pack()
			_, _ = conn.WriteTo(raw, from)
		}
	}()
	m, err := Transport{}.ask(context.Background(), conn.LocalAddr().String(), query(challenge, mdns.TypeTXT, false, false))
	if err != nil || m.Rcode != mdns.RcodeSuccess || len(m.Question) != 1 {
		t.Errorf("%v, %v", m, err)
	}
}
