package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	verbs  = regexp.MustCompile(`%[a-z]`)
	spaces = regexp.MustCompile(`\s+`)
)

// sentences returns the constant parts, of four words or more, of the texts in
// a Go file.
func sentences(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range verbs.Split(text, -1) {
			if len(strings.Fields(part)) >= 4 {
				found = append(found, strings.Trim(part, " ():;\"'"))
			}
		}
		return true
	})
	return found
}

// TestSentences checks that the pages that list user-visible texts list all of
// them.
func TestSentences(t *testing.T) {
	all := pages(t)
	for file, name := range map[string]string{
		"internal/solver/dns01/rfc2136/config.go":    "dns01/rfc2136.md",
		"internal/solver/dns01/rfc2136/faults.go":    "dns01/rfc2136.md",
		"internal/solver/dns01/rfc2136/exchange.go":  "dns01/rfc2136.md",
		"internal/propagation/message.go":            "dns01/propagation.md",
		"internal/solver/dns01/session.go":           "dns01/propagation.md",
		"internal/solver/dns01/advice.go":            "dns01/propagation.md",
		"internal/lifecycle/challenge/deadline.go":   "dns01/propagation.md",
		"internal/dns/upstream.go":                   "dns01/propagation.md",
		"internal/webhook/clients.go":                "webhook.md",
		"internal/webhook/server.go":                 "webhook.md",
		"internal/dns/doh.go":                        "dns01/propagation.md",
		"internal/dns/zone.go":                       "dns01/propagation.md",
		"internal/controller/challenge/testimony.go": "explain.md",
		"internal/selfcheck/message.go":              "troubleshooting-http01.md",
		"internal/selfcheck/finding.go":              "troubleshooting-http01.md",
		"internal/selfcheck/causes_network.go":       "troubleshooting-http01.md",
		"internal/selfcheck/causes_objects.go":       "troubleshooting-http01.md",
		"internal/solver/http01/ensure.go":           "troubleshooting-http01.md",
		"internal/apicheck/words.go":                 "startupapicheck.md",
		"internal/lifecycle/injectable/source.go":    "cainjector.md",
	} {
		page := spaces.ReplaceAllString(all[name], " ")
		said := sentences(t, "../../"+file)
		if len(said) == 0 {
			t.Errorf("%s says nothing", file)
		}
		for _, s := range said {
			if !strings.Contains(page, s) {
				t.Errorf("docs/%s does not have what %s says: %q", name, file, s)
			}
		}
	}
}
