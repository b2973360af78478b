// Package validationtest has the objects to which the rules for objects are held,
// with what is said to each: by package validation, which the webhook asks, and
// by the policies of package admission.
package validationtest

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// Case is an object to create, or to write in place of another, and the answer.
// Objects are YAML, without a name.
type Case struct {
	// Stored is the object that is replaced, if any. Its status is stored too.
	Stored string
	// Object is what is created or written. If only its status differs from
	// Stored, the status is written.
	Object string
	// Refusal is the text of all errors. "" means that the object is accepted.
	Refusal string
	// Warnings are those of the object. The policies have the first kind only: see
	// Advice.
	Warnings []string
	// Beyond is set if the policies answer otherwise, because of what CEL cannot
	// do.
	Beyond *Beyond
}

// Beyond is what the policies say to an object where CEL comes to its end.
type Beyond struct {
	// Limit is why.
	Limit Limit
	// Refusal is in place of that of the Case.
	Refusal string
}

// Limit is something that the policies cannot check, as docs/admission.md lists
// it.
type Limit string

// What the policies cannot check.
const (
	Requests  Limit = "The CSR in `spec.request`: that it can be decoded, that it is signed by its own key, and that its usages and basic constraints are those of the spec. The policies see whether there is a PEM block."
	Subjects  Limit = "`spec.literalSubject`: its syntax, its attribute types and the common name in it."
	Schedules Limit = "`spec.renewal.windows`: cron expressions and time zones."
	Bundles   Limit = "`caBundle`: that a certificate in it can be decoded. The policies see whether there is a PEM block of a certificate."
	Addresses Limit = "Email addresses, IP addresses, name servers and URLs in every detail. The policies take some that are wrong."
	Numbers   Limit = "Object identifiers with numbers above 9223372036854775807."
	Sizes     Limit = "The size of all annotations in `spec.secretTemplate`, or in a template of an HTTP-01 solver, together."
	Long      Limit = "Lists beyond their first 500 entries."
	Shown     Limit = "The whole text of a refusal: a value is cut after 97 characters, and ten errors are shown at most, without the number of the others."
	Warned    Limit = "The deprecated `keyAlgorithm`, about which the webhook warns."
)

// Limits are all of them, in the order of the documentation.
func Limits() []Limit {
	return []Limit{Requests, Subjects, Schedules, Bundles, Addresses, Numbers, Sizes, Long, Shown, Warned}
}

// Cases returns the cases of all kinds, by name.
func Cases() map[string]Case {
	all := map[string]Case{}
	add := func(kind string, cases map[string]Case) {
		for name, c := range cases {
			all[kind+"/"+name] = c
		}
	}
	add("Certificate", certificateCases())
	add("Certificate renewal", renewalCases())
	add("Certificate output", outputCases())
	add("Certificate keys", keyCases())
	add("CertificateRequest", requestCases())
	add("CertificateRequest CSR", csrCases())
	add("CertificateRequest approval", approvalCases())
	add("Order", orderCases())
	add("Challenge", challengeCases())
	for _, kind := range []string{"Issuer", "ClusterIssuer"} {
		add(kind, issuerCases(func(spec string) string {
			return fmt.Sprintf(`{apiVersion: cert-manager.io/v1, kind: %s, metadata: {}, spec: {%s}}`, kind, spec)
		}))
	}
	add("solver", solverCases())
	add("template", templateCases())
	add("DNS-01", dns01Cases())
	return all
}

// WithStatus adds a status to an object.
func WithStatus(object, fields string) string {
	return strings.TrimSuffix(object, "}") + `, status: {` + fields + `}}`
}

// Encoded is the base64 of a text.
func Encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// Repeated returns n texts, of a format that has the index.
func Repeated(n int, format string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return all
}

// list returns a text for the refusal with these errors.
func list(errs ...string) string {
	if len(errs) == 1 {
		return errs[0]
	}
	return "[" + strings.Join(errs, ", ") + "]"
}
