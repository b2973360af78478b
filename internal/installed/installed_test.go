package installed

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestVersion(t *testing.T) {
	labelled := func(labels map[string]string) apiextensionsv1.CustomResourceDefinition {
		return apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Labels: labels}}
	}
	app := func(v string) map[string]string { return map[string]string{"app.kubernetes.io/version": v} }
	type crds = []apiextensionsv1.CustomResourceDefinition
	for name, test := range map[string]struct {
		crds crds
		want string
		err  error
	}{
		"none":                      {nil, "", ErrNoCRDs},
		"no labels":                 {crds{labelled(nil)}, "", ErrUndetected},
		"the label of the version":  {crds{labelled(app("v1.21.0")), labelled(app("v1.21.0")), labelled(nil)}, "v1.21.0", nil},
		"the label of the chart":    {crds{labelled(map[string]string{"helm.sh/chart": "cert-manager-v1.20.1-beta.0"})}, "v1.20.1-beta.0", nil},
		"an old label":              {crds{labelled(map[string]string{"chart": "cert-manager-v0.14.0"})}, "v0.14.0", nil},
		"a chart without a version": {crds{labelled(map[string]string{"helm.sh/chart": "cert-manager"})}, "", ErrUndetected},
		"two":                       {crds{labelled(app("v1.21.0")), labelled(app("v1.20.0"))}, "", ErrSeveral},
	} {
		got, err := Version(test.crds)
		if got != test.want || err != test.err {
			t.Errorf("%s: %q, %v; want %q, %v", name, got, err, test.want, test.err)
		}
	}
}

func TestNeedsMigration(t *testing.T) {
	crd := func(storage string, stored ...string) *apiextensionsv1.CustomResourceDefinition {
		c := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "issuers.cert-manager.io"}}
		c.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1alpha2"}, {Name: storage, Storage: true}}
		c.Status.StoredVersions = stored
		return c
	}
	type answer struct {
		Needed bool
		Err    string
	}
	for name, test := range map[string]struct {
		crd  *apiextensionsv1.CustomResourceDefinition
		want answer
	}{
		"stored as v1":           {crd("v1", "v1"), answer{}},
		"stored in both":         {crd("v1", "v1alpha2", "v1"), answer{Needed: true}},
		"stored as another":      {crd("v1", "v1alpha2"), answer{Needed: true}},
		"v1 does not store them": {crd("v1beta1", "v1beta1"), answer{Err: "the CustomResourceDefinition issuers.cert-manager.io does not store objects as v1: install the CRDs of a release since 1.4 first"}},
	} {
		needed, err := NeedsMigration(test.crd)
		got := answer{Needed: needed}
		if err != nil {
			got.Err = err.Error()
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}
