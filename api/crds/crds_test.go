package crds

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// definition is what a CRD says apart from its schema.
type definition struct {
	Group, Plural, Singular, ListKind string
	Scope                             apiextensionsv1.ResourceScope
	ShortNames, Categories, Required  []string
	Columns                           []column
	SelectableFields                  []string
}

type column struct {
	Name, Type, JSONPath string
	Priority             int32
}

func condition(conditionType, field string) string {
	return `.status.conditions[?(@.type == "` + conditionType + `")].` + field
}

func TestDefinitions(t *testing.T) {
	var (
		age        = column{"Age", "date", ".metadata.creationTimestamp", 0}
		ready      = column{"Ready", "string", condition("Ready", "status"), 0}
		status     = column{"Status", "string", condition("Ready", "message"), 1}
		state      = column{"State", "string", ".status.state", 0}
		issuerRefs = []string{".spec.issuerRef.group", ".spec.issuerRef.kind", ".spec.issuerRef.name"}
		ours       = []string{"cert-manager"}
		acme       = []string{"cert-manager", "cert-manager-acme"}
	)
	want := map[string]definition{
		"Certificate": {
			Group: "cert-manager.io", Plural: "certificates", Singular: "certificate", ListKind: "CertificateList",
			Scope: apiextensionsv1.NamespaceScoped, ShortNames: []string{"cert", "certs"}, Categories: ours,
			Columns: []column{
				ready,
				{"Secret", "string", ".spec.secretName", 0},
				{"Issuer", "string", ".spec.issuerRef.name", 1},
				status,
				// A date column would show a time to come as <invalid>.
				{"Expiration", "string", ".status.notAfter", 1},
				age,
			},
			SelectableFields: issuerRefs,
		},
		"CertificateRequest": {
			Group: "cert-manager.io", Plural: "certificaterequests", Singular: "certificaterequest", ListKind: "CertificateRequestList",
			Scope: apiextensionsv1.NamespaceScoped, ShortNames: []string{"cr", "crs"}, Categories: ours,
			Columns: []column{
				{"Approved", "string", condition("Approved", "status"), 0},
				{"Denied", "string", condition("Denied", "status"), 0},
				ready,
				{"Issuer", "string", ".spec.issuerRef.name", 0},
				{"Requester", "string", ".spec.username", 0},
				status,
				age,
			},
			SelectableFields: issuerRefs,
		},
		"Issuer": {
			Group: "cert-manager.io", Plural: "issuers", Singular: "issuer", ListKind: "IssuerList",
			Scope: apiextensionsv1.NamespaceScoped, ShortNames: []string{"iss"}, Categories: ours,
			Required: []string{"spec"}, Columns: []column{ready, status, age},
		},
		"ClusterIssuer": {
			Group: "cert-manager.io", Plural: "clusterissuers", Singular: "clusterissuer", ListKind: "ClusterIssuerList",
			Scope: apiextensionsv1.ClusterScoped, ShortNames: []string{"ciss"}, Categories: ours,
			Required: []string{"spec"}, Columns: []column{ready, status, age},
		},
		"Order": {
			Group: "acme.cert-manager.io", Plural: "orders", Singular: "order", ListKind: "OrderList",
			Scope: apiextensionsv1.NamespaceScoped, Categories: acme, Required: []string{"metadata", "spec"},
			Columns: []column{
				state,
				{"Issuer", "string", ".spec.issuerRef.name", 1},
				{"Reason", "string", ".status.reason", 1},
				age,
			},
			SelectableFields: issuerRefs,
		},
		"Challenge": {
			Group: "acme.cert-manager.io", Plural: "challenges", Singular: "challenge", ListKind: "ChallengeList",
			Scope: apiextensionsv1.NamespaceScoped, Categories: acme, Required: []string{"metadata", "spec"},
			Columns: []column{
				state,
				{"Domain", "string", ".spec.dnsName", 0},
				{"Reason", "string", ".status.reason", 1},
				age,
			},
			SelectableFields: issuerRefs,
		},
	}
	all, err := definitions()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]definition{}
	for _, crd := range all {
		got[crd.Spec.Names.Kind] = define(t, crd)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("definitions (-want +got):\n%s", diff)
	}
}

// define collects what a CRD says, and holds what all have in common.
func define(t *testing.T, crd *apiextensionsv1.CustomResourceDefinition) definition {
	t.Helper()
	names := crd.Spec.Names
	if want := names.Plural + "." + crd.Spec.Group; crd.Name != want {
		t.Errorf("name %s, want %s", crd.Name, want)
	}
	versions := 1
	if names.Kind == "Issuer" || names.Kind == "ClusterIssuer" {
		versions = 2
	}
	if crd.Spec.Conversion != nil || len(crd.Spec.Versions) != versions {
		t.Fatalf("%s: want %d versions without conversion", crd.Name, versions)
	}
	version := crd.Spec.Versions[0]
	if version.Name != "v1" || !version.Served || !version.Storage {
		t.Errorf("%s: want v1, served and stored", crd.Name)
	}
	if version.Subresources == nil || version.Subresources.Status == nil || version.Subresources.Scale != nil {
		t.Errorf("%s: want the subresource status and no other", crd.Name)
	}
	d := definition{
		Group: crd.Spec.Group, Plural: names.Plural, Singular: names.Singular, ListKind: names.ListKind,
		Scope: crd.Spec.Scope, ShortNames: names.ShortNames, Categories: names.Categories,
		Required: version.Schema.OpenAPIV3Schema.Required,
	}
	for _, c := range version.AdditionalPrinterColumns {
		d.Columns = append(d.Columns, column{c.Name, c.Type, c.JSONPath, c.Priority})
	}
	for _, f := range version.SelectableFields {
		d.SelectableFields = append(d.SelectableFields, f.JSONPath)
	}
	return d
}

// lastApplied is how large the annotation may be in which kubectl apply keeps a
// manifest, in bytes.
const lastApplied = 256 << 10

// TestOldVersion holds that what is written as v1alpha2 is valid as v1, since nothing
// converts it, and that names of then are refused.
func TestOldVersion(t *testing.T) {
	all, err := definitions()
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range all {
		if len(crd.Spec.Versions) == 1 {
			continue
		}
		kind, v1, old := crd.Spec.Names.Kind, crd.Spec.Versions[0], crd.Spec.Versions[1]
		if old.Name != "v1alpha2" || !old.Served || old.Storage || !old.Deprecated || *old.DeprecationWarning != "cert-manager.io/v1alpha2 "+kind+" is deprecated; use cert-manager.io/v1 "+kind {
			t.Errorf("%s: %s, served %t, stored %t, deprecated %t", kind, old.Name, old.Served, old.Storage, old.Deprecated)
		}
		if diff := cmp.Diff(v1.AdditionalPrinterColumns, old.AdditionalPrinterColumns); diff != "" || old.Subresources == nil || old.Subresources.Status == nil {
			t.Errorf("%s: columns (-v1 +v1alpha2):\n%s", kind, diff)
		}
		rows := func(version apiextensionsv1.CustomResourceDefinitionVersion) map[string]string {
			found := map[string]string{}
			walk("", version.Schema.OpenAPIV3Schema, false, func(path string, schema *apiextensionsv1.JSONSchemaProps, required bool) {
				found[path] = row(t, schema, required)
			})
			return found
		}
		want, got := rows(v1), rows(old)
		for _, name := range []string{"acmedns", "azuredns", "clouddns"} {
			path := ".spec.acme.solvers[].dns01." + name
			if got[path] != "object preserve-unknown\t\tcel=false" {
				t.Errorf("%s: %s is %q", kind, path, got[path])
			}
			want[path] = got[path]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: fields (-v1 +v1alpha2):\n%s", kind, diff)
		}
		if data, err := json.Marshal(crd); err != nil || len(data) > lastApplied*3/4 {
			t.Errorf("%s: %d bytes leave too little for labels and kubectl apply (%v)", kind, len(data), err)
		}
	}
}
