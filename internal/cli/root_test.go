package cli

import (
	"strings"
	"testing"
)

// TestUnknownFlag: an unknown flag comes with those that may have been meant.
func TestUnknownFlag(t *testing.T) {
	for args, want := range map[string]string{
		"controller --leader-election-namspace=a": "everleaf: unknown flag: --leader-election-namspace; did you mean --leader-election-namespace?\n",
		"webhook --healthz-prot=1":                "everleaf: unknown flag: --healthz-prot; did you mean --healthz-port?\n",
		"controller --nothing-like-it":            "everleaf: unknown flag: --nothing-like-it; everleaf controller --help lists the flags\n",
		"explain -Z":                              "everleaf: unknown shorthand flag: 'Z' in -Z; everleaf explain --help lists the flags\n",
	} {
		var out, err strings.Builder
		if status := Main(t.Context(), strings.Fields(args), &out, &err); status != 1 || err.String() != want {
			t.Errorf("%s: exit %d\ngot  %swant %s", args, status, &err, want)
		}
	}
}
