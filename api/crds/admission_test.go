package crds

import (
	"context"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"
)

// admission does to objects of one kind what the API server does: it prunes,
// defaults and validates them.
type admission struct {
	structural *schema.Structural
	openAPI    validation.SchemaValidator
	rules      *cel.Validator
}

// admissions returns the admission of each kind, built once for all tests.
func admissions(t testing.TB) map[string]*admission {
	t.Helper()
	all := map[string]*admission{}
	for _, crd := range internalCRDs(t) {
		props := crd.Spec.Versions[0].Schema
		if props == nil {
			props = crd.Spec.Validation
		}
		structural, err := schema.NewStructural(props.OpenAPIV3Schema)
		if err != nil {
			t.Fatal(err)
		}
		openAPI, _, err := validation.NewSchemaValidator(props.OpenAPIV3Schema)
		if err != nil {
			t.Fatal(err)
		}
		all[crd.Spec.Names.Kind] = &admission{
			structural: structural,
			openAPI:    openAPI,
			rules:      cel.NewValidator(structural, true, celconfig.PerCallLimit),
		}
	}
	return all
}

// internalCRDs returns the CRDs as the API server sees them, defaulted.
func internalCRDs(t testing.TB) []*apiextensions.CustomResourceDefinition {
	t.Helper()
	all, err := definitions()
	if err != nil {
		t.Fatal(err)
	}
	internal := make([]*apiextensions.CustomResourceDefinition, len(all))
	for i, crd := range all {
		apiextensionsv1.SetDefaults_CustomResourceDefinition(crd)
		apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
		internal[i] = &apiextensions.CustomResourceDefinition{}
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(crd, internal[i], nil); err != nil {
			t.Fatal(err)
		}
	}
	return internal
}

// prepare returns the object as it is stored, and the fields that the schema
// does not know.
func (a *admission) prepare(object map[string]any) (map[string]any, []string) {
	unknown := pruning.PruneWithOptions(object, a.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	defaulting.PruneNonNullableNullsWithoutDefaults(object, a.structural)
	defaulting.Default(object, a.structural)
	return object, unknown
}

// create returns the errors of creating an object. It fails the test if the
// object has fields that the schema does not know.
func (a *admission) create(t *testing.T, object map[string]any) field.ErrorList {
	t.Helper()
	object, unknown := a.prepare(object)
	if len(unknown) > 0 {
		t.Errorf("unknown fields: %v", unknown)
	}
	return a.admit(t.Context(), object)
}

// admit returns the errors of creating an object that is prepared.
func (a *admission) admit(ctx context.Context, object map[string]any) field.ErrorList {
	errs := validation.ValidateCustomResource(nil, object, a.openAPI)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, a.structural, object)...)
	if len(errs) > 0 {
		return errs
	}
	errs, _ = a.rules.Validate(ctx, nil, a.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return errs
}

// update returns the errors of replacing an object that is stored by another.
func (a *admission) update(t *testing.T, stored, object map[string]any) field.ErrorList {
	t.Helper()
	stored, _ = a.prepare(stored)
	object, unknown := a.prepare(object)
	if len(unknown) > 0 {
		t.Errorf("unknown fields: %v", unknown)
	}
	correlated := common.NewCorrelatedObject(object, stored, &model.Structural{Structural: a.structural})
	errs := validation.ValidateCustomResourceUpdate(nil, object, stored, a.openAPI, validation.WithRatcheting(correlated))
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, a.structural, object)...)
	if len(errs) > 0 {
		return errs
	}
	errs, _ = a.rules.Validate(t.Context(), nil, a.structural, object, stored, celconfig.RuntimeCELCostBudget, cel.WithRatcheting(correlated))
	return errs
}

// TestAccepted asks the API server's own validation whether it takes the CRDs.
// That includes the estimated cost of the CEL rules.
func TestAccepted(t *testing.T) {
	for _, crd := range internalCRDs(t) {
		t.Run(crd.Name, func(t *testing.T) {
			crd.Status.StoredVersions = []string{"v1"}
			for _, err := range crdvalidation.ValidateCustomResourceDefinition(t.Context(), crd) {
				t.Error(err)
			}
		})
	}
}
