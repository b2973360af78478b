// Package crds holds the CustomResourceDefinitions of the API. The YAML files
// beside it are generated from the types; run go generate ./api/... after a
// change to them.
package crds

import "embed"

//go:generate go tool -modfile=../../tools/generate/go.mod controller-gen object crd paths=../... output:crd:dir=.
//go:generate go run ./generate

// Files holds one CustomResourceDefinition in each *.yaml file.
//
//go:embed *.yaml
var Files embed.FS
