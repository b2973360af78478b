package process

import (
	"os/exec"
	"testing"
)

type nopCloser struct{}

func (nopCloser) Write(p []byte) (int, error) { return len(p), nil }

func (nopCloser) Close() error { return nil }

// stopped returns a command that has run.
func stopped(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func ids(p *Pool) map[int]bool {
	found := map[int]bool{}
	for id := range p.workers {
		found[int(id[0])] = true
	}
	return found
}
