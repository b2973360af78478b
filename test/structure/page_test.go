package structure

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// page describes the structure to maintainers.
const page = "../../docs/designs/2026-11-26-one-driver.md"

var picture = regexp.MustCompile("(?s)<!-- begin layers -->\n```\n(.*?)```\n<!-- end layers -->")

// TestPageShowsTheLayers checks that the picture on the page has the layers that
// hold, the highest first.
func TestPageShowsTheLayers(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	found := picture.FindStringSubmatch(string(text))
	if found == nil {
		t.Fatalf("%s has no picture of the layers", page)
	}
	var shown [][]string
	for line := range strings.Lines(found[1]) {
		line, _, _ = strings.Cut(strings.TrimPrefix(line, "↓"), "#")
		shown = append(shown, strings.Fields(line))
	}
	slices.Reverse(shown)
	if diff := cmp.Diff(layers, shown); diff != "" {
		t.Errorf("the picture on %s differs, -layers +page:\n%s", page, diff)
	}
}
