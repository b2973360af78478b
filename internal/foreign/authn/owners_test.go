package authn

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// TestOwners has values kept, replaced, forgotten, and made by what is still under way.
func TestOwners(t *testing.T) {
	now := time.Date(2026, 11, 27, 6, 0, 0, 0, time.UTC)
	var ended []string
	o := Owners[string, string]{Now: func() time.Time { return now }, End: func(v string) { ended = append(ended, v) }}
	is := func(want string) func(string) bool { return func(v string) bool { return v == want } }
	keep := func(step string, exists bool, value, want string) {
		t.Helper()
		got, err := o.Keep("a", exists, is(value), func() (string, error) { return value, nil })
		if got != value || err != nil {
			t.Errorf("%s: got %q, error %v", step, got, err)
		}
		if kept, _ := o.Of("a", func(string) bool { return true }); kept != want {
			t.Errorf("%s: %q is kept, want %q", step, kept, want)
		}
	}
	keep("made by a request", false, "1", "1")
	keep("the same", true, "1", "1")
	keep("another one", false, "2", "2")
	if _, ok := o.Of("a", is("1")); ok {
		t.Error("found what does not fit")
	}
	if _, err := o.Keep("a", true, is("3"), func() (string, error) { return "", errors.New("no") }); err == nil {
		t.Error("no error")
	}
	keep("after an error", false, "2", "2")
	o.Forget("a")
	keep("made after its owner was forgotten", false, "4", "")
	keep("the owner is there", true, "5", "5")
	keep("made by a request again", false, "6", "6")
	o.Forget("a")
	o.Forget("never seen")
	if want := []string{"1", "2", "5", "6"}; !slices.Equal(ended, want) {
		t.Errorf("ended %q, want %q", ended, want)
	}
	now = now.Add(UnderWay)
	o.Forget("b")
	if n := len(o.forgotten); n != 1 {
		t.Errorf("%d owners are remembered as forgotten", n)
	}
	keep("long after", false, "7", "7")
}
