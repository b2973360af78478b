package responder

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/everleaf/everleaf/test/child"
)

// TestBehindHAProxy asks through a proxy that speaks to its backends as Ingresses can have
// it: in plain text, by HTTPS without looking at the certificate, by HTTP/2 without TLS,
// and with another Host.
func TestBehindHAProxy(t *testing.T) {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		child.Missing(t, "needs haproxy: %v", err)
	}
	address, _ := start(t, NewHandler(table(challenge("a", "www.example.com", "t")), nil))
	backends := []struct{ name, server, rule, want string }{
		{"plain", "", "", "answered t.a"},
		{"https", "ssl verify none", "", "answered t.a"},
		{"h2c", "proto h2", "", "answered t.a"},
		{"host", "", "http-request set-header Host 10.32.3.80", "answered-other-host t.a"},
	}
	var config strings.Builder
	config.WriteString("defaults\n  mode http\n  timeout connect 10s\n  timeout client 10s\n  timeout server 10s\n  option httpchk\n")
	front := map[string]string{}
	for _, b := range backends {
		if front[b.name], err = child.FreeAddress(); err != nil {
			t.Fatal(err)
		}
		config.WriteString("listen " + b.name + "\n  bind " + front[b.name] + "\n  " + b.rule + "\n  server s " + address + " check inter 100 " + b.server + "\n")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy, err := child.Start(dir, program, "-db", "-f", file)
	if err != nil {
		t.Fatal(err)
	}
	child.StopAtEnd(t, "haproxy", proxy)
	for _, b := range backends {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for {
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", front[b.name])
			if err == nil {
				c.Close()
				break
			}
			if ctx.Err() != nil {
				t.Fatal(err)
			}
		}
		// Proxies keep connections, and must learn that these end.
		for range 5 {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+front[b.name]+PathPrefix+"t", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = "www.example.com"
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if got := answer.Header.Get(Header) + " " + string(body); err != nil || got != b.want {
				t.Errorf("%s: got %d %q, %v, want %q", b.name, answer.StatusCode, got, err, b.want)
			}
		}
	}
}
