package admission

import (
	"fmt"
	"strings"
)

// policy is a ValidatingAdmissionPolicy: what it looks at, and the rules. All
// errors of an object come in one refusal, as a webhook's do.
//
// Whether a rule is broken is a match condition, and what the errors are is
// evaluated only if one is: the API server evaluates the message of a validation
// even if it holds, which would double what every write costs.
type policy struct {
	// Name is the name of the policy and of its binding.
	Name string
	// About is the comment that the manifest begins with.
	About string
	// Resources are what it looks at.
	Resources []resources
	// Everywhere also looks at namespaces with the label
	// cert-manager.io/disable-validation.
	Everywhere bool
	// Advice has the API server warn about what breaks a rule, and accept it.
	Advice bool
	// Concerns is CEL for whether the rules are looked at, in terms of object,
	// oldObject and request. "" means always.
	Concerns string
	// Excuse is CEL for whether a write that breaks a rule is accepted all the
	// same. It is looked at last.
	Excuse string
	// Variables are the names that rules may use, as variables.NAME. Those that
	// come later may use earlier ones.
	Variables []expression
	// Permissions are rules that ask the authorizer. They come first; their
	// errors must not depend on its answer.
	Permissions []check
	// Rules are evaluated in order.
	Rules []rule
}

// resources are resources of one group, with the operations on them.
type resources struct {
	Group      string
	Names      []string
	Operations []string
}

// expression is a CEL expression with a name.
type expression struct{ Name, CEL string }

// rule is something that renders as CEL, in two ways.
type rule interface {
	// broken is a boolean: whether an object breaks the rule.
	broken() string
	// errors is a list of texts, which is empty if the object keeps the rule.
	errors() string
}

// check is one rule: if Fails, which is CEL, is true, it is an error that reads
// as Error. In Error, {{x}} stands for the CEL string x.
type check struct{ Fails, Error string }

// choice is the rules Then if When, which is CEL, is true, and the rules Else, if
// any, otherwise.
type choice struct {
	When       string
	Then, Else []rule
}

// each is rules for the entries of a list or a map, which is CEL. Key is the name
// of an entry's index or key in the rules, and Value that of the entry.
type each struct {
	Of, Key, Value string
	Rules          []rule
}

// texts is CEL for a list of errors, for what the others cannot say.
type texts string

// when is rules that are looked at only if a condition, which is CEL, is true.
func when(condition string, rules ...rule) rule { return choice{When: condition, Then: rules} }

func (c check) broken() string { return c.Fails }

func (c check) errors() string { return "(" + c.Fails + ") ? [" + text(c.Error) + "] : []" }

func (c choice) broken() string {
	if c.Else == nil {
		return "(" + c.When + ") && " + anyOf(c.Then)
	}
	return "(" + c.When + ") ? " + anyOf(c.Then) + " : " + anyOf(c.Else)
}

func (c choice) errors() string {
	otherwise := "[]"
	if c.Else != nil {
		otherwise = join(c.Else)
	}
	return "(" + c.When + ") ? " + join(c.Then) + " : " + otherwise
}

func (e each) broken() string {
	return e.Of + ".exists(" + e.Key + ", " + e.Value + ", " + anyOf(e.Rules) + ")"
}

// errors makes nothing for the entries that keep a single check.
func (e each) errors() string {
	begin := e.Of + ".transformList(" + e.Key + ", " + e.Value + ", "
	if len(e.Rules) == 1 {
		if c, ok := e.Rules[0].(check); ok {
			return begin + c.Fails + ", " + text(c.Error) + ")"
		}
	}
	return begin + join(e.Rules) + ").flatten()"
}

func (t texts) broken() string { return string(t) + ".size() > 0" }

func (t texts) errors() string { return string(t) }

// anyOf is CEL for whether an object breaks one of the rules, a line for each.
func anyOf(rules []rule) string {
	if len(rules) == 1 {
		return "(" + rules[0].broken() + ")"
	}
	return "(\n" + lines(rules, " ||\n", func(r rule) string { return "(" + r.broken() + ")" }) + "\n)"
}

// join renders rules as one list of errors, a line for each.
func join(rules []rule) string {
	if len(rules) == 1 {
		return "(" + rules[0].errors() + ")"
	}
	return "[\n" + lines(rules, ",\n", rule.errors) + "\n].flatten()"
}

func lines(rules []rule, separator string, render func(rule) string) string {
	all := make([]string, len(rules))
	for i, rule := range rules {
		all[i] = indent("  ", render(rule))
	}
	return strings.Join(all, separator)
}

// indent puts a prefix before each line, in place of tabs.
func indent(prefix, block string) string {
	lines := strings.Split(block, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(prefix+strings.TrimLeft(line, "\t"), " ")
	}
	return strings.Join(lines, "\n")
}

// text renders a text with {{CEL}} in it as a CEL string.
func text(template string) string {
	var parts []string
	for {
		literal, rest, found := strings.Cut(template, "{{")
		if literal != "" {
			parts = append(parts, "'"+strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(literal)+"'")
		}
		if !found {
			return strings.Join(parts, " + ")
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
}

// first is CEL for the first n entries of a list.
func first(n int, list string) string {
	return fmt.Sprintf("%[1]s.slice(0, %[1]s.size() < %[2]d ? %[1]s.size() : %[2]d)", list, n)
}
