package settings

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Environment is what a provider's process gets.
type Environment struct {
	// Variables are those of the issuer. Files are the contents of files, by the
	// variable that gets the path.
	Variables, Files map[string]string
	// secrets are the values from Secrets, by variable.
	secrets map[string]string
}

// quick are settings that an issuer may change: with them a provider does not wait
// until all name servers have the record, which the caller of the webhook does.
var quick = map[string]map[string]string{
	"route53": {"AWS_WAIT_FOR_RECORD_SETS_CHANGED": "false"},
}

// Environment adds the values of SecretRefs, in their order.
func (s Setting) Environment(secrets []string) Environment {
	e := Environment{Variables: map[string]string{}, Files: map[string]string{}, secrets: map[string]string{}}
	maps.Copy(e.Variables, quick[s.Provider.Package])
	if !s.ambient {
		maps.Copy(e.Variables, defaults[s.Provider.Package])
	}
	for name, value := range s.Config.Env {
		e.Variables[name] = string(value)
	}
	for i, ref := range s.Config.SecretRefs {
		e.secrets[ref.Env] = secrets[i]
		if isFile(ref.Env) {
			e.Files[ref.Env] = secrets[i]
		} else {
			e.Variables[ref.Env] = secrets[i]
		}
	}
	return e
}

// Credentials are the variables with the credentials of the provider.
func (s Setting) Credentials() []string {
	return slices.Concat(s.Provider.Credentials, additional[s.Provider.Package])
}

// Hide returns an Environment whose Scrub removes further secrets. secrets are by
// variable.
func (e Environment) Hide(secrets map[string]string) Environment {
	all := maps.Clone(secrets)
	maps.Copy(all, e.secrets)
	e.secrets = all
	return e
}

// missing is how lego says that variables have no value.
var missing = regexp.MustCompile(`some credentials information are missing: ([A-Z0-9_]+(?:,[A-Z0-9_]+)*)`)

// where says where the issuer's variables can be.
func (s Setting) where() string {
	if s.ambient {
		return "set them in config.env of the issuer, with secret values in config.secretRefs, or in the environment of the plugin's pod"
	}
	return "set them in config.env of the issuer, or with secret values in config.secretRefs; the environment of the plugin's pod is not used"
}

// Unusable says why a provider cannot be set up, from the text of its error.
func (s Setting) Unusable(text string) error {
	found := missing.FindAllStringSubmatch(text, -1)
	if len(found) == 1 {
		return fmt.Errorf("provider %s lacks %s: %s", s.Config.Provider, strings.ReplaceAll(found[0][1], ",", ", "), s.where())
	}
	if len(found) > 1 {
		var texts []string
		for _, f := range found {
			texts = append(texts, strings.ReplaceAll(f[1], ",", " and "))
		}
		slices.Sort(texts)
		return fmt.Errorf("provider %s lacks %s: %s", s.Config.Provider, strings.Join(slices.Compact(texts), "; or "), s.where())
	}
	return fmt.Errorf("provider %s cannot be set up: %s; check config.env and config.secretRefs of the issuer%s", s.Config.Provider, text, among(s.Provider.Credentials))
}

// Failed says why a provider did not do what it was asked to, from the text of its
// error.
func (s Setting) Failed(text string, cleaning bool) error {
	switch {
	case cleaning && s.Provider.Remembers && strings.Contains(strings.ToLower(text), "unknown record"):
		return fmt.Errorf("%s; lego's provider %s remembers its records in memory, and the plugin has been restarted since it wrote this one: remove the TXT record by hand", text, s.Config.Provider)
	case strings.Contains(strings.ToLower(text), "ttl"):
		if at := slices.IndexFunc(s.Provider.Variables, func(v string) bool { return strings.HasSuffix(v, "_TTL") }); at >= 0 {
			return fmt.Errorf("%s; the time to live is set with %s in config.env", text, s.Provider.Variables[at])
		}
	}
	return errors.New(text)
}
