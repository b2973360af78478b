package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The files of a repository that builds quickly and has what is needed of everleaf's.
var standIn = map[string]string{
	"go.mod": "module github.com/everleaf/everleaf\n\ngo 1.26.0\n",
	"cmd/everleaf/main.go": `package main

import "github.com/everleaf/everleaf/internal/cli"

func main() { cli.Main() }
`,
	"internal/cli/root.go": `package cli

var release, commit string

func Main() { println(release, commit) }
`,
	chartFile: "apiVersion: v2\nname: cert-manager\nversion: v1.2.3\nappVersion: v1.2.3\n",
}

// commitTime is when the commit of a stand-in was made.
const commitTime = "2026-11-26T20:14:05Z"

// newStandIn makes a repository with one commit in a new directory.
func newStandIn(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		put(t, dir, name, content)
	}
	gitOf(t, dir, "init", "-q")
	gitOf(t, dir, "add", ".")
	gitOf(t, dir, "commit", "-q", "-m", "everything")
	return dir
}

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// gitOf runs Git in a repository, with the same author and time everywhere.
func gitOf(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
		"GIT_AUTHOR_DATE="+commitTime, "GIT_COMMITTER_DATE="+commitTime)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}
