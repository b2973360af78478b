// Command generate writes the list of lego's DNS providers in internal/catalog: their
// packages, and the environment variables that they read. It runs in plugins/lego.
//
//	go run ./internal/generate
//	go run ./internal/generate -refused   (also finds out which do not build here)
package main

import (
	"flag"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/everleaf/everleaf/plugins/lego/internal/generate/survey"
)

const (
	catalog     = "internal/catalog"
	refusedFile = "internal/generate/refused.txt"
)

func main() {
	try := flag.Bool("refused", false, "find out which providers need modules that the module proxy does not have")
	flag.Parse()
	if err := run(*try); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(try bool) error {
	dir, err := survey.Lego()
	if err != nil {
		return err
	}
	all, err := survey.Providers(dir)
	if err != nil {
		return err
	}
	if try {
		if err := findRefused(all); err != nil {
			return err
		}
	}
	refused, err := os.ReadFile(refusedFile)
	if err != nil {
		return err
	}
	files, err := survey.Files(all, strings.Fields(string(refused)))
	if err != nil {
		return err
	}
	for name, text := range files {
		content, err := format.Source([]byte(text))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(catalog, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// findRefused writes refused.txt: the providers whose packages cannot be loaded, since
// the module proxy in use does not have a module.
func findRefused(all []survey.Provider) error {
	args := []string{"list", "-e", "-mod=mod", "-f", "{{if .Incomplete}}{{.ImportPath}}{{end}}"}
	for _, p := range all {
		args = append(args, survey.Path+"/"+p.Package)
	}
	out, err := survey.Go(args...)
	if err != nil {
		return err
	}
	var names []string
	for line := range strings.Lines(out) {
		if name := strings.TrimSpace(strings.TrimPrefix(line, survey.Path+"/")); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return os.WriteFile(refusedFile, []byte(strings.Join(names, "\n")+"\n"), 0o644)
}
