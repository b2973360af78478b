package admission

import (
	"encoding/base64"
	"strings"
)

// CEL that several rules share.
const (
	// goDuration matches what Go's time.ParseDuration takes: a sign, and numbers
	// with units, none of them far beyond the 292 years that a duration holds. Of
	// what is still too large, the evaluation fails, and the write with it.
	goDuration = `'^[-+]?(0|(` +
		`(0*[0-9]{1,7}([.][0-9]*)?|[.][0-9]+)h|` +
		`(0*[0-9]{1,9}([.][0-9]*)?|[.][0-9]+)m|` +
		`(0*[0-9]{1,10}([.][0-9]*)?|[.][0-9]+)s|` +
		`(0*[0-9]{1,19}([.][0-9]*)?|[.][0-9]+)(ns|us|µs|μs|ms))+)$'`
	// goTime matches what Go takes as a time of RFC 3339, and days that no month
	// has, which the schema refuses.
	goTime = `'^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.,][0-9]+)?(Z|[-+]([01][0-9]|2[0-3]):[0-5][0-9])$'`
)

// parsed is CEL for a duration field, or for another duration where the field
// is absent or is no duration. The policy of well-formed objects refuses those.
func (f field) parsed(fallback string) string {
	return f.text() + ".matches(" + goDuration + ") ? duration(" + f.text() + ") : " + fallback
}

// goText is CEL for a duration that is not negative as Go prints it.
func goText(d string) string {
	return "(" + d + " < duration('0s') ? string(" + d + ") : " +
		"(" + d + ".getHours() > 0 ? string(" + d + ".getHours()) + 'h' : '') + " +
		"(" + d + ".getMinutes() > 0 ? string(" + d + ".getMinutes() % 60) + 'm' : '') + " +
		"string(" + d + ".getSeconds() % 60) + 's')"
}

// quote is CEL for a string in quotes, cut where it is too long for a message.
func quote(value string) string { return "strings.quote(" + cut(value) + ")" }

func cut(text string) string {
	return text + ".size() > 97 ? " + text + ".substring(0, 97) + '...' : " + text
}

// asJSON is CEL for an object as JSON, of members, cut where it is too long for a
// message.
func asJSON(members ...string) string {
	return "[" + braces(members...) + "].map(text, " + cut("text") + ")[0]"
}

func braces(members ...string) string {
	return "'{' + (" + strings.Join(members, " + ") + ").join(',') + '}'"
}

// member is CEL for a member of an object, with its value, which is CEL too.
func member(object, name, value string) string {
	return "(" + field{cel: object}.in(name).there() + " ? ['\"" + name + "\":' + " + value + "] : [])"
}

// lists is CEL for members that are lists of strings. A message is cut long before
// the fiftieth entry.
func lists(object string, names []string) []string {
	var all []string
	for _, name := range names {
		all = append(all, member(object, name, "'[' + "+first(50, object+"."+name)+".map(e, strings.quote(e)).join(',') + ']'"))
	}
	return all
}

// holdsPEM is CEL for whether a byte field has a PEM block whose label begins
// so. CEL sees the field in base64, where a text looks in three ways, depending
// on what is before it.
func (f field) holdsPEM(label string) string {
	text := "-----BEGIN " + label
	var ways []string
	for before := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + text))
		// What shares a group of four letters with its neighbours is left out.
		from, to := (before+2)/3*4, (before+len(text))/3*4
		ways = append(ways, f.text()+".contains('"+encoded[from:to]+"')")
	}
	return "(" + strings.Join(ways, " || ") + ")"
}

// issuerRef is the rules for a reference to an issuer in a spec.
func issuerRef() []rule {
	ref := spec.in("issuerRef")
	kind, group := ref.in("kind"), ref.in("group").text()
	return []rule{
		ref.in("name").required("must be specified"),
		kind.invalid(group+" in ['', 'cert-manager.io'] && !("+kind.text()+" in ['', 'Issuer', 'ClusterIssuer'])", kind.text(),
			"must be one of Issuer or ClusterIssuer{{"+group+" == '' ? ' (did you forget to set spec.issuerRef.kind.group?)' : ''}}"),
	}
}

// specChanged keeps rules about a spec away from writes of anything else.
const specChanged = "request.operation == 'CREATE' || object.?spec.orValue({}) != oldObject.?spec.orValue({})"

// What the fields spec and status begin with.
var (
	specVariable   = expression{"spec", "object.?spec.orValue({})"}
	statusVariable = expression{"status", "object.?status.orValue({})"}
)

var (
	writes  = []string{"CREATE", "UPDATE"}
	updates = []string{"UPDATE"}
)

const (
	certManager = "cert-manager.io"
	acme        = "acme.cert-manager.io"
)
