package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/controlplane"
	"github.com/everleaf/everleaf/test/named"
)

var everleaf struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(everleaf.dir)
	os.Exit(code)
}

// testOptions returns the options of a run that keeps all its files in a
// directory of the test, which also identifies its processes.
func testOptions(t *testing.T, out io.Writer) options {
	t.Helper()
	binDir := controlplane.BinDir(t)
	if _, err := os.Stat(filepath.Join(binDir, "pebble")); err != nil {
		child.Missing(t, "needs Pebble, which `make test` builds: %v", err)
	}
	everleaf.once.Do(func() {
		if everleaf.dir, everleaf.err = os.MkdirTemp("", "everleaf-bin-"); everleaf.err != nil {
			return
		}
		output, err := exec.Command("go", "build", "-o", everleaf.dir, "github.com/everleaf/everleaf/cmd/everleaf").CombinedOutput()
		if err != nil {
			everleaf.err = fmt.Errorf("build everleaf: %w\n%s", err, output)
		}
	})
	if everleaf.err != nil {
		t.Fatal(everleaf.err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	return options{
		dns: dnsBuiltin, everleaf: filepath.Join(everleaf.dir, "everleaf"), binDir: binDir,
		timeout: 2 * time.Minute, out: out,
	}
}

// checkNothingLeft fails the test if processes of the run, or files other than
// logs, are left.
func checkNothingLeft(t *testing.T, keepsLogs bool) {
	t.Helper()
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range commands {
		command, err := os.ReadFile(file)
		if err == nil && bytes.Contains(command, []byte(os.TempDir())) {
			t.Errorf("still running: %s", bytes.ReplaceAll(command, []byte{0}, []byte(" ")))
		}
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if !keepsLogs && len(left) > 0 {
		t.Errorf("files left: %v", left)
	}
}

// trigger records what is written, and calls a function when a text appears.
type trigger struct {
	text string
	call func()

	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *trigger) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p)
	if w.call != nil && bytes.Contains(w.buf.Bytes(), []byte(w.text)) {
		w.call()
		w.call = nil
	}
	return len(p), nil
}

func (w *trigger) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

func TestQuickstart(t *testing.T) {
	for _, dns := range []string{dnsBuiltin, dnsBIND} {
		t.Run(dns, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			// Like a user at a terminal who presses Ctrl-C at the end.
			out := &trigger{text: "until you press Ctrl-C", call: cancel}
			o := testOptions(t, out)
			o.dns, o.keep = dns, true
			if _, err := bindVersion(ctx); dns == dnsBIND && err != nil {
				child.Missing(t, "%v", err)
			}
			if err := run(ctx, o); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			checkOutput(t, out.String())
			checkNothingLeft(t, false)
		})
	}
}

func checkOutput(t *testing.T, out string) {
	t.Helper()
	for _, want := range []string{
		`(?m)^  Propagation   .*--dns01-recursive-nameservers-only`,
		`(?m)^    Ready after \d`,
		`(?m)^  \$ \S*kubectl -n cert-manager create secret generic tsig-secret \\\n      --from-literal=tsig-secret-key=\S{88}$`,
		`(?m)^    secret/tsig-secret created$`,
		`(?m)^  \$ \S*kubectl apply -f clusterissuer.yaml$`,
		`(?m)^ +rfc2136:\n +nameserver: 127.0.0.1:\d+\n +tsigKeyName: example-com-secret\n +tsigAlgorithm: HMACSHA512$`,
		`(?m)^  \+ \d.\d\ds  ClusterIssuer      quickstart: Ready: `,
		`(?m)^  \+ 0.00s  Certificate        quickstart: created$`,
		`(?m)^  \+ +\d+.\d\ds  CertificateRequest quickstart-1: Approved; Ready: `,
		`(?m)^  \+ +\d+.\d\ds  Order              quickstart-1-\d+: valid$`,
		`(?m)^  \+ +\d+.\d\ds  Challenge          quickstart-1-\S+ \(\*.quickstart.example.com\): TXT record presented; `,
		`(?m)^  \+ +\d+.\d\ds  Certificate        quickstart: Ready: `,
		`(?m)^     Issuer    CN=Pebble Intermediate CA `,
		`(?m)^     Names     .*\*\.quickstart\.example\.com`,
		`(?m)^     Valid     20\d\d-.* UTC$`,
		`(?m)^    tls.key +\d+ bytes$`,
		`(?m)^    cert-manager.io/issuer-name: quickstart$`,
		`(?m)^  The name server carried out 6 signed updates and has no TXT record left.$`,
		`(?m)^Issued in \d+.\d\d s`,
		`(?m)^  export KUBECONFIG=/`,
		`(?m)^    Stopped.\nEverything is stopped, and its data is removed.\n$`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("output lacks %s", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

func TestInterrupted(t *testing.T) {
	for _, phase := range []string{"  Name server ", "Starting etcd", ": TXT record presented"} {
		t.Run(strings.TrimSpace(phase), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			out := &trigger{text: phase, call: cancel}
			err := run(ctx, testOptions(t, out))
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got error %v", err)
			}
			if strings.Contains(out.String(), "The end of everleaf's log") || strings.Contains(out.String(), "\nIssued in") {
				t.Errorf("output:\n%s", out)
			}
			checkNothingLeft(t, false)
		})
	}
}

func TestWrongSecret(t *testing.T) {
	out := &trigger{}
	o := testOptions(t, out)
	o.secret = "bm90IHRoZSBzZWNyZXQgb2YgdGhlIHNlcnZlcg=="
	o.timeout = 5 * time.Second
	err := run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "the Certificate is not Ready after 5s; Issuing (DoesNotExist): ") || !strings.Contains(err.Error(), "BADSIG") || !strings.Contains(err.Error(), "logs are kept in "+os.TempDir()) {
		t.Errorf("got error %v", err)
	}
	for _, want := range []string{"kubectl describe certificate,challenge\n", "Reason:      Error presenting challenge: DNS update failed: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	checkNothingLeft(t, true)
}

func TestEverleafEndsByItself(t *testing.T) {
	out := &trigger{}
	o := testOptions(t, out)
	o.everleaf = filepath.Join(t.TempDir(), "everleaf")
	if err := os.WriteFile(o.everleaf, []byte("#!/bin/sh\necho Starting\necho no port left >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := run(t.Context(), o)
	if err == nil || !strings.HasPrefix(err.Error(), "`everleaf local` has ended by itself (exit status 3)\nlogs are kept in ") {
		t.Errorf("got error %v", err)
	}
	if !strings.Contains(out.String(), "The end of everleaf's log:\n\n  no port left\n") {
		t.Errorf("output lacks what everleaf said:\n%s", out)
	}
	checkNothingLeft(t, true)
}

func TestMissingBIND(t *testing.T) {
	err := missingBIND(fmt.Errorf("start: %w", named.ErrMissing))
	for _, want := range []string{"apt-get install bind9", "which are not installed", "make quickstart"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	other := errors.New("named ended at its start")
	if got := missingBIND(other); got != other {
		t.Errorf("got %v", got)
	}
}

func TestComplete(t *testing.T) {
	exists := os.Args[0]
	for _, test := range []struct {
		options options
		args    []string
		want    string
	}{
		{options{dns: "builtin", everleaf: exists}, nil, ""},
		{options{dns: "bind", everleaf: exists}, nil, ""},
		{options{dns: "knot", everleaf: exists}, nil, `the name server is "knot"; it can be builtin or bind (make quickstart DNS=bind)`},
		{options{dns: "bind", everleaf: exists}, []string{"x"}, `unexpected argument "x"`},
		{options{dns: "bind", everleaf: "/nowhere/everleaf"}, nil, "stat /nowhere/everleaf: no such file or directory: run `make build` first"},
	} {
		err := complete(&test.options, test.args)
		if got := fmt.Sprint(err); test.want == "" && err != nil || test.want != "" && got != test.want {
			t.Errorf("complete(%+v, %v): got %v, want %q", test.options, test.args, err, test.want)
		}
	}
}

func TestCommandLine(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"kubectl", "get", "secret", "a"}, "kubectl get secret a"},
		{[]string{"echo", "it's", "{}", "a=b+/=="}, `echo 'it'\''s' '{}' a=b+/==`},
		{[]string{"everleaf", "--a=" + strings.Repeat("x", 60), "--b=" + strings.Repeat("y", 60)}, "everleaf \\\n      --a=" + strings.Repeat("x", 60) + " \\\n      --b=" + strings.Repeat("y", 60)},
	} {
		if got := commandLine(test.args); got != test.want {
			t.Errorf("commandLine(%q):\n%s\nwant\n%s", test.args, got, test.want)
		}
	}
}
