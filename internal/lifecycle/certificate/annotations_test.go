package certificate

import (
	"encoding/csv"
	"strings"
	"testing"
)

// A record is what a reader of CSV reads back, whether it was quoted or not.
func TestCSVRecord(t *testing.T) {
	tests := []struct {
		values []string
		want   string
	}{
		{nil, ""},
		{[]string{"a.example.com", "*.b.example.com"}, "a.example.com,*.b.example.com"},
		{[]string{"Doe, John", "b"}, `"Doe, John",b`},
		{[]string{`a"b`}, `"a""b"`},
		{[]string{" a", "b c"}, `" a",b c`},
		{[]string{"a\nb"}, "\"a\nb\""},
		{[]string{"\u00a0a", "é"}, "\"\u00a0a\",é"},
		{[]string{`\.`}, `"\."`},
		{[]string{"a", ""}, "a,"},
	}
	for _, test := range tests {
		got := csvRecord(test.values)
		if got != test.want {
			t.Errorf("%q: got %q, want %q", test.values, got, test.want)
		}
		if read, err := csv.NewReader(strings.NewReader(got)).Read(); len(test.values) > 0 && (err != nil || strings.Join(read, "|") != strings.Join(test.values, "|")) {
			t.Errorf("%q: read back as %q (%v)", test.values, read, err)
		}
	}
}
