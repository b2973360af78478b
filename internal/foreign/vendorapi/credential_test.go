package vendorapi

import (
	"strings"
	"testing"
)

func TestUnprintable(t *testing.T) {
	for credential, want := range map[string]string{
		"":                         "",
		"dop_v1_0123456789 ~":      "",
		"token\n":                  "newline",
		"token\r\n":                "newline",
		"\xe7\x9f\x01":             "printable",
		"tok\u00e9n":               "printable",
		"a\tb":                     "printable",
		"\x7f":                     "printable",
		"first line\nsecond \xff!": "newline",
	} {
		got := Unprintable(credential)
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", credential, got, want)
		}
	}
}
