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

	notDuration = "must be a Go duration such as 2160h"
	notTime     = "must be a time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z"
)

// parsed is CEL for a duration field, or for another duration where the field
// is absent or is no duration. The policy of well-formed objects refuses those.
func parsed(root, path, fallback string) string {
	value := field(root, path)
	return value + ".matches(" + goDuration + ") ? duration(" + value + ") : " + fallback
}

// goText is CEL for a duration that is not negative as Go prints it.
func goText(d string) string {
	return "(" + d + " < duration('0s') ? string(" + d + ") : " +
		"(" + d + ".getHours() > 0 ? string(" + d + ".getHours()) + 'h' : '') + " +
		"(" + d + ".getMinutes() > 0 ? string(" + d + ".getMinutes() % 60) + 'm' : '') + " +
		"string(" + d + ".getSeconds() % 60) + 's')"
}

// member is a field of an object that a message shows as JSON: a string, a
// boolean, a list of strings, or an object with members of its own.
type member struct {
	name    string
	kind    memberKind
	members []member
}

type memberKind int

const (
	textMember memberKind = iota
	boolMember
	listMember
	objectMember
)

// lists returns members that are lists of strings.
func lists(names ...string) []member {
	all := make([]member, len(names))
	for i, name := range names {
		all[i] = member{name: name, kind: listMember}
	}
	return all
}

// asJSON is CEL for an object as JSON, cut where it is too long for a message.
func asJSON(value string, members []member) string {
	return "[" + membersText(value, members) + "].map(text, text.size() > 97 ? text.substring(0, 97) + '...' : text)[0]"
}

func membersText(value string, members []member) string {
	shown := make([]string, len(members))
	for i, m := range members {
		it := value + "." + m.name
		var text string
		switch m.kind {
		case textMember:
			text = "strings.quote(" + it + ")"
		case boolMember:
			text = "string(" + it + ")"
		case listMember:
			// The text is cut long before the fiftieth entry.
			text = "'[' + " + it + ".slice(0, " + it + ".size() < 50 ? " + it + ".size() : 50).map(e, strings.quote(e)).join(',') + ']'"
		case objectMember:
			text = membersText(it, m.members)
		}
		shown[i] = "(" + has(value, m.name) + " ? ['\"" + m.name + "\":' + " + text + "] : [])"
	}
	return "'{' + (" + strings.Join(shown, " + ") + ").join(',') + '}'"
}

// holdsPEM is CEL for whether a byte field has a PEM block whose label begins
// so. CEL sees the field in base64, where a text looks in three ways, depending
// on what is before it.
func holdsPEM(value, label string) string {
	text := "-----BEGIN " + label
	var ways []string
	for before := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + text))
		// What shares a group of four letters with its neighbours is left out.
		from, to := (before+2)/3*4, (before+len(text))/3*4
		ways = append(ways, value+".contains('"+encoded[from:to]+"')")
	}
	return "(" + strings.Join(ways, " || ") + ")"
}

// issuerRef is the rules for a reference to an issuer in a spec.
func issuerRef() []Rule {
	ref := "variables.spec"
	kind, group := field(ref, "issuerRef.kind"), field(ref, "issuerRef.group")
	return []Rule{
		required(ref, "issuerRef.name", "spec.issuerRef.name", "must be specified"),
		Check{
			Fails: group + " in ['', 'cert-manager.io'] && !(" + kind + " in ['', 'Issuer', 'ClusterIssuer'])",
			Error: "spec.issuerRef.kind: Invalid value: {{" + quote(kind) + "}}: must be one of Issuer or ClusterIssuer" +
				"{{" + group + " == '' ? ' (did you forget to set spec.issuerRef.kind.group?)' : ''}}",
		},
	}
}

// selector is the rules that a reference to a key of a Secret names both.
func selector(root, path, at string) []Rule {
	return []Rule{
		required(root, path+".name", at+".name", "secret name is required"),
		required(root, path+".key", at+".key", "secret key is required"),
	}
}

// specChanged keeps rules about a spec away from writes of anything else.
const specChanged = "request.operation == 'CREATE' || object.?spec.orValue({}) != oldObject.?spec.orValue({})"

// spec is the variable that rules about a spec use.
func spec() Expression { return Expression{"spec", "object.?spec.orValue({})"} }

var (
	writes  = []string{"CREATE", "UPDATE"}
	updates = []string{"UPDATE"}
)

const (
	certManager = "cert-manager.io"
	acme        = "acme.cert-manager.io"
)
