// Package docs checks the documentation against the product: links are valid,
// manifests are accepted, and quoted texts are the product's.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../../docs"

// pages returns the text of each page by its path below docs.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		all[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var (
	links    = regexp.MustCompile(`\]\(([^)]+)\)`)
	headings = regexp.MustCompile(`(?m)^#+ (.*)$`)
	dropped  = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// anchors returns the anchors that GitHub generates for a page's headings.
func anchors(page string) map[string]bool {
	all := map[string]bool{}
	for _, h := range headings.FindAllStringSubmatch(page, -1) {
		all[strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")] = true
	}
	return all
}

func TestLinks(t *testing.T) {
	all := pages(t)
	for name, page := range all {
		for _, l := range links.FindAllStringSubmatch(page, -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(l[1], "#")
			target := name
			if path != "" {
				target = filepath.Join(filepath.Dir(name), path)
			}
			text, ok := all[target]
			if !ok {
				t.Errorf("%s links to %s, which is no page", name, l[1])
			} else if anchor != "" && !anchors(text)[anchor] {
				t.Errorf("%s links to %s: there is no such heading", name, l[1])
			}
		}
	}
}

func TestIndexHasAllPages(t *testing.T) {
	all := pages(t)
	listed := map[string]bool{"README.md": true}
	for _, l := range links.FindAllStringSubmatch(all["README.md"], -1) {
		listed[l[1]] = true
	}
	for name := range all {
		if !listed[name] && filepath.Dir(name) != "designs" {
			t.Errorf("docs/README.md does not list %s", name)
		}
	}
}
