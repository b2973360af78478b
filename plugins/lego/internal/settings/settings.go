// Package settings checks what an issuer says about one of lego's providers, and says
// what is wrong in its terms. It is pure.
package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
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
	case len(raw) == 0 || string(raw) == "null":
		return &json.UnmarshalTypeError{Value: "null", Type: reflect.TypeFor[Text]()}
	case raw[0] == '{':
		return &json.UnmarshalTypeError{Value: "object", Type: reflect.TypeFor[Text]()}
	case raw[0] == '[':
		return &json.UnmarshalTypeError{Value: "array", Type: reflect.TypeFor[Text]()}
	default:
		*t = Text(raw)
		return nil
	}
}

// Setting is a checked Config.
type Setting struct {
	Provider catalog.Provider
	Config   Config
	// ambient says that the issuer may use the credentials of the plugin's environment.
	ambient bool
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
	s := Setting{Provider: provider, Config: c, ambient: ambient}
	if err := s.check(); err != nil {
		return Setting{}, err
	}
	return s, nil
}

// check checks what the issuer sets.
func (s Setting) check() error {
	c, set, given := s.Config, map[string]bool{}, map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		set[name], given[name] = true, c.Env[name] != ""
		if err := s.checkVariable(name, "config.env"); err != nil {
			return err
		}
		if isFile(name) {
			return fmt.Errorf("config.env: %s names a file, and the plugin's files are not for issuers: put the content of the file into a Secret, and name that in config.secretRefs; the plugin makes a file of it", name)
		}
		if err := s.checkValue(name, string(c.Env[name])); err != nil {
			return err
		}
	}
	for _, ref := range c.SecretRefs {
		switch {
		case ref.Env == "" || ref.Name == "" || ref.Key == "":
			return errors.New("config.secretRefs: every entry needs env (the variable), name (the Secret) and key (the entry of the Secret)")
		case set[ref.Env]:
			return fmt.Errorf("config.secretRefs: %s is set twice", ref.Env)
		}
		set[ref.Env], given[ref.Env] = true, true
		if err := s.checkVariable(ref.Env, "config.secretRefs"); err != nil {
			return err
		}
		if _, is := values[ref.Env]; is || ref.Env == "HTTPREQ_MODE" {
			return fmt.Errorf("config.secretRefs: %s is no secret, and its value is checked: set it in config.env", ref.Env)
		}
	}
	return s.checkExplicit(given)
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
