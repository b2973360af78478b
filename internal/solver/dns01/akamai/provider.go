package akamai

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// tries bounds how often a change is tried if another writer was first.
const tries = 3

// Zone implements dns01.Provider.
func (p *Provider) Zone(ctx context.Context, fqdn string) (string, error) {
	zone, err := p.zone(ctx, plain(fqdn))
	if err != nil {
		return "", err
	}
	return zone + ".", nil
}

// Present implements dns01.Provider.
func (p *Provider) Present(ctx context.Context, r dns01.Record) error {
	return p.change(ctx, r, func(zone, name string, set recordSet) (status int, err error) {
		if index(set, r.Value) >= 0 {
			return http.StatusOK, nil
		}
		doing := "adding a TXT record at " + name
		value := `"` + r.Value + `"`
		if len(set.Rdata) == 0 {
			made := recordSet{Name: name, Type: "TXT", TTL: int(ttl.Seconds()), Rdata: []string{value}}
			return p.do(ctx, http.MethodPost, setPath(zone, name), doing, made, nil)
		}
		set.Rdata = append(set.Rdata, value)
		if most := int(ttl.Seconds()); set.TTL <= 0 || set.TTL > most {
			set.TTL = most
		}
		return p.do(ctx, http.MethodPut, setPath(zone, name), doing, set, nil)
	})
}

// CleanUp implements dns01.Provider.
func (p *Provider) CleanUp(ctx context.Context, r dns01.Record) error {
	return p.change(ctx, r, func(zone, name string, set recordSet) (status int, err error) {
		if index(set, r.Value) < 0 {
			return http.StatusOK, nil
		}
		set.Rdata = slices.DeleteFunc(slices.Clone(set.Rdata), func(text string) bool { return equal(text, r.Value) })
		doing := "removing a TXT record at " + name
		if len(set.Rdata) > 0 {
			return p.do(ctx, http.MethodPut, setPath(zone, name), doing, set, nil)
		}
		status, err = p.do(ctx, http.MethodDelete, setPath(zone, name), doing, nil, nil)
		if status == http.StatusNotFound {
			return status, nil
		}
		return status, err
	})
}

// change reads the TXT records at a name and has a function change them, again if another
// writer was first. The records of a set have no versions, so that a writer in another
// process can be overwritten nevertheless.
func (p *Provider) change(ctx context.Context, r dns01.Record, write func(zone, name string, set recordSet) (status int, err error)) error {
	name := plain(r.FQDN)
	done, err := p.turns.take(ctx, p.signer.Host+" "+name)
	if err != nil {
		return vendorapi.Prefixed(prefix, vendorapi.Failure{Vendor: "the Edge DNS API", Doing: "changing the TXT records at " + name, Err: err}.Fault(p.clock.Now()))
	}
	defer done()
	zone, err := p.zone(ctx, name)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		var set recordSet
		status, err := p.do(ctx, http.MethodGet, setPath(zone, name), "reading the TXT records at "+name, nil, &set)
		switch {
		case status == http.StatusNotFound:
			set = recordSet{}
		case err != nil:
			return err
		}
		set.Name, set.Type = name, "TXT"
		status, err = write(zone, name, set)
		if err == nil {
			return nil
		}
		if status != http.StatusConflict || try == tries {
			p.forget(name, status)
			return err
		}
	}
}

// zone returns the zone that is the longest suffix of a name, of those that the API client
// sees.
func (p *Provider) zone(ctx context.Context, name string) (string, error) {
	if strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.*", r) }) {
		return "", badName(name)
	}
	zone, ok := p.found.Get(name)
	if ok {
		return zone, nil
	}
	var all zoneList
	if _, err := p.do(ctx, http.MethodGet, zonesPath+"?showAll=true", "listing the zones", nil, &all); err != nil {
		return "", err
	}
	kind := ""
	for _, z := range all.Zones {
		at := plain(z.Zone)
		if at != "" && len(at) > len(zone) && (name == at || strings.HasSuffix(name, "."+at)) {
			zone, kind = at, z.Type
		}
	}
	switch {
	case zone == "":
		return "", p.noZone(name)
	case !strings.EqualFold(kind, "primary"):
		return "", notPrimary(name, zone, fmt.Sprintf("a zone of type %s", kind))
	}
	p.found.Put(name, zone)
	return zone, nil
}

// forget has the zone of a name looked up again if an answer says that it is gone.
func (p *Provider) forget(name string, status int) {
	if status != http.StatusNotFound {
		return
	}
	p.found.Forget(name)
}

// index is where a value is in a set, or -1.
func index(set recordSet, value string) int {
	return slices.IndexFunc(set.Rdata, func(text string) bool { return equal(text, value) })
}

// equal reports whether the text of a TXT record, in quotes, is a value.
func equal(text, value string) bool { return text == value || text == `"`+value+`"` }

// plain is a name without the final dot, in lower case.
func plain(fqdn string) string { return strings.TrimSuffix(dnsname.Canonical(fqdn), ".") }
