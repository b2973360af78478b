package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAuthorityIsKeptUntilItsLastYear(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	first, err := loadAuthority(dir, "ca", now)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		at   time.Time
		kept bool
	}{
		{"at once", now, true},
		{"nearly nine years later", now.Add(authorityLife - authorityRenew - time.Hour), true},
		{"nine years later", now.Add(authorityLife - authorityRenew), false},
	} {
		again, err := loadAuthority(dir, "ca", test.at)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if kept := again.cert.Equal(first.cert); kept != test.kept {
			t.Errorf("%s: kept is %v, want %v", test.name, kept, test.kept)
		}
	}
}

func TestAuthorityWithAnotherKeyIsAnError(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if _, err := loadAuthority(dir, name, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(dir, "b.key"), filepath.Join(dir, "a.key")); err != nil {
		t.Fatal(err)
	}
	_, err := loadAuthority(dir, "a", time.Now())
	if err == nil || !strings.Contains(err.Error(), "a.key does not belong to it") {
		t.Errorf("got %v", err)
	}
}
