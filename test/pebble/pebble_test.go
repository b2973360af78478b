package pebble

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/everleaf/everleaf/test/child"
)

func TestStartStop(t *testing.T) {
	s := Start(t, Options{Env: []string{"PEBBLE_VA_NOSLEEP=1"}, Strict: true})
	for range 2 {
		if root, err := s.Root(t.Context(), 0); err != nil || !strings.Contains(string(root), "BEGIN CERTIFICATE") {
			t.Fatalf("Root(0) = %q, %v", root, err)
		}
	}
	dir := s.tempDir
	s.Stop()
	s.Stop()
	select {
	case <-s.Done():
	default:
		t.Error("Done is open after Stop")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary directory is still there: %v", err)
	}
	if !strings.Contains(s.Output(), "Listening on") {
		t.Errorf("Output() = %q", s.Output())
	}
}

func TestRunEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Run(ctx, Options{})
	if errors.Is(err, ErrNoBinary) {
		child.Missing(t, "%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	cancel()
	<-s.Done()
}

func TestRunErrors(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "pebble")
	if _, err := Run(t.Context(), Options{Binary: absent}); !errors.Is(err, ErrNoBinary) {
		t.Errorf("without a binary: %v", err)
	}
	s := Start(t, Options{})
	taken := strings.TrimSuffix(strings.TrimPrefix(s.DirectoryURL, "https://"), "/dir")
	_, err := Run(t.Context(), Options{Listen: taken})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("on a port that is taken: %v", err)
	}
}
