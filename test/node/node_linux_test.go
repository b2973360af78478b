package node

import (
	"context"
	"errors"
	"testing"
)

// TestEndOfAComponent holds that whoever waits for a node learns which part of it has
// ended, and how.
func TestEndOfAComponent(t *testing.T) {
	n := newNode("", t.TempDir())
	if err := n.run("/bin/sh", "-c", "echo first words; echo last words; exit 7"); err != nil {
		t.Fatal(err)
	}
	err := n.Await(context.Background(), "what never comes", func(context.Context) error { return errors.New("not yet") })
	want := "sh ended unexpectedly (exit status 7); the end of its log:\n  first words\n  last words"
	if err == nil || err.Error() != want {
		t.Errorf("got error  %v\nwant       %s", err, want)
	}
}
