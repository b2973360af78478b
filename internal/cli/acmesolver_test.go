package cli

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestACMESolver runs the arguments of a solver pod, which name no command.
func TestACMESolver(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	free.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	args := []string{"--listen-port=" + port, "--domain=www.example.com", "--token=tok", "--key=tok.secret"}
	out, written := io.Pipe()
	var errs strings.Builder
	status := make(chan int, 1)
	go func() {
		status <- Main(ctx, args, written, &errs)
		_ = written.Close()
	}()
	// It is said when it listens.
	line := make([]byte, 200)
	n, err := out.Read(line)
	if said := string(line[:n]); err != nil || !strings.HasPrefix(said, "answering the HTTP-01 challenge of www.example.com on ") || strings.Contains(said, "tok") {
		t.Fatalf("said %q, %v", said, err)
	}
	ask := func(host string) string {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+port+"/.well-known/acme-challenge/tok", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status + " " + string(body)
	}
	if got := ask("www.example.com"); got != "200 OK tok.secret" {
		t.Errorf("got %s", got)
	}
	if got := ask("other.example"); !strings.HasPrefix(got, "404 ") {
		t.Errorf("for another Host: %s", got)
	}
	cancel()
	if got := <-status; got != 0 || errs.String() != "" {
		t.Errorf("exit %d: %s", got, &errs)
	}
}

func TestACMESolverRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"acmesolver":                            "everleaf: --domain, --token and --key must be set\n",
		"--listen-port=0 --domain=a":            "everleaf: --listen-port: must be between 1 and 65535, not 0\n",
		"--key=secret --token=t":                "everleaf: --domain, --token and --key must be set\n",
		"acmesolver --domain=a --key=secret up": "everleaf: unknown command \"up\" for \"everleaf acmesolver\"\n",
		"--domain=a --key=secret --keys=secret": "everleaf: unknown flag: --keys; did you mean --key?\n",
	} {
		var out, errs strings.Builder
		if status := Main(t.Context(), strings.Fields(args), &out, &errs); status != 1 || errs.String() != want {
			t.Errorf("%s: exit %d\ngot  %swant %s", args, status, &errs, want)
		}
	}
}

func TestWithSolver(t *testing.T) {
	for args, want := range map[string]string{
		"--listen-port=8089 --domain=a": "acmesolver --listen-port=8089 --domain=a",
		"--token t":                     "acmesolver --token t",
		"--version":                     "--version",
		"--domains=a":                   "--domains=a",
		"domain":                        "domain",
		"controller --domain=a":         "controller --domain=a",
		"":                              "",
	} {
		if diff := cmp.Diff(strings.Fields(want), withSolver(strings.Fields(args))); diff != "" {
			t.Errorf("%s: -want +got:\n%s", args, diff)
		}
	}
}
