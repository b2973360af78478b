package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/cli"
	"github.com/everleaf/everleaf/internal/preflight"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/unbound"
)

// checkIssuers are issuers for the zone check.test. The ACME server does not exist:
// a check asks it for nothing.
const checkIssuers = `
apiVersion: cert-manager.io/v1
kind: KIND
metadata: {name: NAME}
spec:
  acme:
    server: https://127.0.0.1:1/directory
    privateKeySecretRef: {name: account}
    solvers:
    - selector: {dnsZones: [check.test]}
      dns01: {RFC2136}
`

var (
	times  = regexp.MustCompile(`(?m)^(\S+) +[0-9.]+s  `)
	random = regexp.MustCompile(`[A-Za-z0-9_-]{43}`)
)

// runEverleaf runs a command in this process, and returns what it prints with times and
// random values replaced.
func runEverleaf(t *testing.T, args ...string) (out, errs string, status int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = cli.Main(t.Context(), args, &stdout, &stderr)
	text := times.ReplaceAllString(stdout.String(), "$1 TIME  ")
	return random.ReplaceAllString(text, "VALUE"), stderr.String(), status
}

// TestCheckDNS01 checks issuers of a cluster and of files, with a primary and a
// secondary BIND that follows a moment later.
func TestCheckDNS01(t *testing.T) {
	t.Parallel()
	const primary, secondary, resolver = "127.53.73.1:53", "127.53.73.2:53", "127.53.73.9:53"
	key, unknown := named.TSIGKey(t, "check-key", "hmac-sha256"), named.TSIGKey(t, "other-key", "hmac-sha256")
	named.Start(t, named.Options{Listen: []string{primary}, Keys: []named.Key{key}, Zones: []named.Zone{{
		Name: "check.test", AllowUpdate: `key "check-key";`,
		Text: named.ZoneText("check.test", 1, []string{"ns1", "ns2"}, "ns1 A 127.53.73.1", "ns2 A 127.53.73.2", `_acme-challenge.www 60 TXT "keep"`),
	}}})
	named.Start(t, named.Options{Listen: []string{secondary}, Zones: []named.Zone{{
		Name: "check.test", Primaries: []string{primary}, Config: "min-refresh-time 1; max-refresh-time 2;",
	}}})
	unbound.Start(t, unbound.Options{Listen: resolver, Stubs: map[string][]string{"check.test": {primary}}})
	harness.WantTXT(t, secondary, "_acme-challenge.www.check.test", 1, issuable)

	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	manifest := func(kind, name, server string, key named.Key) string {
		return strings.NewReplacer("KIND", kind, "NAME", name, "RFC2136", harness.RFC2136(server, key)).Replace(checkIssuers)
	}
	clusterIssuer := "check-" + ns
	cluster.Key(t, ns, key)
	cluster.Secret(t, "cert-manager", key.Name, key.Name, key.Secret)
	cluster.Secret(t, ns, unknown.Name, unknown.Name, unknown.Secret)
	missing := key
	missing.Name = "missing-key"
	cluster.Apply(t, ns, manifest("Issuer", "good", primary, key)+"---"+manifest("Issuer", "wrong-key", primary, unknown)+
		"---"+manifest("Issuer", "no-secret", primary, missing)+"---"+manifest("ClusterIssuer", clusterIssuer, primary, key))

	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	issuerFile := write("issuer.yaml", manifest("Issuer", "good", primary, key))
	bothFile := write("both.yaml", manifest("ClusterIssuer", "good", primary, key)+fmt.Sprintf("---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData: {%[1]s: %q}\n", key.Name, key.Secret))
	secretFile := write("secret", key.Secret+"\n")
	t.Logf("issuer file:\n%s", manifest("Issuer", "good", primary, key))

	inCluster := []string{"check", "dns01", "--kubeconfig=" + cluster.KubeconfigPath(), "-n", ns, "--cluster-resource-namespace=cert-manager", "--dns01-recursive-nameservers=" + resolver}
	fromFile := []string{"check", "dns01", "--dns01-recursive-nameservers=" + resolver, "--kubeconfig=/no/such/file"}
	steps := func(issuer, secrets string) string {
		return `Checking DNS-01 for www.check.test with ` + issuer + `

ok TIME  issuer        ` + issuer + ` of the ACME server https://127.0.0.1:1/directory, which is not asked
ok TIME  solver        spec.acme.solvers[0]: rfc2136, which writes to the name server 127.53.73.1
ok TIME  secrets       ` + secrets + ` has check-key
ok TIME  zone          _acme-challenge.www.check.test. is in the zone check.test.
ok TIME  write         wrote TXT "VALUE" at _acme-challenge.www.check.test.
`
	}
	const seen = `ok TIME  name servers  every name server has it
                                ns1.check.test. (127.53.73.1:53) has it
                                ns2.check.test. (127.53.73.2:53) has it
ok TIME  resolvers     every resolver has it
                                127.53.73.9:53 has it
ok TIME  delete        deleted it
ok TIME  gone          no name server has it; 1 other value at the name: kept

`
	for _, test := range []struct {
		name string
		args []string
		env  string
		// begin and end are those of the output.
		begin, end, errs string
	}{
		{
			"Issuer", append(slices.Clone(inCluster), "--issuer=good"), "", steps(`Issuer "`+ns+`/good"`, ns+"/check-key"),
			seen + `Issuer "` + ns + `/good" can validate "www.check.test" by DNS-01.` + "\n", "",
		},
		{
			"ClusterIssuer", append(slices.Clone(inCluster), "--cluster-issuer="+clusterIssuer), "", steps(`ClusterIssuer "`+clusterIssuer+`"`, "cert-manager/check-key"),
			seen + `ClusterIssuer "` + clusterIssuer + `" can validate "www.check.test" by DNS-01.` + "\n", "",
		},
		{
			"file with a Secret", append(slices.Clone(fromFile), "--from-file="+bothFile), "", steps(`ClusterIssuer "good"`, "kube-system/check-key"),
			seen + `ClusterIssuer "good" can validate "www.check.test" by DNS-01.` + "\n", "",
		},
		{
			"file, Secret from a file", append(slices.Clone(fromFile), "--from-file="+issuerFile, "--secret=check-key/check-key="+secretFile), "", "",
			seen + `Issuer "good" can validate "www.check.test" by DNS-01.` + "\n", "",
		},
		{
			"file, Secret from the environment", append(slices.Clone(fromFile), "--from-file="+issuerFile, "--secret=check-key/check-key=env:EVERLEAF_CHECK"), key.Secret, "",
			seen + `Issuer "good" can validate "www.check.test" by DNS-01.` + "\n", "",
		},
		{
			"file without the Secret", append(slices.Clone(fromFile), "--from-file="+issuerFile), "", "",
			"FAILED TIME  secrets       the secret default/check-key does not exist; put the Secret into the file, or give its entries by --secret name/key=FILE\n\n", `everleaf: Issuer "good" cannot validate "www.check.test" by DNS-01: the step "secrets" failed.` + "\n",
		},
		{
			"no such Issuer", append(slices.Clone(inCluster), "--issuer=nobody"), "", "", "",
			`everleaf: there is no Issuer "nobody" in namespace "` + ns + `"; -n selects another namespace, --cluster-issuer a ClusterIssuer` + "\n",
		},
		{"no such ClusterIssuer", append(slices.Clone(inCluster), "--cluster-issuer=nobody"), "", "", "", `everleaf: there is no ClusterIssuer "nobody"` + "\n"},
		{
			"no solver", append(slices.Clone(inCluster), "--issuer=good", "--domain=www.example.com"), "", "",
			`FAILED TIME  solver        none of the solvers of Issuer "` + ns + `/good" matches "www.example.com": see their selectors (dnsNames, dnsZones, matchLabels)` + "\n\n",
			`everleaf: Issuer "` + ns + `/good" cannot validate "www.example.com" by DNS-01: the step "solver" failed.` + "\n",
		},
		{"wrong key", append(slices.Clone(inCluster), "--issuer=wrong-key"), "", "", "", `everleaf: Issuer "` + ns + `/wrong-key" cannot validate "www.check.test" by DNS-01: the step "zone" failed.` + "\n"},
		{
			"no Secret", append(slices.Clone(inCluster), "--issuer=no-secret"), "", "",
			"FAILED TIME  secrets       the secret " + ns + "/missing-key does not exist\n\n", `everleaf: Issuer "` + ns + `/no-secret" cannot validate "www.check.test" by DNS-01: the step "secrets" failed.` + "\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := test.args
			if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--domain=") }) {
				args = append(args, "--domain=www.check.test")
			}
			if test.env != "" {
				if err := os.Setenv("EVERLEAF_CHECK", test.env); err != nil {
					t.Fatal(err)
				}
			}
			out, errs, status := runEverleaf(t, args...)
			t.Logf("output:\n%s%s", out, errs)
			if !strings.HasPrefix(out, test.begin) || !strings.HasSuffix(out, test.end) {
				t.Errorf("want output\n%s ... %s", test.begin, test.end)
			}
			if diff := cmp.Diff(test.errs, errs); diff != "" || (status == 0) != (test.errs == "") {
				t.Errorf("exit status %d, -want +got:\n%s", status, diff)
			}
			for _, server := range []string{primary, secondary} {
				harness.WantTXT(t, server, "_acme-challenge.www.check.test", 1, time.Second)
			}
		})
	}
	var stdout bytes.Buffer
	if status := cli.Main(t.Context(), append(slices.Clone(inCluster), "--issuer=good", "--domain=*.www.check.test", "-o", "json"), &stdout, os.Stderr); status != 0 {
		t.Errorf("exit status %d", status)
	}
	report := preflight.Report{}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil || !report.OK || report.Target != "_acme-challenge.www.check.test." || report.Zone != "check.test." || len(report.Steps) != 9 {
		t.Errorf("%v, %+v", err, report)
	}
}
