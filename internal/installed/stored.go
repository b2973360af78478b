package installed

import (
	"fmt"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// StoredVersion is the version in which objects have to be stored.
const StoredVersion = "v1"

// NeedsMigration reports whether the objects of a CRD may be stored in another version
// than v1. It fails if the API server would not store them in v1.
func NeedsMigration(crd *apiextensionsv1.CustomResourceDefinition) (bool, error) {
	stored := slices.IndexFunc(crd.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Storage })
	if stored < 0 || crd.Spec.Versions[stored].Name != StoredVersion {
		return false, fmt.Errorf("the CustomResourceDefinition %s does not store objects as %s: install the CRDs of a release since 1.4 first", crd.Name, StoredVersion)
	}
	return !slices.Equal(crd.Status.StoredVersions, []string{StoredVersion}), nil
}
