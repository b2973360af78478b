package admission

import "strings"

// Policy is a ValidatingAdmissionPolicy: what it looks at, and the rules. All
// errors of an object come in one refusal, as a webhook's do.
//
// Whether a rule is broken is a match condition, and what the errors are is
// evaluated only if one is: the API server evaluates the message of a validation
// even if it holds, which would double what every write costs.
type Policy struct {
	// Name is the name of the policy and of its binding.
	Name string
	// About is the comment that the manifest begins with.
	About string
	// Resources are what it looks at.
	Resources []Resources
	// Everywhere also looks at namespaces with the label
	// cert-manager.io/disable-validation.
	Everywhere bool
	// Concerns is CEL for whether the rules are looked at, in terms of object,
	// oldObject and request. "" means always.
	Concerns string
	// Excuse is CEL for whether a write that breaks a rule is accepted all the
	// same. It is looked at last.
	Excuse string
	// Variables are the names that rules may use, as variables.NAME. Those that
	// come later may use earlier ones.
	Variables []Expression
	// Permissions are rules that ask the authorizer. They come first; their
	// errors must not depend on its answer.
	Permissions []Check
	// Rules are evaluated in order.
	Rules []Rule
}

// Resources are resources of one group, with the operations on them.
type Resources struct {
	Group      string
	Names      []string
	Operations []string
}

// Expression is a CEL expression with a name.
type Expression struct{ Name, CEL string }

// Rule is something that renders as CEL, in two ways.
type Rule interface {
	// broken is a boolean: whether an object breaks the rule.
	broken() string
	// errors is a list of texts, which is empty if the object keeps the rule.
	errors() string
}

// Check is one rule: if Fails, which is CEL, is true, it is an error that reads
// as Error. In Error, {{x}} stands for the CEL string x.
type Check struct{ Fails, Error string }

// Group is rules that are looked at only if When, which is CEL, is true.
type Group struct {
	When  string
	Rules []Rule
}

// Each is rules for the first entries of a list: Index and Item are their names
// in the rules, List is CEL.
type Each struct {
	List, Index, Item string
	Rules             []Rule
}

// Every is rules for all entries of a list, for what no object may get past. If
// there are too many for the API server, it refuses the object.
type Every Each

// Entries is rules for the entries of a map, by Key and Value.
type Entries struct {
	Map, Key, Value string
	Rules           []Rule
}

// List is CEL for a list of errors, for what the others cannot say.
type List string

// Choice is Then if When is true, and Else otherwise.
type Choice struct {
	When       string
	Then, Else []Rule
}

// maxEntries is how many entries of a list are looked at. It keeps the largest
// object that the API server takes within the cost that it allows to CEL.
const maxEntries = "500"

func (c Check) broken() string { return c.Fails }

func (g Group) broken() string { return "(" + g.When + ") && " + anyOf(g.Rules) }

func (e Each) broken() string {
	return e.head() + ".exists(" + e.Index + ", " + e.Item + ", " + anyOf(e.Rules) + ")"
}

func (e Every) broken() string {
	return "(" + e.List + ").exists(" + e.Index + ", " + e.Item + ", " + anyOf(e.Rules) + ")"
}

func (e Entries) broken() string {
	return "(" + e.Map + ").exists(" + e.Key + ", " + e.Value + ", " + anyOf(e.Rules) + ")"
}

func (l List) broken() string { return string(l) + ".size() > 0" }

func (c Choice) broken() string {
	return "(" + c.When + ") ? " + anyOf(c.Then) + " : " + anyOf(c.Else)
}

// anyOf is CEL for whether an object breaks one of the rules, a line for each.
func anyOf(rules []Rule) string {
	if len(rules) == 1 {
		return "(" + rules[0].broken() + ")"
	}
	lines := make([]string, len(rules))
	for i, rule := range rules {
		lines[i] = indent("(" + rule.broken() + ")")
	}
	return "(\n" + strings.Join(lines, " ||\n") + "\n)"
}

func (c Check) errors() string { return "(" + c.Fails + ") ? [" + text(c.Error) + "] : []" }

func (g Group) errors() string { return "(" + g.When + ") ? " + join(g.Rules) + " : []" }

func (e Each) errors() string { return comprehend(e.head(), e.Index, e.Item, e.Rules) }

// head is CEL for the entries that are looked at.
func (e Each) head() string {
	list := "(" + e.List + ")"
	return list + ".slice(0, " + list + ".size() < " + maxEntries + " ? " + list + ".size() : " + maxEntries + ")"
}

func (e Every) errors() string { return comprehend("("+e.List+")", e.Index, e.Item, e.Rules) }

func (e Entries) errors() string { return comprehend("("+e.Map+")", e.Key, e.Value, e.Rules) }

func (l List) errors() string { return string(l) }

func (c Choice) errors() string {
	return "(" + c.When + ") ? " + join(c.Then) + " : " + join(c.Else)
}

// comprehend applies rules to each entry of a list or a map. A single Check
// makes nothing for the entries that keep it.
func comprehend(over, first, second string, rules []Rule) string {
	if len(rules) == 1 {
		if check, ok := rules[0].(Check); ok {
			return over + ".transformList(" + first + ", " + second + ", " + check.Fails + ", " + text(check.Error) + ")"
		}
	}
	return over + ".transformList(" + first + ", " + second + ", " + join(rules) + ").flatten()"
}

// join renders rules as one list of errors, a line for each.
func join(rules []Rule) string {
	if len(rules) == 1 {
		return "(" + rules[0].errors() + ")"
	}
	lines := make([]string, len(rules))
	for i, rule := range rules {
		lines[i] = indent(rule.errors())
	}
	return "[\n" + strings.Join(lines, ",\n") + "\n].flatten()"
}

func indent(block string) string {
	return "  " + strings.ReplaceAll(block, "\n", "\n  ")
}

// text renders a text with {{CEL}} in it as a CEL string.
func text(template string) string {
	var parts []string
	for {
		literal, rest, found := strings.Cut(template, "{{")
		if literal != "" {
			parts = append(parts, literalText(literal))
		}
		if !found {
			break
		}
		expression, after, closed := strings.Cut(rest, "}}")
		if !closed {
			panic("admission: {{ without }} in " + template)
		}
		if strings.Contains(expression, " ? ") {
			expression = "(" + expression + ")"
		}
		parts, template = append(parts, expression), after
	}
	return strings.Join(parts, " + ")
}

func replace(s, old, new string) string { return strings.ReplaceAll(s, old, new) }

func literalText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// quote is CEL for a string in quotes, cut where it is too long for a message.
func quote(value string) string {
	return "strings.quote(" + value + ".size() > 97 ? " + value + ".substring(0, 97) + '...' : " + value + ")"
}

// field is CEL for a string field that may be absent, as in
// field("variables.spec", "issuerRef.name").
func field(root, path string) string { return optional(root, path) + ".orValue('')" }

// list is CEL for a list field that may be absent.
func list(root, path string) string { return optional(root, path) + ".orValue([])" }

// object is CEL for an object field that may be absent.
func object(root, path string) string { return optional(root, path) + ".orValue({})" }

func optional(root, path string) string {
	return root + ".?" + strings.ReplaceAll(path, ".", ".?")
}

// has is CEL for whether a field is there.
func has(root, path string) string { return optional(root, path) + ".hasValue()" }

// required is the rule that a string field is not empty.
func required(root, path, at, detail string) Check {
	return Check{field(root, path) + " == ''", at + ": Required value: " + detail}
}
