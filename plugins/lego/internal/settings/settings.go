// Package settings checks what an issuer says about one of lego's providers, and says
// what is wrong in its terms. It is pure.
package settings

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/everleaf/everleaf/plugins/lego/internal/catalog"
)

// Config is webhook.config of an issuer.
type Config struct {
	// Provider is lego's code of the DNS provider.
	Provider string `json:"provider"`
	// Env are the values of environment variables that lego documents, by name.
	Env map[string]Text `json:"env"`
	// SecretRefs are variables whose values are in Secrets.
	SecretRefs []SecretRef `json:"secretRefs"`
}

// SecretRef is a variable whose value is in a Secret, in the namespace of the Issuer.
type SecretRef struct {
	// Env is the name of the variable.
	Env string `json:"env"`
	// Name and Key are the Secret and the entry in it.
	Name string `json:"name"`
	Key  string `json:"key"`
}

// Text is a text, or a number or a truth value, which YAML does not take for a text.
type Text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(raw []byte) error {
	switch {
	case len(raw) > 0 && raw[0] == '"':
		return json.Unmarshal(raw, (*string)(t))
	case len(raw) == 0, raw[0] == '{', raw[0] == '[', string(raw) == "null":
		return errors.New("a value in env is not a text: write it in quotes")
	default:
		*t = Text(raw)
		return nil
	}
}

// Setting is a checked Config.
type Setting struct {
	Provider catalog.Provider
	Config   Config
	// Unknown are variables that lego is not known to read.
	Unknown []string
}

const documentation = "https://go-acme.github.io/lego/dns/"

// unsuitable are providers of lego that make no sense here, with the reason.
var unsuitable = map[string]string{
	"exec":   "it would run any program that an issuer names, in the plugin's pod; use httpreq, which asks an HTTP server",
	"manual": "it waits for a human at a terminal",
}

// Check checks a Config. ambient says that the issuer may use the credentials of the
// plugin's environment.
func Check(c Config, ambient bool) (Setting, error) {
	provider, err := find(c.Provider)
	if err != nil {
		return Setting{}, err
	}
	s := Setting{Provider: provider, Config: c}
	set := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		set[name] = true
		if err := s.checkVariable(name, "config.env"); err != nil {
			return Setting{}, err
		}
		if isFile(name) {
			return Setting{}, fmt.Errorf("config.env: %s names a file, and the plugin's files are not for issuers: put the content of the file into a Secret, and name that in config.secretRefs; the plugin makes a file of it", name)
		}
		if err := checkValue(name, string(c.Env[name]), ambient); err != nil {
			return Setting{}, err
		}
	}
	for _, ref := range c.SecretRefs {
		switch {
		case ref.Env == "" || ref.Name == "" || ref.Key == "":
			return Setting{}, errors.New("config.secretRefs: every entry needs env (the variable), name (the Secret) and key (the entry of the Secret)")
		case set[ref.Env]:
			return Setting{}, fmt.Errorf("config.secretRefs: %s is set twice", ref.Env)
		}
		set[ref.Env] = true
		if err := s.checkVariable(ref.Env, "config.secretRefs"); err != nil {
			return Setting{}, err
		}
	}
	slices.Sort(s.Unknown)
	return s, nil
}

func find(name string) (catalog.Provider, error) {
	if name == "" {
		return catalog.Provider{}, fmt.Errorf("config.provider is empty: set it to one of lego's codes, such as ovh; see %s", documentation)
	}
	if why, is := unsuitable[name]; is {
		return catalog.Provider{}, fmt.Errorf("config.provider: the plugin does not have %s: %s", name, why)
	}
	provider, found := catalog.Find(name)
	if !found {
		var codes []string
		for _, p := range catalog.All() {
			codes = append(codes, p.Codes...)
		}
		return catalog.Provider{}, fmt.Errorf("config.provider: lego has no provider %q%s; see %s", name, similar(name, codes), documentation)
	}
	if !provider.Built() {
		return catalog.Provider{}, fmt.Errorf("config.provider: %s is not in this build of the plugin; build it with the tag lego_all", name)
	}
	return provider, nil
}

var variable = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// checkVariable checks the name of a variable.
func (s *Setting) checkVariable(name, field string) error {
	known := s.Provider.Variables
	if slices.Contains(known, name) {
		return nil
	}
	if base, is := strings.CutSuffix(name, "_FILE"); is && slices.Contains(known, base) {
		return fmt.Errorf("%s: %s names a file with a value: set %s in config.secretRefs instead", field, name, base)
	}
	hint := similar(name, known)
	namespace, _, _ := strings.Cut(name, "_")
	shared := slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, namespace+"_") })
	if hint != "" || !shared || !variable.MatchString(name) {
		return fmt.Errorf("%s: provider %s does not read %s%s; see %s%s/", field, s.Config.Provider, name, cmp.Or(hint, among(known)), documentation, s.Provider.Codes[0])
	}
	// SDKs of vendors read variables that lego does not name.
	s.Unknown = append(s.Unknown, name)
	return nil
}

// isFile reports whether a variable's value is the path of a file.
func isFile(name string) bool {
	return strings.HasSuffix(name, "_FILE") || strings.HasSuffix(name, "_PATH") || name == "AKAMAI_EDGERC"
}

// checkValue refuses values with which a provider cannot do what it is asked, or would
// take credentials that are not the issuer's.
func checkValue(name, value string, ambient bool) error {
	switch {
	case name == "HTTPREQ_MODE" && value == "RAW":
		return errors.New("config.env: HTTPREQ_MODE RAW sends a key authorization, which a solver webhook is not told: leave HTTPREQ_MODE out, and serve the other mode")
	case ambient:
		return nil
	case name == "OCI_AUTH_TYPE" && value != "", name == "AZURE_AUTH_METHOD" && value != "env":
		return fmt.Errorf("config.env: %s %s takes the credentials of the plugin's environment, which this issuer may not use", name, value)
	}
	return nil
}

// similar says which of some names differ from one by a typo.
func similar(name string, names []string) string {
	var found []string
	for _, other := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(other)); d <= max(1, min(len(name)/6, 3)) {
			found = append(found, other)
		}
	}
	if len(found) == 0 {
		return ""
	}
	slices.Sort(found)
	return "; similar: " + strings.Join(slices.Compact(found), ", ")
}

func among(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "; it reads: " + strings.Join(names, ", ")
}

// distance is how many letters have to be inserted, removed or replaced to make one
// word of the other (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
