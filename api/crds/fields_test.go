package crds

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// fieldTable lists every field of cert-manager's CRDs: kind, path, type,
// whether it is required, constraints.
//
//go:embed testdata/crd-fields.tsv
var fieldTable string

// TestFields holds the CRDs against the table of fields, in both directions:
// they have cert-manager's schema, and no rule, limit or default beyond it. What
// else objects must be, admission policies say (package internal/admission).
func TestFields(t *testing.T) {
	want := map[string]string{}
	for line := range strings.Lines(fieldTable) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if cells[0] == "kind" {
			continue
		}
		want[cells[0]+" "+cells[1]] = strings.Join(cells[2:], "\t")
	}
	got := map[string]string{}
	all, err := definitions()
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range all {
		kind := crd.Spec.Names.Kind
		root := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
		walk("", root, false, func(path string, schema *apiextensionsv1.JSONSchemaProps, required bool) {
			if path != "" {
				got[kind+" "+path] = row(t, schema, required)
			} else if rules := constraints(t, schema); len(rules) > 0 {
				t.Errorf("%s: the schema of the whole object has constraints: %v", kind, rules)
			}
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-table +CRDs):\n%s", diff)
	}
}

// walk visits a schema and all below it.
func walk(path string, schema *apiextensionsv1.JSONSchemaProps, required bool, visit func(string, *apiextensionsv1.JSONSchemaProps, bool)) {
	visit(path, schema, required)
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[name]
		walk(path+"."+name, &property, slices.Contains(schema.Required, name), visit)
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		walk(path+"[]", schema.Items.Schema, false, visit)
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
		walk(path+"{}", schema.AdditionalProperties.Schema, false, visit)
	}
}

// row renders a field as the table does, without its kind and path.
func row(t *testing.T, schema *apiextensionsv1.JSONSchemaProps, required bool) string {
	t.Helper()
	kind := schema.Type
	if schema.XIntOrString {
		kind = "int-or-string"
	}
	if schema.XPreserveUnknownFields != nil && *schema.XPreserveUnknownFields {
		kind += " preserve-unknown"
	}
	must := ""
	if required {
		must = "required"
	}
	return strings.Join([]string{kind, must, strings.Join(constraints(t, schema), "; ")}, "\t")
}

// constraints renders what limits the values of a field.
func constraints(t *testing.T, schema *apiextensionsv1.JSONSchemaProps) []string {
	t.Helper()
	var all []string
	add := func(name string, value any) { all = append(all, fmt.Sprintf("%s=%v", name, value)) }
	if len(schema.Enum) > 0 {
		values := make([]string, len(schema.Enum))
		for i, raw := range schema.Enum {
			values[i] = "'" + text(t, raw) + "'"
		}
		add("enum", "["+strings.Join(values, ", ")+"]")
	}
	if schema.Default != nil {
		add("default", text(t, *schema.Default))
	}
	if schema.Pattern != "" {
		add("pattern", schema.Pattern)
	}
	if schema.Format != "" {
		add("format", schema.Format)
	}
	for _, bound := range []struct {
		name  string
		value *int64
	}{
		{"minLength", schema.MinLength},
		{"maxLength", schema.MaxLength},
		{"minItems", schema.MinItems},
		{"maxItems", schema.MaxItems},
		{"minProperties", schema.MinProperties},
		{"maxProperties", schema.MaxProperties},
	} {
		if bound.value != nil {
			add(bound.name, *bound.value)
		}
	}
	for _, bound := range []struct {
		name  string
		value *float64
	}{
		{"minimum", schema.Minimum},
		{"maximum", schema.Maximum},
		{"multipleOf", schema.MultipleOf},
	} {
		if bound.value != nil {
			add(bound.name, *bound.value)
		}
	}
	if schema.Nullable {
		add("nullable", true)
	}
	if schema.XListType != nil {
		add("x-kubernetes-list-type", *schema.XListType)
	}
	if len(schema.XListMapKeys) > 0 {
		add("x-kubernetes-list-map-keys", "['"+strings.Join(schema.XListMapKeys, "', '")+"']")
	}
	if schema.XMapType != nil {
		add("x-kubernetes-map-type", *schema.XMapType)
	}
	for _, rule := range schema.XValidations {
		add("cel", rule.Rule)
	}
	// What the table has no column for, no field of cert-manager has.
	rest := *schema
	rest.Description, rest.Type, rest.Format, rest.Pattern, rest.Nullable = "", "", "", "", false
	rest.Enum, rest.Default, rest.XValidations = nil, nil, nil
	rest.MinLength, rest.MaxLength, rest.MinItems, rest.MaxItems = nil, nil, nil, nil
	rest.MinProperties, rest.MaxProperties, rest.Minimum, rest.Maximum, rest.MultipleOf = nil, nil, nil, nil, nil
	rest.Properties, rest.Required, rest.Items, rest.AdditionalProperties = nil, nil, nil, nil
	rest.XIntOrString, rest.XPreserveUnknownFields = false, nil
	rest.XListType, rest.XListMapKeys, rest.XMapType = nil, nil, nil
	if diff := cmp.Diff(apiextensionsv1.JSONSchemaProps{}, rest); diff != "" {
		add("other", diff)
	}
	return all
}

// text is a JSON string without its quotes, or another JSON value as it is.
func text(t *testing.T, raw apiextensionsv1.JSON) string {
	t.Helper()
	var value any
	if err := json.Unmarshal(raw.Raw, &value); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(value)
}
