// Command generate writes the manifests of the admission policies into a
// directory.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/everleaf/everleaf/internal/admission"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(directory string) error {
	for file, manifest := range admission.Manifests() {
		if err := os.WriteFile(filepath.Join(directory, file), []byte(manifest), 0o644); err != nil {
			return err
		}
	}
	return nil
}
