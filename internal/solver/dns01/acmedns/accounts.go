package acmedns

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
)

// maxNames bounds the names of a Secret in a message.
const maxNames = 10

// parse reads the accounts of a Secret. The error is the end of a sentence that begins
// with the value, and has no part of the value.
func parse(text string) (map[string]account, error) {
	var (
		found  map[string]account
		one    account
		syntax *json.SyntaxError
	)
	err := json.Unmarshal([]byte(text), &found)
	switch {
	case errors.As(err, &syntax):
		read := text[:min(int(max(syntax.Offset-1, 0)), len(text))]
		line := strings.Count(read, "\n") + 1
		column := len(read) - (strings.LastIndexByte(read, '\n') + 1) + 1
		return nil, fmt.Errorf("not JSON: line %d, column %d", line, column)
	case json.Unmarshal([]byte(text), &one) == nil && one.SubDomain != "":
		return nil, errors.New(`one account: it must be a JSON object with an account for each DNS name, such as {"example.com": {"fulldomain": …}}`)
	case err != nil:
		return nil, errors.New("JSON, but not an object with an account for each DNS name")
	}
	accounts := make(map[string]account, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		a := found[name]
		if key := plain(name); key == name || accounts[key].SubDomain == "" {
			accounts[key] = a
		}
	}
	return accounts, nil
}

// account returns the account of a DNS name, or a User fault.
func (p *Provider) account(name string) (account, error) {
	name = plain(name)
	a, ok := p.accounts[name]
	if !ok {
		return account{}, fault.New(fault.User, "AccountNotFound",
			"account credentials not found for domain %s; %s has %s: register an account at %s, put it there under %q, and make _acme-challenge.%s a CNAME record to its fulldomain",
			name, p.secret, p.names(), p.host, name, name)
	}
	for _, field := range []struct{ name, value string }{{"username", a.Username}, {"password", a.Password}, {"subdomain", a.SubDomain}} {
		what := vendorapi.Unprintable(field.value)
		if field.value == "" {
			what = "is missing"
		}
		if what != "" {
			return account{}, fault.New(fault.User, "InvalidAccount", "the %s of the account for domain %s in %s %s", field.name, name, p.secret, what)
		}
	}
	return a, nil
}

// names lists the DNS names of the Secret.
func (p *Provider) names() string {
	names := slices.Sorted(maps.Keys(p.accounts))
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > maxNames:
		return fmt.Sprintf("%s and %d others", strings.Join(names[:maxNames], ", "), len(names)-maxNames)
	default:
		return strings.Join(names, ", ")
	}
}
