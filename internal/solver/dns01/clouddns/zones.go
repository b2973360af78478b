package clouddns

import (
	"context"
	"net/http"
	"strings"

	dns "google.golang.org/api/dns/v1"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
)

// zone is a managed zone: its id is what Google calls its name. name is the DNS name,
// absolute and in lower case; it is empty if it is not known.
type zone struct{ id, name string }

// Zone implements dns01.Provider.
func (p *Provider) Zone(ctx context.Context, fqdn string) (string, error) {
	z, err := p.locate(ctx, fqdn)
	if err != nil {
		return "", err
	}
	if z.name != "" {
		return z.name, nil
	}
	if p.walk != nil {
		if name, err := p.walk(ctx, fqdn); err == nil {
			return dnsname.Canonical(name), nil
		}
	}
	return "", fault.New(fault.User, "ZoneUnknown",
		"the DNS name of the managed zone %s of project %q is not known: DNS does not tell it, and %s may not read the zone; allow dns.managedZones.get", z.id, p.project, p.account.name)
}

// locate returns the managed zone of a name.
func (p *Provider) locate(ctx context.Context, fqdn string) (zone, error) {
	fqdn = dnsname.Canonical(fqdn)
	z, ok := p.zones.Get(fqdn)
	if ok {
		return z, nil
	}
	find := p.search
	if p.zoneName != "" {
		find = p.configured
	}
	z, err := find(ctx, fqdn)
	if err != nil {
		return zone{}, err
	}
	p.zones.Put(fqdn, z)
	return z, nil
}

// forget drops the zone of a name: it may have been made anew.
func (p *Provider) forget(fqdn string) {
	p.zones.Forget(dnsname.Canonical(fqdn))
}

// configured returns the zone of hostedZoneName. The credentials need not have the
// permission to read it.
func (p *Provider) configured(ctx context.Context, fqdn string) (zone, error) {
	z := zone{id: p.zoneName}
	answer, err := p.service.ManagedZones.Get(p.project, z.id).Context(ctx).Do()
	switch {
	case err != nil && statusOf(err) == http.StatusForbidden && !limited(err) && reasonOf(err) != "accessNotConfigured":
		return z, nil
	case err != nil && statusOf(err) == http.StatusNotFound:
		return zone{}, fault.New(fault.User, "ZoneNotFound", "project %q has no managed zone %q; correct hostedZoneName, which is the name in Google Cloud and not the DNS name, or leave it out", p.project, z.id).Because(err)
	case err != nil:
		return zone{}, p.failure(err, "reading the managed zone "+z.id)
	}
	z.name = dnsname.Canonical(answer.DnsName)
	if !dnsname.Within(fqdn, z.name) {
		return zone{}, fault.New(fault.User, "NotInZone", "hostedZoneName %s is the zone %s: %s is not in it; set the name of its zone, or leave hostedZoneName out", z.id, z.name, fqdn)
	}
	return z, nil
}

// search returns the zone with the longest DNS name that fqdn is in. A public zone is
// preferred to a private one, which CAs on the Internet cannot see. Names of one label
// are left out.
func (p *Provider) search(ctx context.Context, fqdn string) (zone, error) {
	var private zone
	for name := fqdn; strings.Count(name, ".") > 1; name = dnsname.Parent(name) {
		var public zone
		err := p.service.ManagedZones.List(p.project).DnsName(name).Pages(ctx, func(page *dns.ManagedZonesListResponse) error {
			for _, z := range page.ManagedZones {
				switch {
				case dnsname.Canonical(z.DnsName) != name:
				case z.Visibility == "private":
					if private.id == "" {
						private = zone{z.Name, name}
					}
				case public.id == "":
					public = zone{z.Name, name}
				}
			}
			return nil
		})
		if err != nil {
			return zone{}, p.failure(err, "listing the managed zones named "+quoted(name))
		}
		if public.id != "" {
			return public, nil
		}
	}
	if private.id != "" {
		return private, nil
	}
	return zone{}, fault.New(fault.User, "ZoneNotFound",
		"No matching GoogleCloud domain found for domain %s: project %q has no managed zone for it that %s can see; create the zone in this project, correct project, or, if a CNAME record delegates the name, set cnameStrategy: Follow", fqdn, p.project, p.account.name)
}
