package admission

import "strings"

// field is a field of an object, which may be absent: the CEL that leads to it,
// and its path in errors.
type field struct{ cel, path string }

var (
	spec   = field{"variables.spec", "spec"}
	status = field{"variables.status", "status"}
)

// in is a field of a field, as in spec.in("issuerRef.name").
func (f field) in(path string) field {
	return field{f.cel + ".?" + strings.ReplaceAll(path, ".", ".?"), f.path + "." + path}
}

// as is a field that errors name in another way.
func (f field) as(path string) field { return field{f.cel, path} }

// or is CEL for the value of a field, or for another if it is absent.
func (f field) or(other string) string { return f.cel + ".orValue(" + other + ")" }

// text, list and object are CEL for the value of a field of their type, which is
// empty if the field is absent.
func (f field) text() string   { return f.or("''") }
func (f field) list() string   { return f.or("[]") }
func (f field) object() string { return f.or("{}") }

// there is CEL for whether a field is there, and set for whether a text is not
// empty.
func (f field) there() string { return f.cel + ".hasValue()" }
func (f field) set() string   { return f.text() + " != ''" }

// lacks is CEL for whether none of these fields of a field is there.
func (f field) lacks(names ...string) string {
	absent := make([]string, len(names))
	for i, name := range names {
		absent[i] = "!" + f.in(name).there()
	}
	return strings.Join(absent, " && ")
}

// entry is a field that stands for each entry of a list, by a name. The name of
// its index is index.
type entry struct {
	field
	list, index string
}

// entry is an entry of a list.
func (f field) entry(index, name string) entry {
	return entry{field{name, f.path + "[{{string(" + index + ")}}]"}, "(" + f.list() + ")", index}
}

// maxEntries is how many entries of a list are looked at. It keeps the largest
// object that the API server takes within the cost that it allows to CEL.
const maxEntries = 500

// each is rules for the first entries of a list.
func (e entry) each(rules ...rule) rule {
	return each{first(maxEntries, e.list), e.index, e.cel, rules}
}

// every is rules for all entries of a list, for what no object may get past. If
// there are too many for the API server, it refuses the object.
func (e entry) every(rules ...rule) rule { return each{e.list, e.index, e.cel, rules} }

// entries is rules for the entries of a map.
func (f field) entries(rules ...rule) rule {
	return each{"(" + f.object() + ")", "key", "value", rules}
}

// required is the rule that a text is not empty.
func (f field) required(detail string) check { return f.missing(f.text()+" == ''", detail) }

// selects is the rules that a reference to a key of a Secret names both.
func (f field) selects() []rule {
	return []rule{f.in("name").required("secret name is required"), f.in("key").required("secret key is required")}
}

func (f field) missing(fails, detail string) check {
	return check{fails, f.path + ": Required value: " + detail}
}

func (f field) forbidden(fails, detail string) check {
	return check{fails, f.path + ": Forbidden: " + detail}
}

// invalid shows a value, which is CEL.
func (f field) invalid(fails, value, detail string) check {
	return f.shows(fails, "{{"+quote(value)+"}}", detail)
}

// shows is invalid with the value as the error has it.
func (f field) shows(fails, value, detail string) check {
	return check{fails, f.path + ": Invalid value: " + value + ": " + detail}
}

// format is the rule that a value, which is CEL, has a format of CEL's library.
func (f field) format(name, value, shown string) rule {
	return formatErrors(name, value, text(f.path+": Invalid value: ")+" + "+quote(shown)+" + ': ' + e")
}

// formatErrors is an error, which is CEL, for each fault e of a value.
func formatErrors(name, value, text string) texts {
	return texts("format." + name + "().validate(" + value + ").orValue([]).map(e, " + text + ")")
}

// option is a field that excludes the others of its kind, and its rules.
type option struct {
	name  string
	rules []rule
	// lenient is set for those that the webhook takes beside others.
	lenient bool
}

// oneOf is the rules for options, in the order in which the webhook looks at
// them: more is the error for a second one, none the error if there is none.
func (f field) oneOf(options []option, more, none string) []rule {
	var rules []rule
	var names, earlier []string
	for _, o := range options {
		option := f.in(o.name)
		there, others := option.there(), strings.Join(earlier, " || ")
		switch {
		case others == "" || o.lenient:
			rules = append(rules, when(there, o.rules...))
		case len(o.rules) == 0:
			rules = append(rules, option.forbidden(there+" && ("+others+")", more))
		default:
			rules = append(rules, when(there, choice{others, []rule{option.forbidden("true", more)}, o.rules}))
		}
		names, earlier = append(names, o.name), append(earlier, there)
	}
	return append(rules, f.missing(f.lacks(names...), none))
}
