package cloudflare

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// Zone implements dns01.Provider.
func (p *Provider) Zone(ctx context.Context, fqdn string) (string, error) {
	z, err := p.zone(ctx, fqdn)
	if err != nil {
		return "", err
	}
	return z.name + ".", nil
}

// Present implements dns01.Provider.
func (p *Provider) Present(ctx context.Context, r dns01.Record) error {
	z, err := p.zone(ctx, r.FQDN)
	if err != nil {
		return err
	}
	name := domain(r.FQDN)
	q := query{method: http.MethodPost, path: recordsPath(z), name: name}
	// The documentation wants a TXT record's content in quotes.
	record := txtRecord{Type: "TXT", Name: name, Content: `"` + r.Value + `"`, TTL: int(ttl.Seconds())}
	var made txtRecord
	_, _, err = p.do(ctx, q, q.path, record, &made)
	switch {
	case errors.Is(err, errExists):
		return nil
	case err != nil:
		p.forget(name)
		return err
	case made.ID == "":
		return p.unreadable(q, nil)
	}
	return nil
}

// CleanUp implements dns01.Provider.
func (p *Provider) CleanUp(ctx context.Context, r dns01.Record) error {
	z, err := p.zone(ctx, r.FQDN)
	if err != nil {
		return err
	}
	name := domain(r.FQDN)
	found, err := p.recordsWith(ctx, z, name, r.Value)
	if err != nil {
		return err
	}
	for _, record := range found {
		if text(record.Content) != r.Value {
			continue
		}
		// The path has no record id: two failures of one kind have the same text.
		q := query{method: http.MethodDelete, path: recordsPath(z), name: name}
		if _, missing, err := p.do(ctx, q, recordsPath(z)+"/"+url.PathEscape(record.ID), nil, nil); err != nil && !missing {
			p.forget(name)
			return err
		}
	}
	return nil
}

// forget has the zone of a name looked up again: it may be another one.
func (p *Provider) forget(name string) {
	p.found.Forget(name)
}

func recordsPath(z zone) string { return "/zones/" + url.PathEscape(z.id) + "/dns_records" }

// text is the text of a TXT record's content, which is in quotes or, in older records,
// is not.
func text(content string) string {
	if len(content) >= 2 && strings.HasPrefix(content, `"`) && strings.HasSuffix(content, `"`) {
		return content[1 : len(content)-1]
	}
	return content
}

// recordsWith returns the TXT records at a name whose content has a value in it, in
// capitals or not. Lists of all records of the name would change between two pages while
// others remove theirs.
func (p *Provider) recordsWith(ctx context.Context, z zone, name, value string) ([]txtRecord, error) {
	q := query{method: http.MethodGet, path: recordsPath(z) + "?name=" + name, name: name}
	filter := url.Values{"type": {"TXT"}, "name.exact": {name}, "content.contains": {value}}
	return list[txtRecord](ctx, p, q, recordsPath(z), filter, recordsPerPage)
}

// zone returns the zone of the account that is the longest suffix of a name.
func (p *Provider) zone(ctx context.Context, fqdn string) (zone, error) {
	name := domain(fqdn)
	z, ok := p.found.Get(name)
	if ok {
		return z, nil
	}
	var asked []string
	for at := name; strings.Contains(at, "."); _, at, _ = strings.Cut(at, ".") {
		zones, err := p.zonesNamed(ctx, at)
		if f := fault.Of(err); f != nil {
			if len(asked) > 0 && (f.Reason == "Forbidden" || strings.Contains(f.Message, "com.cloudflare.api.account.zone.list")) {
				// Tokens for single zones may list no others, such as a public
				// suffix: this would hide that the zone is not among them.
				break
			}
			return zone{}, vendorapi.Prefixed("while attempting to find Zones for domain "+name+"\n", f)
		}
		asked = append(asked, at)
		if z, ok := choose(zones, at); ok {
			p.found.Put(name, z)
			return z, nil
		}
	}
	return zone{}, p.noZone(name, asked)
}

// active is the status of a zone that Cloudflare serves.
const active = "active"

// choose returns the zone of a name. Several accounts can have one; Cloudflare's name
// servers serve the active one.
func choose(found []listedZone, name string) (zone, bool) {
	var chosen zone
	for _, z := range found {
		if !strings.EqualFold(z.Name, name) || z.ID == "" {
			continue
		}
		if chosen.id == "" || z.Status == active {
			chosen = zone{id: z.ID, name: name}
		}
		if z.Status == active {
			break
		}
	}
	return chosen, chosen.id != ""
}

// zonesNamed returns the zones of a name.
func (p *Provider) zonesNamed(ctx context.Context, name string) ([]listedZone, error) {
	q := query{method: http.MethodGet, path: "/zones?name=" + name, name: name}
	return list[listedZone](ctx, p, q, "/zones", url.Values{"name": {name}}, zonesPerPage)
}

// domain is a name as Cloudflare writes it.
func domain(fqdn string) string { return strings.TrimSuffix(dnsname.Canonical(fqdn), ".") }
