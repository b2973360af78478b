// Command generate writes the manifests of the admission policies into a
// directory.
package main

import (
	"log"
	"os"
	"path/filepath"

	"github.com/everleaf/everleaf/internal/admission"
)

func main() {
	for file, manifest := range admission.Manifests() {
		if err := os.WriteFile(filepath.Join(os.Args[1], file), []byte(manifest), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
