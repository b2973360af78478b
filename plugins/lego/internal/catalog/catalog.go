// Package catalog has lego's DNS providers and the names of the environment variables
// that they read. `go run ./internal/generate` writes it from lego's sources.
package catalog

import (
	"slices"

	"github.com/go-acme/lego/v5/challenge"
)

// Provider is one of lego's providers.
type Provider struct {
	// Package is the last part of the path of its Go package.
	Package string
	// Codes are the names that users know, the main one first.
	Codes []string
	// Credentials are the variables that lego documents as credentials, and Variables
	// are all that it is known to read, sorted.
	Credentials, Variables []string
	// Remembers says that the provider keeps in memory what it needs to remove a
	// record that it has written.
	Remembers bool
}

type constructor func() (challenge.Provider, error)

// of makes a constructor of a provider's own.
func of[P challenge.Provider](construct func() (P, error)) constructor {
	return func() (challenge.Provider, error) {
		p, err := construct()
		if err != nil {
			return nil, err
		}
		return p, nil
	}
}

// All returns all providers of lego, whether they are in this program or not.
func All() []Provider { return table }

// Find returns the provider that a user calls by a name.
func Find(name string) (Provider, bool) {
	at := slices.IndexFunc(table, func(p Provider) bool { return slices.Contains(p.Codes, name) })
	if at < 0 {
		return Provider{}, false
	}
	return table[at], true
}

// Built reports whether the provider is in this program.
func (p Provider) Built() bool { return p.constructor() != nil }

// New makes the provider from the environment variables of this process.
func (p Provider) New() (challenge.Provider, error) { return p.constructor()() }

func (p Provider) constructor() constructor {
	if c, found := usual[p.Package]; found {
		return c
	}
	return refused[p.Package]
}
