package facts

import "testing"

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
