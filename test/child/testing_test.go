package child

import (
	"cmp"
	"fmt"
	"testing"
)

// ended records how a test ends. Unlike that of a test, its end is no end of the
// goroutine, and only the first one counts.
type ended struct {
	testing.TB
	how string
}

func (e *ended) Helper() {}

func (e *ended) Fatalf(format string, args ...any) {
	e.how = cmp.Or(e.how, "failed: "+fmt.Sprintf(format, args...))
}

func (e *ended) Skipf(format string, args ...any) {
	e.how = cmp.Or(e.how, "skipped: "+fmt.Sprintf(format, args...))
}

// TestMissing holds that nothing is skipped where $CI is set.
func TestMissing(t *testing.T) {
	for ci, want := range map[string]string{
		"":     "skipped: needs Pebble",
		"true": "failed: missing, although $CI is set: needs Pebble",
	} {
		t.Setenv("CI", ci)
		e := &ended{TB: t}
		if Missing(e, "needs %s", "Pebble"); e.how != want {
			t.Errorf("CI=%q: %q, want %q", ci, e.how, want)
		}
	}
}
