package responder

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// start serves a handler until the test ends or stop is called, which returns what Serve
// does.
func start(t *testing.T, handler http.Handler) (address string, stop func() error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, listener, handler, clock.RealClock{})
		close(done)
	}()
	stop = func() error {
		cancel()
		return <-done
	}
	t.Cleanup(func() { _ = stop() })
	return listener.Addr().String(), stop
}

func get(t *testing.T, client *http.Client, url string) (reply, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "www.example.com"
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{answer.StatusCode, string(body), Result(answer.Header.Get(Header))}, answer.Proto
}

func TestProtocolsOfOnePort(t *testing.T) {
	address, stop := start(t, NewHandler(table(challenge("a", "www.example.com", "t")), nil))
	insecure := &tls.Config{InsecureSkipVerify: true, ServerName: "any.example"}
	noName := &tls.Config{InsecureSkipVerify: true}
	h2c := &http.Protocols{}
	h2c.SetUnencryptedHTTP2(true)
	for _, tt := range []struct {
		name, scheme string
		transport    *http.Transport
		proto        string
	}{
		{"plain", "http", &http.Transport{}, "HTTP/1.1"},
		{"TLS", "https", &http.Transport{TLSClientConfig: insecure}, "HTTP/1.1"},
		{"TLS without SNI", "https", &http.Transport{TLSClientConfig: noName}, "HTTP/1.1"},
		{"TLS with HTTP/2, as for backends of gRPC", "https", &http.Transport{TLSClientConfig: insecure.Clone(), ForceAttemptHTTP2: true}, "HTTP/2.0"},
		{"HTTP/2 with prior knowledge", "http", &http.Transport{Protocols: h2c}, "HTTP/2.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer tt.transport.CloseIdleConnections()
			client := &http.Client{Transport: tt.transport}
			for range 3 {
				got, proto := get(t, client, tt.scheme+"://"+address+PathPrefix+"t")
				if diff := cmp.Diff(reply{200, "t.a", Answered}, got); diff != "" || proto != tt.proto {
					t.Errorf("%s, want %s: -want +got:\n%s", proto, tt.proto, diff)
				}
			}
		})
	}
	if err := stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// speak sends text over a new connection and returns all that comes until its end.
func speak(t *testing.T, address, text string) string {
	t.Helper()
	c := dial(t, address)
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%.40q: %v after %q", text, err, answer)
	}
	return string(answer)
}

func TestConnectionsEndWithTheirAnswer(t *testing.T) {
	address, _ := start(t, NewHandler(table(challenge("a", "www.example.com", "t")), nil))
	for name, request := range map[string]string{
		"keep-alive":     "GET " + PathPrefix + "t HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n\r\n",
		"HTTP/1.0":       "GET " + PathPrefix + "t HTTP/1.0\r\nHost: www.example.com\r\n\r\n",
		"absolute form":  "GET http://www.example.com" + PathPrefix + "t HTTP/1.1\r\nHost: other.example\r\n\r\n",
		"pipelined":      strings.Repeat("GET "+PathPrefix+"t HTTP/1.1\r\nHost: www.example.com\r\n\r\n", 5),
		"body to ignore": "POST " + PathPrefix + "t HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000),
	} {
		answer := speak(t, address, request)
		if !strings.HasPrefix(answer, "HTTP/1.") || strings.Count(answer, "200 OK") != 1 || !strings.HasSuffix(answer, "t.a") {
			t.Errorf("%s: got %q", name, answer)
		}
	}
}

func TestHostileRequests(t *testing.T) {
	address, _ := start(t, NewHandler(table(challenge("a", "www.example.com", "t")), nil))
	for name, tt := range map[string]struct{ request, status string }{
		"large header":    {"GET / HTTP/1.1\r\nHost: " + strings.Repeat("x", 2*maxHeader) + "\r\n\r\n", "431"},
		"large path":      {"GET /" + strings.Repeat("x", 2*maxHeader) + " HTTP/1.1\r\nHost: www.example.com\r\n\r\n", "431"},
		"bytes in Host":   {"GET " + PathPrefix + "t HTTP/1.1\r\nHost: www\xff.example.com\r\n\r\n", "400"},
		"two Hosts":       {"GET " + PathPrefix + "t HTTP/1.1\r\nHost: www.example.com\r\nHost: b.example\r\n\r\n", "400"},
		"no HTTP":         {"hello, this is no HTTP\r\n\r\n", "400"},
		"OPTIONS *":       {"OPTIONS * HTTP/1.1\r\nHost: www.example.com\r\n\r\n", "200"},
		"CONNECT":         {"CONNECT 10.0.0.1:22 HTTP/1.1\r\nHost: 10.0.0.1:22\r\n\r\n", "404"},
		"other websites":  {"GET http://127.0.0.1/latest/meta-data HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "404"},
		"a broken escape": {"GET " + PathPrefix + "%zz HTTP/1.1\r\nHost: www.example.com\r\n\r\n", "400"},
	} {
		if answer := speak(t, address, tt.request); !strings.HasPrefix(answer, "HTTP/1.1 "+tt.status+" ") {
			t.Errorf("%s: want %s, got %.60q", name, tt.status, answer)
		}
	}
	// TLS that breaks off does no harm.
	c := dial(t, address)
	if _, err := c.Write([]byte{handshake, 3, 1, 0, 5, 1, 0, 0, 1, 0}); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, c)
	if got, _ := get(t, http.DefaultClient, "http://"+address+PathPrefix+"t"); got.Status != 200 {
		t.Errorf("afterwards: %v", got)
	}
}

// TestIdleConnectionsKeepNobodyOut holds that connections which send nothing, or no end,
// give way.
func TestIdleConnectionsKeepNobodyOut(t *testing.T) {
	address, _ := start(t, NewHandler(table(challenge("a", "www.example.com", "t")), nil))
	first := dial(t, address)
	if _, err := io.WriteString(first, "GET / HTTP/1.1\r\nHost:"); err != nil {
		t.Fatal(err)
	}
	for i := range maxConnections {
		c := dial(t, address)
		if i%2 == 0 {
			if _, err := c.Write([]byte{handshake}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, _ := get(t, http.DefaultClient, "http://"+address+PathPrefix+"t"); got.Status != 200 {
		t.Errorf("beside idle connections: %v", got)
	}
	if n, err := first.Read(make([]byte, 1)); n != 0 || errors.Is(err, context.DeadlineExceeded) || err == nil {
		t.Errorf("the oldest connection got %d bytes, %v", n, err)
	}
}

func TestBoundOfConnections(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newConnections(inner, nil, 2)
	defer l.Close()
	accept := func() (client net.Conn, server *connection) {
		client = dial(t, inner.Addr().String())
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return client, c.(*connection)
	}
	one, _ := accept()
	_, second := accept()
	_ = second.Close()
	_ = second.Close()
	third, _ := accept()
	if l.open.Len() != 2 {
		t.Fatalf("%d connections are open, want 2", l.open.Len())
	}
	accept()
	if _, err := one.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the oldest connection: %v, want its end", err)
	}
	if l.open.Len() != 2 || l.open.Front().Value.(*connection).RemoteAddr().String() != third.LocalAddr().String() {
		t.Errorf("%d connections are open, want 2, and the third one first", l.open.Len())
	}
}

// TestStopWaitsForAnswers holds that a request which has begun is answered.
func TestStopWaitsForAnswers(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	address, stop := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "late")
	}))
	c := dial(t, address)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	// The listener is closed first.
	for {
		another, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		another.Close()
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped before the answer: %v", err)
	default:
	}
	close(finish)
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, _ := io.ReadAll(answer.Body); string(body) != "late" {
		t.Errorf("got %q", body)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestServeTellsWhyItEnds(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if err := Serve(t.Context(), listener, http.NotFoundHandler(), clock.RealClock{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
