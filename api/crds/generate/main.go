// Command generate has the CustomResourceDefinitions of Issuer and ClusterIssuer serve
// cert-manager.io/v1alpha2 too, for manifests of that time. Run it in the directory of
// the definitions, once after controller-gen has written them.
package main

import (
	"bytes"
	"log"
	"os"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	for _, file := range []string{"cert-manager.io_issuers.yaml", "cert-manager.io_clusterissuers.yaml"} {
		if err := addVersion(file); err != nil {
			log.Fatal(err)
		}
	}
}

func addVersion(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(data, crd); err != nil {
		return err
	}
	text, err := yaml.Marshal([]apiextensionsv1.CustomResourceDefinitionVersion{old(crd.Spec.Names.Kind, crd.Spec.Versions[0])})
	if err != nil {
		return err
	}
	// The versions come last in the file, each two columns in.
	out := bytes.NewBuffer(data)
	for line := range strings.Lines(string(text)) {
		out.WriteString("  " + line)
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

// old is v1alpha2, made of v1. Nothing converts objects, so what it accepts must be
// valid as v1: it has the schema of v1, without the descriptions, which would make the
// definition too large for kubectl apply.
func old(kind string, v1 apiextensionsv1.CustomResourceDefinitionVersion) apiextensionsv1.CustomResourceDefinitionVersion {
	version := *v1.DeepCopy()
	warning := "cert-manager.io/v1alpha2 " + kind + " is deprecated; use cert-manager.io/v1 " + kind
	version.Name, version.Storage, version.Deprecated, version.DeprecationWarning = "v1alpha2", false, true, &warning
	schema := version.Schema.OpenAPIV3Schema
	bare(schema)
	solvers := schema.Properties["spec"].Properties["acme"].Properties["solvers"]
	providers := solvers.Items.Schema.Properties["dns01"].Properties
	for was, is := range map[string]string{"acmedns": "acmeDNS", "azuredns": "azureDNS", "clouddns": "cloudDNS"} {
		providers[was] = refused("is " + is + " in cert-manager.io/v1: write " + is + ", with apiVersion: cert-manager.io/v1")
	}
	return version
}

// refused is a field that has gone by another name since. Unknown fields would be
// dropped without a word to some clients.
func refused(message string) apiextensionsv1.JSONSchemaProps {
	unknown := true
	return apiextensionsv1.JSONSchemaProps{
		Type: "object", XPreserveUnknownFields: &unknown,
		XValidations: apiextensionsv1.ValidationRules{{Rule: "false", Message: message}},
	}
}

// bare removes the descriptions.
func bare(schema *apiextensionsv1.JSONSchemaProps) {
	schema.Description = ""
	for name, property := range schema.Properties {
		bare(&property)
		schema.Properties[name] = property
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		bare(schema.Items.Schema)
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
		bare(schema.AdditionalProperties.Schema)
	}
}
