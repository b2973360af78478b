// Package installed tells from the CRDs of a cluster which release is installed, and which
// versions of the API its objects are stored in. It decides; the caller reads and writes.
package installed

import (
	"errors"
	"maps"
	"regexp"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// CRDs are the names of the CRDs of the API.
var CRDs = []string{
	"certificaterequests.cert-manager.io", "certificates.cert-manager.io", "challenges.acme.cert-manager.io",
	"clusterissuers.cert-manager.io", "issuers.cert-manager.io", "orders.acme.cert-manager.io",
}

// The errors of Version, in the words of cert-manager's tool.
var (
	ErrNoCRDs     = errors.New("the cert-manager CRDs are not yet installed on the Kubernetes API server")
	ErrUndetected = errors.New("could not detect the cert-manager version")
	ErrSeveral    = errors.New("detect multiple different cert-manager versions")
)

// chartVersion is the version at the end of a chart's label, such as cert-manager-v1.21.0.
var chartVersion = regexp.MustCompile(`-(v\d+\.\d+\.\d+.*)$`)

// Version is the release that CRDs say they belong to. A CRD without labels says nothing.
func Version(crds []apiextensionsv1.CustomResourceDefinition) (string, error) {
	if len(crds) == 0 {
		return "", ErrNoCRDs
	}
	found := map[string]bool{}
	for i := range crds {
		if version := versionOf(crds[i].Labels); version != "" {
			found[version] = true
		}
	}
	switch versions := slices.Sorted(maps.Keys(found)); len(versions) {
	case 0:
		return "", ErrUndetected
	case 1:
		return versions[0], nil
	default:
		return "", ErrSeveral
	}
}

func versionOf(labels map[string]string) string {
	if version := labels["app.kubernetes.io/version"]; version != "" {
		return version
	}
	for _, label := range []string{"helm.sh/chart", "chart"} {
		if found := chartVersion.FindStringSubmatch(labels[label]); found != nil {
			return found[1]
		}
	}
	return ""
}
