package digitalocean

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/digitalocean/godo"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

const (
	// perPage is the most that DigitalOcean documents.
	perPage = 200
	// maxPages bounds the pages of one list.
	maxPages = 100
)

// Zone implements dns01.Provider.
func (p *Provider) Zone(ctx context.Context, fqdn string) (string, error) {
	domain, err := p.domain(ctx, fqdn)
	if err != nil {
		return "", err
	}
	return domain + ".", nil
}

// Present implements dns01.Provider.
func (p *Provider) Present(ctx context.Context, r dns01.Record) error {
	domain, err := p.domain(ctx, r.FQDN)
	if err != nil {
		return err
	}
	// DigitalOcean takes the same record twice.
	found, err := p.records(ctx, domain, r)
	if err != nil || len(found) > 0 {
		return err
	}
	_, _, err = p.domains.CreateRecord(ctx, url.PathEscape(domain), &godo.DomainRecordEditRequest{
		Type: "TXT", Name: label(r.FQDN, domain), Data: r.Value, TTL: int(ttl.Seconds()),
	})
	if err != nil {
		return p.failed(query{doing: "adding a TXT record at " + plain(r.FQDN), scope: "domain:create"}, err)
	}
	return nil
}

// CleanUp implements dns01.Provider.
func (p *Provider) CleanUp(ctx context.Context, r dns01.Record) error {
	domain, err := p.domain(ctx, r.FQDN)
	if err != nil {
		return err
	}
	found, err := p.records(ctx, domain, r)
	if err != nil {
		return err
	}
	for _, record := range found {
		answer, err := p.domains.DeleteRecord(ctx, url.PathEscape(domain), record.ID)
		if err != nil && !missing(answer) {
			return p.failed(query{doing: "removing a TXT record at " + plain(r.FQDN), scope: "domain:delete"}, err)
		}
	}
	return nil
}

// records returns the TXT records at a name whose data is the value: more than one if two
// writers have added it at once.
func (p *Provider) records(ctx context.Context, domain string, r dns01.Record) ([]godo.DomainRecord, error) {
	name := plain(r.FQDN)
	var equal []godo.DomainRecord
	for page := 1; page <= maxPages; page++ {
		found, answer, err := p.domains.RecordsByTypeAndName(ctx, url.PathEscape(domain), "TXT", url.QueryEscape(name),
			&godo.ListOptions{Page: page, PerPage: perPage})
		if err != nil {
			if missing(answer) {
				p.forget(name)
			}
			return nil, p.failed(query{doing: "listing the TXT records at " + name, scope: "domain:read"}, err)
		}
		for _, record := range found {
			if record.Type == "TXT" && record.Name == label(r.FQDN, domain) && record.Data == r.Value {
				equal = append(equal, record)
			}
		}
		if answer.Links == nil || answer.Links.IsLastPage() || len(found) == 0 {
			break
		}
	}
	return equal, nil
}

// domain returns the domain of the account that is the longest suffix of a name.
func (p *Provider) domain(ctx context.Context, fqdn string) (string, error) {
	name := plain(fqdn)
	domain, ok := p.found.Get(name)
	if ok {
		return domain, nil
	}
	var asked []string
	// A list of all domains has all their zone files.
	for at := name; strings.Contains(at, "."); _, at, _ = strings.Cut(at, ".") {
		_, answer, err := p.domains.Get(ctx, url.PathEscape(at))
		switch {
		case err == nil:
			p.found.Put(name, at)
			return at, nil
		case !missing(answer):
			return "", p.failed(query{doing: "looking up the domain " + at, scope: "domain:read"}, err)
		}
		asked = append(asked, at)
	}
	return "", p.noDomain(name, asked)
}

// forget has the domain of a name looked up again.
func (p *Provider) forget(name string) {
	p.found.Forget(name)
}

func missing(answer *godo.Response) bool {
	return answer != nil && answer.Response != nil && answer.StatusCode == http.StatusNotFound
}

// plain is a name without the final dot, in lower case.
func plain(fqdn string) string { return strings.TrimSuffix(dnsname.Canonical(fqdn), ".") }

// label is a name as it is in its domain.
func label(fqdn, domain string) string {
	if name := plain(fqdn); name != domain {
		return strings.TrimSuffix(name, "."+domain)
	}
	return "@"
}
