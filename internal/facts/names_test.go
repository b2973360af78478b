package facts

import (
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestCutName(t *testing.T) {
	for _, test := range []struct {
		name string
		most int
		want string
	}{
		{"abc", 3, "abc"},
		{"abc", 4, "abc"},
		{"abcd", 3, "abc"},
		{"a.bcd", 2, "a"},
		{"a-bcd", 2, "a"},
		{"a.--bcd", 4, "a"},
		{"a-", 2, "a-"},
	} {
		if got := CutName(test.name, test.most); got != test.want {
			t.Errorf("%q to %d: %q, want %q", test.name, test.most, got, test.want)
		}
	}
}

// TestSubdomainOf has names of kinds whose names may be anything.
func TestSubdomainOf(t *testing.T) {
	for name, want := range map[string]string{
		"web-1": "web-1", "a.b-c.d": "a.b-c.d", "Alice": "alice", "node:csr-1": "node-csr-1", "a b": "a-b",
		"-a-.-b-": "a.b", "..": "x", "": "x", "ÄÖ": "x", "a..b": "a.b", "system:node:N_1": "system-node-n-1",
	} {
		got := SubdomainOf(name)
		if got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
		if errs := validation.IsDNS1123Subdomain(got); len(errs) > 0 {
			t.Errorf("%q: %q is no subdomain: %v", name, got, errs)
		}
	}
}
