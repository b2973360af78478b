package cloudflare

import (
	"context"
	"net/http"
	"strings"

	"github.com/cloudflare/cloudflare-go/v6/dns"
	"github.com/cloudflare/cloudflare-go/v6/option"
	"github.com/cloudflare/cloudflare-go/v6/packages/pagination"
	"github.com/cloudflare/cloudflare-go/v6/zones"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/solver/dns01/vendorapi"
)

const (
	zonesPerPage   = 50  // the most that Cloudflare documents
	recordsPerPage = 100 // the default
	// maxPages bounds the pages of one list.
	maxPages = 100
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
	// The documentation wants a TXT record's content in quotes.
	txt := dns.TXTRecordParam{}
	txt.Name.Value, txt.Name.Present = name, true
	txt.Type.Value, txt.Type.Present = dns.TXTRecordTypeTXT, true
	txt.Content.Value, txt.Content.Present = `"`+r.Value+`"`, true
	txt.TTL.Value, txt.TTL.Present = dns.TTL(ttl.Seconds()), true
	params := dns.RecordNewParams{Body: txt}
	params.ZoneID.Value, params.ZoneID.Present = z.id, true

	var answer *http.Response
	made, err := p.records.New(ctx, params, option.WithResponseInto(&answer))
	q := query{method: http.MethodPost, path: "/zones/" + z.id + "/dns_records", name: name}
	if err != nil {
		return p.changeFailed(q, r.FQDN, answer, err)
	}
	if made.ID == "" {
		return p.unreadable(q, answer)
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
		params := dns.RecordDeleteParams{}
		params.ZoneID.Value, params.ZoneID.Present = z.id, true
		var answer *http.Response
		_, err := p.records.Delete(ctx, record.ID, params, option.WithResponseInto(&answer))
		if err != nil && (answer == nil || answer.StatusCode != http.StatusNotFound) {
			// The path has no record id: two failures of one kind have the same text.
			return p.changeFailed(query{method: http.MethodDelete, path: "/zones/" + z.id + "/dns_records", name: name}, r.FQDN, answer, err)
		}
	}
	return nil
}

// changeFailed is the fault for a change. The zone may be another one next time.
func (p *Provider) changeFailed(q query, fqdn string, answer *http.Response, err error) error {
	p.mu.Lock()
	delete(p.found, domain(fqdn))
	p.mu.Unlock()
	return p.failed(q, answer, err)
}

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
func (p *Provider) recordsWith(ctx context.Context, z zone, name, value string) ([]dns.RecordResponse, error) {
	params := dns.RecordListParams{}
	params.ZoneID.Value, params.ZoneID.Present = z.id, true
	params.Type.Value, params.Type.Present = dns.RecordListParamsTypeTXT, true
	params.Name.Present = true
	params.Name.Value.Exact.Value, params.Name.Value.Exact.Present = name, true
	params.Content.Present = true
	params.Content.Value.Contains.Value, params.Content.Value.Contains.Present = value, true
	params.PerPage.Value, params.PerPage.Present = recordsPerPage, true
	q := query{method: http.MethodGet, path: "/zones/" + z.id + "/dns_records?name=" + name, name: name}
	return pages(p, q, func(page int, o option.RequestOption) (*pagination.V4PagePaginationArray[dns.RecordResponse], error) {
		params.Page.Value, params.Page.Present = float64(page), true
		return p.records.List(ctx, params, o)
	})
}

// zone returns the zone of the account that is the longest suffix of a name.
func (p *Provider) zone(ctx context.Context, fqdn string) (zone, error) {
	name := domain(fqdn)
	p.mu.Lock()
	z, ok := p.found[name]
	p.mu.Unlock()
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
			p.mu.Lock()
			p.found[name] = z
			p.mu.Unlock()
			return z, nil
		}
	}
	return zone{}, p.noZone(name, asked)
}

// choose returns the zone of a name. Several accounts can have one; Cloudflare's name
// servers serve the active one.
func choose(found []zones.Zone, name string) (zone, bool) {
	var chosen zone
	for _, z := range found {
		if !strings.EqualFold(z.Name, name) || z.ID == "" {
			continue
		}
		if chosen.id == "" || z.Status == zones.ZoneStatusActive {
			chosen = zone{id: z.ID, name: name}
		}
		if z.Status == zones.ZoneStatusActive {
			break
		}
	}
	return chosen, chosen.id != ""
}

// zonesNamed returns the zones of a name.
func (p *Provider) zonesNamed(ctx context.Context, name string) ([]zones.Zone, error) {
	params := zones.ZoneListParams{}
	params.Name.Value, params.Name.Present = name, true
	params.PerPage.Value, params.PerPage.Present = zonesPerPage, true
	q := query{method: http.MethodGet, path: "/zones?name=" + name, name: name}
	return pages(p, q, func(page int, o option.RequestOption) (*pagination.V4PagePaginationArray[zones.Zone], error) {
		params.Page.Value, params.Page.Present = float64(page), true
		return p.zones.List(ctx, params, o)
	})
}

// pages returns the items of all pages. The SDK's own paging does not heed contexts.
func pages[T any](p *Provider, q query, get func(page int, o option.RequestOption) (*pagination.V4PagePaginationArray[T], error)) ([]T, error) {
	var items []T
	for page := 1; page <= maxPages; page++ {
		var answer *http.Response
		got, err := get(page, option.WithResponseInto(&answer))
		if err != nil {
			return nil, p.failed(q, answer, err)
		}
		if got.JSON.Result.IsMissing() {
			return nil, p.unreadable(q, answer)
		}
		items = append(items, got.Result...)
		if len(got.Result) == 0 || int64(len(got.Result)) < got.ResultInfo.PerPage || got.ResultInfo.PerPage == 0 {
			break
		}
	}
	return items, nil
}

// domain is a name as Cloudflare writes it.
func domain(fqdn string) string { return strings.TrimSuffix(dnsname.Canonical(fqdn), ".") }
