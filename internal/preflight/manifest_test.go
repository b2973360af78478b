package preflight

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const file = `# comment
---
apiVersion: v1
kind: Secret
metadata: {name: one, namespace: a}
data: {key: dmFsdWU=}
stringData: {text: "it"}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: first, namespace: team}
spec: {acme: {server: "https://ca.example", privateKeySecretRef: {name: k}, solvers: [{dns01: {rfc2136: {nameserver: 192.0.2.1}}}]}}
---
apiVersion: v1
kind: List
items:
- apiVersion: cert-manager.io/v1
  kind: ClusterIssuer
  metadata: {name: first}
  spec: {selfSigned: {}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: x}}
- {apiVersion: v1, kind: Secret, metadata: {name: two}, stringData: {key: other}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: x}
unknown: 1
`

func TestManifest(t *testing.T) {
	m, err := ReadManifest(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("EVERLEAF_TEST_SECRET", "from the environment")
	for _, text := range []string{"two/key=" + path, "three/a=env:EVERLEAF_TEST_SECRET"} {
		if err := m.AddSecret(text); err != nil {
			t.Error(err)
		}
	}
	want := map[string]map[string][]byte{
		"one": {"key": []byte("value"), "text": []byte("it")}, "two": {"key": []byte("from a file")}, "three": {"a": []byte("from the environment")},
	}
	if diff := cmp.Diff(want, m.secrets); diff != "" {
		t.Errorf("Secrets: -want +got:\n%s", diff)
	}
	if data, err := m.Read(t.Context(), "any", "four"); data != nil || err != nil {
		t.Errorf("a Secret that is not there: %v, %v", data, err)
	}
	for _, test := range []struct{ kind, name, want string }{
		{"Issuer", "first", `Issuer "team/first"`},
		{"Issuer", "", `Issuer "team/first"`},
		{"ClusterIssuer", "first", `ClusterIssuer "first"`},
		{"", "", "it has several issuers, ClusterIssuer first, Issuer first: select one with --issuer or --cluster-issuer"},
		{"Issuer", "second", "it has no such issuer, but ClusterIssuer first, Issuer first"},
	} {
		got := ""
		if found, err := m.Find(test.kind, test.name); err != nil {
			got = err.Error()
		} else {
			got = Name(found)
		}
		if got != test.want {
			t.Errorf("%s %q: %s, want %s", test.kind, test.name, got, test.want)
		}
	}
}

func TestManifestErrors(t *testing.T) {
	const secret = "bm90IHNvIHNlY3JldCE"
	for content, want := range map[string]string{
		"a: b: c": "document 1: ",
		"kind: X\n---\napiVersion: cert-manager.io/v1\nkind: Issuer\nspec: {acme: {solvers: [{dns01: {rfc2136: {nameservr: x}}}]}}": `document 2: unknown field "nameservr"`,
		"apiVersion: v1\nkind: Secret\ndata: {key: \"" + secret + "\"}":                                                             "document 1: the Secret cannot be read: data takes base64, stringData takes the text itself",
		"apiVersion: v1\nkind: List\nitems: [{kind: X}, {apiVersion: cert-manager.io/v1, kind: Issuer, spec: {acmee: {}}}]":         `document 1: item 2: unknown field "acmee"`,
		strings.Repeat("#", maxManifest+1): "it is larger than 4 MiB",
	} {
		_, err := ReadManifest(strings.NewReader(content))
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%.60q: %v, want %s", content, err, want)
		}
	}
	m, err := ReadManifest(strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Find("", ""); err == nil || err.Error() != "it has no Issuer and no ClusterIssuer" {
		t.Errorf("an empty file: %v", err)
	}
	for text, want := range map[string]string{
		"a=b":                           `"a" is not name/key=FILE or name/key=env:VARIABLE`,
		"a/b":                           `"a/b" is not name/key=FILE or name/key=env:VARIABLE`,
		"a/=x":                          `"a/" is not name/key=FILE or name/key=env:VARIABLE`,
		"a/b=":                          `"a/b" is not name/key=FILE or name/key=env:VARIABLE`,
		"a/b=env:EVERLEAF_TEST_MISSING": "a/b: the environment variable EVERLEAF_TEST_MISSING is not set",
		"a/b=/no/such/file":             "a/b: open /no/such/file: no such file or directory",
	} {
		if err := m.AddSecret(text); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// FuzzReadManifest holds that no file ends the program.
func FuzzReadManifest(f *testing.F) {
	f.Add([]byte(file))
	f.Fuzz(func(t *testing.T, content []byte) {
		if m, err := ReadManifest(strings.NewReader(string(content))); err == nil {
			_, _ = m.Find("", "")
		}
	})
}
