package crds

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// ruleCase is an object to create, or to store in place of another, and what
// the API server says to that.
type ruleCase struct {
	// stored is the object that is replaced, if any.
	stored string
	object string
	// want are the errors: path, message. None means that it is admitted.
	want []string
}

// TestRules has a case that breaks each rule of each kind, and cases that keep
// it.
func TestRules(t *testing.T) {
	kinds := admissions(t)
	broken := map[string]bool{}
	for name, test := range ruleCases() {
		t.Run(name, func(t *testing.T) {
			object := parse(t, test.object)
			kind := object["kind"].(string)
			var got []string
			if test.stored == "" {
				got = describe(kinds[kind].create(t, object))
			} else {
				got = describe(kinds[kind].update(t, parse(t, test.stored), object))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
			for _, err := range got {
				field, message, _ := strings.Cut(err, ": ")
				broken[kind+" "+index.ReplaceAllString(field, "[]")+": "+message] = true
			}
		})
	}
	if t.Failed() {
		return
	}
	for _, key := range rules(t) {
		if !broken[key] {
			t.Errorf("no case breaks the rule %s", key)
		}
	}
}

var index = regexp.MustCompile(`\[\d+\]`)

// rules lists the errors that the rules of the CRDs give: kind, path, message.
// Those whose message is computed are left out.
func rules(t *testing.T) []string {
	t.Helper()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, crd := range all {
		root := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
		walk("", root, false, func(path string, schema *apiextensionsv1.JSONSchemaProps, _ bool) {
			for _, rule := range schema.XValidations {
				field := strings.TrimPrefix(path+rule.FieldPath, ".")
				if field == "" {
					field = "<nil>"
				}
				if rule.MessageExpression == "" {
					keys = append(keys, fmt.Sprintf("%s %s: %s", crd.Spec.Names.Kind, field, rule.Message))
				}
			}
		})
	}
	return keys
}

// ruleCases gathers the cases of all kinds.
func ruleCases() map[string]ruleCase {
	all := map[string]ruleCase{}
	add := func(kind string, cases map[string]ruleCase) {
		for name, c := range cases {
			all[kind+"/"+name] = c
		}
	}
	add("Certificate", certificateCases())
	add("Certificate status", certificateStatusCases())
	add("CertificateRequest", requestCases())
	add("CertificateRequest approval", approvalCases())
	add("Order", orderCases())
	add("Challenge", challengeCases())
	for _, kind := range []string{"Issuer", "ClusterIssuer"} {
		add(kind, issuerCases(func(spec string) string {
			return fmt.Sprintf(`{apiVersion: cert-manager.io/v1, kind: %s, metadata: {name: a}, spec: {%s}}`, kind, spec)
		}))
		add(kind+" solver", solverCases("spec.acme.solvers[0]", func(solver string) string {
			return fmt.Sprintf(`{apiVersion: cert-manager.io/v1, kind: %s, metadata: {name: a},
				spec: {acme: {server: "https://a", privateKeySecretRef: {name: a}, solvers: [%s]}}}`, kind, solver)
		}))
	}
	add("Challenge solver", solverCases("spec.solver", challenge))
	return all
}
