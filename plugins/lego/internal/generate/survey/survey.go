// Package survey reads from lego's sources which DNS providers it has and which
// environment variables they read, and writes that as Go.
package survey

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Path is where the packages of the providers are.
const Path = "github.com/go-acme/lego/v5/providers/dns"

// Provider is one of lego's providers.
type Provider struct {
	// Package is the last part of the package's path. Codes are the names by which
	// users know the provider; the first one is the main one.
	Package string
	Codes   []string
	// Credentials are the variables that lego documents as credentials, and Variables
	// all that it documents or that the package names.
	Credentials, Variables []string
	// Remembers says that the provider keeps in memory what it needs for CleanUp.
	Remembers bool
}

// left are providers that make no sense in a cluster: one runs a program that the
// issuer names, and one asks a human at a terminal.
var left = []string{"exec", "manual"}

// Lego returns the directory of lego's module.
func Lego() (string, error) {
	out, err := Go("list", "-m", "-f", "{{.Dir}}", "github.com/go-acme/lego/v5")
	if err != nil {
		return "", err
	}
	dir := strings.TrimSpace(out)
	if dir == "" {
		return "", errors.New("lego has not been downloaded: go mod download github.com/go-acme/lego/v5")
	}
	return dir, nil
}

// Go returns what the go command prints.
func Go(args ...string) (string, error) {
	out, err := exec.Command("go", args...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, exit.Stderr)
	}
	return string(out), err
}

// description is what lego documents about a provider.
type description struct {
	Code          string
	Aliases       []string
	Configuration struct{ Credentials, Additional map[string]string }
}

// Providers reads all providers that make sense in a cluster.
func Providers(lego string) ([]Provider, error) {
	files, err := filepath.Glob(filepath.Join(lego, "providers/dns/*/*.toml"))
	if err != nil {
		return nil, err
	}
	var all []Provider
	for _, file := range files {
		d := description{}
		if _, err := toml.DecodeFile(file, &d); err != nil {
			return nil, err
		}
		p := Provider{Package: filepath.Base(filepath.Dir(file)), Codes: append([]string{d.Code}, d.Aliases...)}
		if slices.Contains(left, p.Package) {
			continue
		}
		for name := range d.Configuration.Credentials {
			p.Credentials = append(p.Credentials, variables(name)...)
		}
		for name := range d.Configuration.Additional {
			p.Variables = append(p.Variables, variables(name)...)
		}
		if err := p.readSource(filepath.Dir(file)); err != nil {
			return nil, err
		}
		p.Variables = append(p.Variables, p.Credentials...)
		p.Credentials, p.Variables = sorted(p.Credentials), sorted(p.Variables)
		all = append(all, p)
	}
	if len(all) < 100 {
		return nil, fmt.Errorf("only %d providers in %s", len(all), lego)
	}
	return all, nil
}

var (
	variable = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$`)
	// These forms are how lego's providers name their variables: constants that
	// begin with env, in upper or lower case, of literals and other constants.
	constant = regexp.MustCompile(`(?m)^\s*(?:const )?(\w*[eE]nv\w*)\s*=\s*((?:\w+|"[^"]*")(?:\s*\+\s*(?:\w+|"[^"]*"))*)\s*(?://.*)?$`)
	memory   = regexp.MustCompile(`recordIDs|unknown record ID|unknown recordID`)
)

// variables returns the names of variables in the key of a table: some keys have two,
// and some are a text.
func variables(key string) []string {
	var names []string
	for _, word := range strings.FieldsFunc(key, func(r rune) bool { return strings.ContainsRune(" /,`", r) }) {
		if variable.MatchString(word) {
			names = append(names, word)
		}
	}
	return names
}

// readSource adds what the sources say and the documentation does not.
func (p *Provider) readSource(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	values := map[string]string{}
	var text strings.Builder
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		text.Write(content)
		text.WriteByte('\n')
	}
	found := constant.FindAllStringSubmatch(text.String(), -1)
	// A constant can be declared before those that it is made of.
	for range 3 {
		for _, c := range found {
			if value, ok := evaluate(c[2], values); ok {
				values[c[1]] = value
			}
		}
	}
	var spaces []string
	for name, value := range values {
		if variable.MatchString(value) {
			p.Variables = append(p.Variables, value)
		}
		if strings.Contains(name, "Namespace") && !strings.Contains(name, "Sub") && strings.HasSuffix(value, "_") && name != "envNamespace" {
			spaces = append(spaces, value)
		}
	}
	p.Remembers = memory.MatchString(text.String())
	p.addNamespaces(values["envNamespace"], spaces)
	return nil
}

// addNamespaces adds the names that begin with another namespace of the package: some
// providers accept those of an older one.
func (p *Provider) addNamespaces(main string, others []string) {
	if main == "" {
		return
	}
	for _, name := range slices.Concat(p.Variables, p.Credentials) {
		rest, is := strings.CutPrefix(name, main)
		for _, other := range others {
			if is && !strings.HasPrefix(other, main) {
				p.Variables = append(p.Variables, other+rest)
			}
		}
	}
}

// evaluate computes a sum of literals and known constants.
func evaluate(expression string, values map[string]string) (string, bool) {
	var sum strings.Builder
	for _, part := range strings.Split(expression, "+") {
		part = strings.TrimSpace(part)
		if literal, is := strings.CutPrefix(part, `"`); is {
			sum.WriteString(strings.TrimSuffix(literal, `"`))
			continue
		}
		value, known := values[part]
		if !known {
			return "", false
		}
		sum.WriteString(value)
	}
	return sum.String(), true
}

func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
