package main

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadSource(t *testing.T) {
	dir := newStandIn(t, standIn)
	commit := gitOf(t, dir, "rev-parse", "HEAD")
	committed, err := time.Parse(time.RFC3339, commitTime)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name  string
		do    func()
		dirty bool
	}{
		{"clean", func() {}, false},
		{"a tag changes nothing", func() { gitOf(t, dir, "tag", "v9.9.9") }, false},
		{"a new file", func() { put(t, dir, "internal/cli/more.go", "package cli\n") }, true},
		{"staged", func() { gitOf(t, dir, "add", ".") }, true},
		{"a changed file", func() {
			gitOf(t, dir, "rm", "-q", "--cached", "-f", "internal/cli/more.go")
			gitOf(t, dir, "clean", "-fdq")
			put(t, dir, "go.mod", "module github.com/everleaf/everleaf\n\ngo 1.26.1\n")
		}, true},
	} {
		step.do()
		got, err := readSource(t.Context(), dir)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		want := source{dir: dir, version: "v1.2.3", commit: commit, committed: committed.UTC(), dirty: step.dirty}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(source{})); diff != "" {
			t.Errorf("%s: -want +got:\n%s", step.name, diff)
		}
		if suffixed := strings.HasSuffix(got.revision(), "-dirty"); suffixed != step.dirty {
			t.Errorf("%s: revision %s", step.name, got.revision())
		}
	}
}

func TestReadSourceRefuses(t *testing.T) {
	chart := func(content string) string {
		files := maps.Clone(standIn)
		files[chartFile] = content
		return newStandIn(t, files)
	}
	without := maps.Clone(standIn)
	delete(without, chartFile)
	outside := t.TempDir()
	put(t, outside, chartFile, standIn[chartFile])
	noChart := newStandIn(t, without)
	for name, test := range map[string]struct{ dir, want string }{
		"no chart":      {noChart, filepath.Join(noChart, chartFile) + " does not exist: the version of an image is the chart's"},
		"no YAML":       {chart("a: ["), chartFile + ": "},
		"two versions":  {chart("version: v1.2.3\nappVersion: v1.2.4\n"), chartFile + `: version is "v1.2.3" and appVersion "v1.2.4"`},
		"no version":    {chart("name: a\n"), chartFile + `: version "" is not like v1.2.3`},
		"no v":          {chart("version: 1.2.3\nappVersion: 1.2.3\n"), chartFile + `: version "1.2.3" is not like v1.2.3`},
		"build":         {chart("version: v1.2.3+a\nappVersion: v1.2.3+a\n"), chartFile + `: version "v1.2.3+a" is not like v1.2.3`},
		"no repository": {outside, "git log in " + outside + ", which tells the commit that the image is built from: exit status 128: fatal: not a git repository"},
	} {
		_, err := readSource(t.Context(), test.dir)
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		}
	}
}
