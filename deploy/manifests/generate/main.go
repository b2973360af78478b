// Command generate writes what is generated of the Helm chart, and from it: run it in the
// root of a checkout, with the path of helm.
package main

import (
	"log"
	"os"

	"github.com/everleaf/everleaf/deploy/manifests"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: generate HELM")
	}
	copies, err := manifests.Copies(".")
	write(copies, err)
	rendered, err := manifests.Rendered(os.Args[1], ".")
	write(rendered, err)
}

func write(files map[string][]byte, err error) {
	if err != nil {
		log.Fatal(err)
	}
	for path, text := range files {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
