// Package crds holds the CustomResourceDefinitions of the API. The YAML files
// beside it are generated from the types; run go generate ./api/... after a
// change to them.
package crds

import (
	"embed"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

//go:generate go tool -modfile=../../tools/generate/go.mod controller-gen object crd paths=../... output:crd:dir=.

// Files holds one CustomResourceDefinition in each *.yaml file.
//
//go:embed *.yaml
var Files embed.FS

// All returns the CustomResourceDefinitions in the order of their names. The
// caller may change them. An error means that the program was built wrongly.
func All() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	entries, err := Files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	all := make([]*apiextensionsv1.CustomResourceDefinition, 0, len(entries))
	for _, entry := range entries {
		data, err := Files.ReadFile(entry.Name())
		if err != nil {
			return nil, err
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(data, crd); err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
		all = append(all, crd)
	}
	return all, nil
}
