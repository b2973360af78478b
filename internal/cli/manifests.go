package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"
)

// manifests are files with objects, as kubectl's flags name them.
type manifests struct {
	files     []string
	kustomize string
	recursive bool
}

func (m *manifests) addFlags(flags *pflag.FlagSet) {
	flags.StringSliceVarP(&m.files, "filename", "f", nil, "file, directory or URL with the objects; - is standard input")
	flags.StringVarP(&m.kustomize, "kustomize", "k", "", "directory with a kustomization, in place of -f")
	flags.BoolVarP(&m.recursive, "recursive", "R", false, "read directories of -f with those below them")
}

// read returns the objects, and whether they were in one list. Lists are taken apart.
// No cluster is asked.
func (m *manifests) read() (objects []*unstructured.Unstructured, list bool, err error) {
	options := &resource.FilenameOptions{Filenames: m.files, Kustomize: m.kustomize, Recursive: m.recursive}
	if len(m.files) == 0 && m.kustomize == "" {
		return nil, false, errors.New("must specify one of -f and -k")
	}
	if len(m.files) > 0 && m.kustomize != "" {
		return nil, false, errors.New("only one of -f and -k can be specified")
	}
	whole, err := resource.NewLocalBuilder().Unstructured().Local().ContinueOnError().FilenameParam(false, options).Do().Infos()
	if err != nil {
		return nil, false, err
	}
	for _, info := range whole {
		object, ok := info.Object.(*unstructured.Unstructured)
		if !ok {
			collection, ok := info.Object.(*unstructured.UnstructuredList)
			if !ok {
				return nil, false, fmt.Errorf("%s: is no object", info.Source)
			}
			list = true
			for i := range collection.Items {
				objects = append(objects, &collection.Items[i])
			}
			continue
		}
		objects = append(objects, object)
	}
	return objects, list || len(objects) > 1, nil
}
