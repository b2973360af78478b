package survey

import (
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What is in package catalog is what lego has: after an update of lego, run
// `go run ./internal/generate` in plugins/lego.
func TestCatalogIsCurrent(t *testing.T) {
	all := survey(t)
	refused, err := os.ReadFile("../refused.txt")
	if err != nil {
		t.Fatal(err)
	}
	files, err := Files(all, strings.Fields(string(refused)))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		want, err := format.Source([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("../../catalog", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("internal/catalog/%s is not current: run `go run ./internal/generate` in plugins/lego", name)
		}
	}
}

func survey(t *testing.T) []Provider {
	t.Helper()
	// The module as it comes, and not the copy of internal/patch.
	t.Setenv("GOFLAGS", "")
	dir, err := Lego()
	if err != nil {
		t.Fatal(err)
	}
	all, err := Providers(dir)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestProviders(t *testing.T) {
	all := survey(t)
	for _, c := range []struct {
		name, code, variable string
		remembers            bool
	}{
		{"dnsupdate", "rfc2136", "RFC2136_TSIG_SECRET", false},
		{"httpreq", "httpreq", "HTTPREQ_ENDPOINT", false},
		{"digitalocean", "digitalocean", "DO_AUTH_TOKEN", true},
		{"cloudflare", "cloudflare", "CLOUDFLARE_DNS_API_TOKEN", true},
		{"cloudflare", "cloudflare", "CF_DNS_API_TOKEN", true},
		{"ovh", "ovh", "OVH_APPLICATION_KEY", true},
	} {
		at := slices.IndexFunc(all, func(p Provider) bool { return p.Package == c.name })
		if at < 0 {
			t.Errorf("no provider %s", c.name)
			continue
		}
		p := all[at]
		if !slices.Contains(p.Codes, c.code) || !slices.Contains(p.Variables, c.variable) || p.Remembers != c.remembers {
			t.Errorf("%+v", p)
		}
	}
	for _, p := range all {
		if len(p.Variables) == 0 || p.Package == "exec" || p.Package == "manual" {
			t.Errorf("%+v", p)
		}
	}
}

// Every provider takes the record from the context that it is called with.
func TestEveryProviderPassesItsContextOn(t *testing.T) {
	t.Setenv("GOFLAGS", "")
	dir, err := Lego()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	err = filepath.WalkDir(filepath.Join(dir, "providers/dns"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, after := range strings.Split(string(text), "GetChallengeInfo(")[1:] {
			found++
			if !strings.HasPrefix(after, "ctx") {
				t.Errorf("%s asks for the record with another context", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 400 {
		t.Errorf("only %d calls found", found)
	}
}

// The documentation says which providers are not in the usual build, and how many are.
func TestDocumentation(t *testing.T) {
	raw, err := os.ReadFile("../../../../../docs/dns01/lego.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	text, err := os.ReadFile("../refused.txt")
	if err != nil {
		t.Fatal(err)
	}
	refused := strings.Fields(string(text))
	for _, name := range refused {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("the page does not say that %s is not in the usual build", name)
		}
	}
	for _, count := range []string{
		fmt.Sprintf("%d providers need Go modules", len(refused)),
		fmt.Sprintf("The other %d are in", len(survey(t))-len(refused)),
	} {
		if !strings.Contains(page, count) {
			t.Errorf("the page does not say %q", count)
		}
	}
}
