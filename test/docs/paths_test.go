package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// repository is the root of the module.
const repository = "../.."

// Paths in the text and in commands. What follows another path, as in a URL, is
// none.
var named = regexp.MustCompile("(?:^|[\\s`(=])((?:api|cmd|deploy|docs|examples|internal|test|tools)/[\\w./*-]*[\\w*])")

// Single names in backticks, and links that leave docs.
var (
	quoted  = regexp.MustCompile("`(api|cmd|deploy|docs|examples|internal|test|tools|Makefile)`")
	targets = regexp.MustCompile(`\]\(([^)#]+)(?:#([^)]+))?\)`)
)

// texts returns the pages of docs and the README, by their path in the module.
func texts(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, text := range pages(t) {
		all[filepath.Join("docs", name)] = text
	}
	readme, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	all["README.md"] = string(readme)
	return all
}

// TestPaths checks that the files and directories that the pages name exist.
func TestPaths(t *testing.T) {
	count := 0
	for page, text := range texts(t) {
		for _, pattern := range []*regexp.Regexp{named, quoted} {
			for _, path := range pattern.FindAllStringSubmatch(text, -1) {
				count++
				found, err := filepath.Glob(filepath.Join(repository, path[1]))
				if err != nil {
					t.Fatal(err)
				}
				if len(found) == 0 {
					t.Errorf("%s names %s, which does not exist", page, path[1])
				}
			}
		}
	}
	if count < 30 {
		t.Errorf("only %d paths found", count)
	}
}

// TestReadmeLinks checks the links of the README; TestLinks has those of docs.
func TestReadmeLinks(t *testing.T) {
	all := texts(t)
	for _, link := range targets.FindAllStringSubmatch(all["README.md"], -1) {
		path, anchor := link[1], link[2]
		if strings.Contains(path, "://") {
			continue
		}
		if _, err := os.Stat(filepath.Join(repository, path)); err != nil {
			t.Errorf("README.md links to %s: %v", path, err)
		}
		if anchor != "" && !anchors(all[path])[anchor] {
			t.Errorf("README.md links to %s#%s: there is no such heading", path, anchor)
		}
	}
	for _, link := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(all["README.md"], -1) {
		if !anchors(all["README.md"])[link[1]] {
			t.Errorf("README.md links to #%s: there is no such heading", link[1])
		}
	}
}
