package acmedns

import (
	"context"
	"net/http"
	"strings"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// Zone implements dns01.Provider: the zone is the server's, above the name that it has
// given to the account. The name is that of a challenge or, at the end of its CNAME
// record, the account's.
func (p *Provider) Zone(_ context.Context, fqdn string) (string, error) {
	name := plain(fqdn)
	a, ok := p.accounts[dnsname.Identifier(fqdn)]
	if !ok {
		for _, other := range p.accounts {
			if other.FullDomain != "" && plain(other.FullDomain) == name {
				a, ok = other, true
			}
		}
	}
	if !ok {
		_, err := p.account(dnsname.Identifier(fqdn))
		return "", err
	}
	// The server's own name is above its name for the account.
	zone, found := strings.CutPrefix(plain(a.FullDomain), plain(a.SubDomain)+".")
	if !found || zone == "" {
		return "", fault.New(fault.User, "InvalidAccount", "the fulldomain %q of an account in %s is not its subdomain with the server's name", a.FullDomain, p.secret)
	}
	return zone + ".", nil
}

// Present implements dns01.Provider.
func (p *Provider) Present(ctx context.Context, r dns01.Record) error {
	a, err := p.account(r.DNSName)
	if err != nil {
		return err
	}
	if at := plain(r.FQDN); a.FullDomain != "" && at != plain(a.FullDomain) && dnsname.Identifier(r.FQDN) != plain(r.DNSName) {
		return fault.New(fault.User, "WrongAlias", "the CNAME record at _acme-challenge.%s leads to %s, but the account for domain %s in %s is that of %s: correct one of them",
			plain(r.DNSName), at, plain(r.DNSName), p.secret, plain(a.FullDomain))
	}
	var answer *http.Response
	if err := p.client.UpdateTXTRecord(record(ctx, &answer), a.Account, r.Value); err != nil {
		return p.failed(a, plain(r.DNSName), answer, err)
	}
	if answer != nil && !isJSON(answer) {
		return p.failed(a, plain(r.DNSName), answer, errNotJSON)
	}
	return nil
}

// CleanUp implements dns01.Provider: the server drops the value when it has two newer
// ones.
func (p *Provider) CleanUp(context.Context, dns01.Record) error { return nil }
