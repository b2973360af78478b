package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	clocktesting "k8s.io/utils/clock/testing"
)

// loaded is a component.Certificate.
type loaded struct {
	atomic.Pointer[tls.Certificate]
}

func (l *loaded) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return l.Load(), nil
}

func (l *loaded) Start(ctx context.Context) error { <-ctx.Done(); return nil }

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestStops holds what a rolling update needs: probes fail at once, connections that come
// during the grace are served and sent away afterwards, and requests that were accepted
// are answered.
func TestStops(t *testing.T) {
	ca := issue(t, nil, "ca")
	certificate := &loaded{}
	arrived, release := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(arrived)
			<-release
		}
		_, _ = io.WriteString(w, "answered")
	})
	clock := clocktesting.NewFakeClock(time.Now())
	s := newServer(certificate, &tls.Config{GetCertificate: certificate.GetCertificate}, handler, 5*time.Second, clock, logr.Discard())
	admission, probes := listener(t), listener(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- s.serve(ctx, admission, probes) }()

	probe := func(path string) (int, string) {
		t.Helper()
		answer, err := http.Get("http://" + probes.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, strings.TrimSpace(string(body))
	}
	check := func(path string, code int, text string) {
		t.Helper()
		if gotCode, got := probe(path); gotCode != code || got != text {
			t.Errorf("%s: %d %q, want %d %q", path, gotCode, got, code, text)
		}
	}
	check("/livez", 200, "ok")
	check("/healthz", 500, "no serving certificate has been loaded yet")
	certificate.Store(issue(t, ca, "", "webhook"))
	check("/healthz", 200, "ok")

	roots := x509.NewCertPool()
	roots.AddCert(ca.Leaf)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "webhook"}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	var reused bool
	get := func(path string) error {
		trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), http.MethodPost, "https://"+admission.Addr().String()+path, strings.NewReader("x"))
		if err != nil {
			return err
		}
		answer, err := transport.RoundTrip(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if body, err := io.ReadAll(answer.Body); err != nil || string(body) != "answered" || answer.ProtoMajor != 2 {
			return errors.Join(err, errors.New(answer.Proto+" "+string(body)))
		}
		return nil
	}
	for _, wantReused := range []bool{false, true} {
		if err := get("/"); err != nil || reused != wantReused {
			t.Fatalf("%v; reused %t, want %t", err, reused, wantReused)
		}
	}
	slow := make(chan error, 1)
	go func() { slow <- get("/slow") }()
	<-arrived

	stop()
	for !clock.HasWaiters() {
		runtime.Gosched()
	}
	check("/livez", 200, "ok")
	check("/healthz", 500, "the webhook is stopping")
	if err := get("/"); err != nil {
		t.Errorf("a request during the grace: %v", err)
	}
	if err := get("/"); err != nil || reused {
		t.Errorf("the client has not connected anew (%v)", err)
	}
	clock.Step(5 * time.Second)
	// The listener is closed while the slow request is still there.
	for {
		conn, err := net.Dial("tcp", admission.Addr().String())
		if err != nil {
			break
		}
		conn.Close()
	}
	close(release)
	if err := errors.Join(<-slow, <-done); err != nil {
		t.Error(err)
	}
}

// TestServerFails holds that a listener that breaks ends the server with an error.
func TestServerFails(t *testing.T) {
	certificate := &loaded{}
	certificate.Store(issue(t, nil, "webhook"))
	s := newServer(certificate, &tls.Config{GetCertificate: certificate.GetCertificate}, http.NotFoundHandler(), 0, clocktesting.NewFakeClock(time.Now()), logr.Discard())
	l := listener(t)
	l.Close()
	if err := s.serve(t.Context(), l, nil); err == nil {
		t.Error("no error")
	}
}
