package dnsname

import (
	"strings"
	"testing"
	"unicode"

	mdns "github.com/miekg/dns"
)

func TestParent(t *testing.T) {
	for name, want := range map[string]string{
		"a.b.": "b.", "b.": ".", ".": ".", "": ".", `x\.y.z.`: "z.", `x\\.z.`: "z.", `x\046y.z.`: "z.",
	} {
		if got := Parent(name); got != want {
			t.Errorf("Parent(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestWithin(t *testing.T) {
	for _, test := range []struct {
		name, zone string
		want       bool
	}{
		{"example.com.", "example.com.", true},
		{"a.b.example.com.", "example.com.", true},
		{"notexample.com.", "example.com.", false},
		{"com.", "example.com.", false},
		{"example.com.", ".", false},
		{".", ".", true},
	} {
		if got := Within(test.name, test.zone); got != test.want {
			t.Errorf("Within(%q, %q) = %t", test.name, test.zone, got)
		}
	}
}

func TestChallenge(t *testing.T) {
	if got, want := Challenge("www.example.com"), "_acme-challenge.www.example.com."; got != want {
		t.Errorf("Challenge = %q, want %q", got, want)
	}
	for fqdn, want := range map[string]string{
		"_ACME-challenge.Example.com": "example.com", "_acme-challenge.a.b.": "a.b", "x.example.com.": "x.example.com",
	} {
		if got := Identifier(fqdn); got != want {
			t.Errorf("Identifier(%q) = %q, want %q", fqdn, got, want)
		}
	}
}

// FuzzCanonical compares with the DNS library, which puts names into messages.
// It skips names outside ASCII: the library miscounts the backslashes that
// follow a letter of several bytes.
func FuzzCanonical(f *testing.F) {
	for _, name := range []string{"", ".", "A.b", "a.B.", `a\.`, `a\\.`} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII }) {
			return
		}
		if got, want := Canonical(name), mdns.CanonicalName(name); got != want {
			t.Errorf("Canonical(%q) = %q, want %q", name, got, want)
		}
		if _, ok := mdns.IsDomainName(name); !ok || name == "" {
			return
		}
		name = Canonical(name)
		want := "."
		if next, end := mdns.NextLabel(name, 0); !end && next < len(name) {
			want = name[next:]
		}
		if got := Parent(name); got != want {
			t.Errorf("Parent(%q) = %q, want %q", name, got, want)
		}
	})
}
