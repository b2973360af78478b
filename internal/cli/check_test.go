package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/preflight"
)

// TestCheckKinds holds that a check that does not exist is an error.
func TestCheckKinds(t *testing.T) {
	for args, want := range map[string]string{
		"":                         "check what? The kinds are: api, dns01",
		"http01":                   `there is no check "http01"; the kinds are: api, dns01`,
		"nonsense --domain=a -n b": `there is no check "nonsense"; the kinds are: api, dns01`,
	} {
		var out, errs strings.Builder
		status := Main(t.Context(), append([]string{"check"}, strings.Fields(args)...), &out, &errs)
		if status != 1 || errs.String() != "everleaf: "+want+"\n" || out.Len() > 0 {
			t.Errorf("%q: exit status %d\n%s%s", args, status, errs.String(), out.String())
		}
	}
}

// TestCheckUnreadIssuer holds that there is a report also if the issuer cannot be read.
func TestCheckUnreadIssuer(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	var out, errs strings.Builder
	status := Main(t.Context(), []string{"check", "dns01", "--cluster-issuer=a", "--domain=example.com", "-o", "json", "--from-file=" + missing}, &out, &errs)
	got := preflight.Report{}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil || status != 1 {
		t.Fatalf("exit status %d, %v\n%s", status, err, out.String())
	}
	message := "--from-file: open " + missing + ": no such file or directory"
	want := preflight.Report{Issuer: `ClusterIssuer "a"`, Domain: "example.com", Steps: []preflight.Step{{Name: preflight.StepIssuer, State: preflight.Failed, Message: message}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if want := "everleaf: " + message + "\n"; errs.String() != want {
		t.Errorf("got %q, want %q", errs.String(), want)
	}
}

// TestCheckDNS01Refuses has wrong flags and files. Nothing is asked.
func TestCheckDNS01Refuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const issuer = "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: NAME}\nspec: {selfSigned: {}}\n---\n"
	one := write("one.yaml", strings.Replace(issuer, "NAME", "one", 1))
	two := write("two.yaml", strings.Replace(issuer, "NAME", "one", 1)+strings.Replace(issuer, "NAME", "two", 1))
	missing := filepath.Join(dir, "missing")
	for _, test := range []struct{ args, want string }{
		{"--issuer=a", "--domain: which domain?"},
		{"--domain=example.com", "which issuer? Set --issuer, --cluster-issuer or --from-file"},
		{"--domain=example.com --issuer=a --cluster-issuer=b", "--issuer and --cluster-issuer cannot be used together"},
		{"--domain=example.com --issuer=a -o yaml", `--output: must be text or json, not "yaml"`},
		{"--domain=example.com --issuer=a --secret=a/b=c", "--secret is for --from-file: with a cluster, Secrets are read from there"},
		{"--domain=example.com --issuer=a --timeout=0s", "--timeout: must be greater than 0, not 0s"},
		{"--domain=example.com --issuer=a --dns01-recursive-nameservers=https://1.1.1.1", `--dns01-recursive-nameservers: name server "https://1.1.1.1" has no path: `},
		{"--domain=example.com --issuer=a --kubeconfig=" + missing, "find the cluster: stat " + missing},
		{"--domain=example.com --from-file=" + missing, "--from-file: open " + missing},
		{"--domain=example.com --from-file=" + two, "--from-file: " + two + ": it has several issuers, Issuer one, Issuer two: select one with --issuer or --cluster-issuer"},
		{"--domain=example.com --cluster-issuer=one --from-file=" + one, "--from-file: " + one + ": it has no such issuer, but Issuer one"},
		{"--domain=example.com --secret=x --from-file=" + one, `--secret: "x" is not name/key=FILE or name/key=env:VARIABLE`},
		{"--domain=example.com --from-file=" + one, `Issuer "one" cannot validate "example.com" by DNS-01: the step "issuer" failed.`},
		{"more", `unknown command "more"`},
	} {
		var out, errs strings.Builder
		status := Main(t.Context(), append([]string{"check", "dns01"}, strings.Fields(test.args)...), &out, &errs)
		if want := "everleaf: " + test.want; status != 1 || !strings.HasPrefix(errs.String(), want) {
			t.Errorf("%s: exit status %d\ngot  %s\nwant %s", test.args, status, errs.String(), want)
		}
	}
}
