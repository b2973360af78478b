package facts

import "testing"

func TestCopied(t *testing.T) {
	defaults := []string{"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/"}
	for _, test := range []struct {
		prefixes []string
		key      string
		want     bool
	}{
		{defaults, "example.com/a", true},
		{defaults, "kubectl.kubernetes.io/last-applied-configuration", false},
		{nil, "example.com/a", false},
		{[]string{"example.com/"}, "example.com/a", true},
		{[]string{"example.com/"}, "example.org/a", false},
		{[]string{"-example.com/", "example.com/a"}, "example.com/a", true},
	} {
		if got := Copied(test.prefixes, test.key); got != test.want {
			t.Errorf("%v, %s: %t", test.prefixes, test.key, got)
		}
	}
}
