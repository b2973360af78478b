package azuredns

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// maxWrites bounds how often one call reads a record set and writes it, if others write
// it in between. One of the writers succeeds each time.
const maxWrites = 8

// Present implements dns01.Provider. It adds the value to the record set of the name,
// and makes the set if there is none.
func (p *Provider) Present(ctx context.Context, r dns01.Record) error {
	zone, err := p.Zone(ctx, r.FQDN)
	if err != nil {
		return err
	}
	for range maxWrites {
		set, err := p.read(ctx, zone, r.FQDN)
		switch {
		case err != nil:
			return err
		case set == nil:
			set = &recordSet{ttl: to.Ptr[int64](ttl)}
		case set.has(r.Value):
			return nil
		}
		set.values = append(set.values, []*string{&r.Value})
		if err := p.write(ctx, zone, r.FQDN, set); statusOf(err) != http.StatusPreconditionFailed {
			return err
		}
	}
	return busy(zone, r.FQDN)
}

// CleanUp implements dns01.Provider. It removes the value, and the record set with the
// last one.
func (p *Provider) CleanUp(ctx context.Context, r dns01.Record) error {
	zone, err := p.Zone(ctx, r.FQDN)
	if err != nil {
		return err
	}
	for range maxWrites {
		set, err := p.read(ctx, zone, r.FQDN)
		switch {
		case codeOf(err) == parentNotFound:
			return nil // the zone has gone, and its records with it
		case err != nil || set == nil || !set.has(r.Value):
			return err
		}
		if set.values = set.without(r.Value); len(set.values) == 0 {
			err = p.remove(ctx, zone, r.FQDN, set.etag)
		} else {
			err = p.write(ctx, zone, r.FQDN, set)
		}
		switch statusOf(err) {
		case http.StatusPreconditionFailed, http.StatusNotFound:
			// Somebody has changed it: it may be gone.
		default:
			return err
		}
	}
	return busy(zone, r.FQDN)
}

func busy(zone, fqdn string) *fault.Error {
	return fault.New(fault.Transient, "Busy", "others have changed the TXT record set at %s in zone %s each time that it was to be written; it is tried again later", dnsname.Canonical(fqdn), zone)
}

// read returns the record set at a name, nil if there is none.
func (p *Provider) read(ctx context.Context, zone, fqdn string) (*recordSet, error) {
	var set *recordSet
	err := p.call(ctx, "reading the TXT record set at "+where(zone, fqdn), func(ctx context.Context) error {
		var err error
		set, err = p.api.get(ctx, bare(zone), relative(zone, fqdn))
		return err
	})
	switch {
	case statusOf(err) == http.StatusNotFound && !zoneMissing(err):
		// Azure answers so for a set that does not exist, with code NotFound.
		return nil, nil
	case err != nil:
		return nil, p.inZone(zone, fqdn, err)
	case set.etag == "":
		// Without one, the next write would not notice those of others.
		return nil, fault.New(fault.Transient, "UnexpectedAnswer", "%s sent no etag for the TXT record set at %s", vendor, where(zone, fqdn))
	}
	return set, nil
}

func (p *Provider) write(ctx context.Context, zone, fqdn string, set *recordSet) error {
	return p.inZone(zone, fqdn, p.call(ctx, "writing the TXT record set at "+where(zone, fqdn), func(ctx context.Context) error {
		return p.api.put(ctx, bare(zone), relative(zone, fqdn), set)
	}))
}

func (p *Provider) remove(ctx context.Context, zone, fqdn, etag string) error {
	return p.inZone(zone, fqdn, p.call(ctx, "removing the TXT record set at "+where(zone, fqdn), func(ctx context.Context) error {
		return p.api.remove(ctx, bare(zone), relative(zone, fqdn), etag)
	}))
}

// inZone is the error of a request for a name. If the zone does not exist, it is looked
// for again next time.
func (p *Provider) inZone(zone, fqdn string, err error) error {
	if statusOf(err) != http.StatusNotFound {
		return err
	}
	p.found.Forget(dnsname.Canonical(fqdn))
	return p.noZone(zone, fqdn, err)
}

// Zone implements dns01.Provider. The zone is the one that the issuer names, or the
// longest of the resource group that the name is in.
func (p *Provider) Zone(ctx context.Context, fqdn string) (string, error) {
	fqdn = dnsname.Canonical(fqdn)
	if zone := p.config.HostedZoneName; zone != "" {
		if !dnsname.Within(fqdn, zone) {
			return "", fault.New(fault.User, "ZoneNotFound", "%s is not in the zone %s of hostedZoneName; leave hostedZoneName out, or give the name another solver", fqdn, zone)
		}
		return zone, nil
	}
	zone, ok := p.found.Get(fqdn)
	if ok {
		return zone, nil
	}
	zone, err := p.lookUp(ctx, fqdn)
	if err != nil {
		return "", err
	}
	p.found.Put(fqdn, zone)
	return zone, nil
}

// lookUp finds the zone of a name in the resource group.
func (p *Provider) lookUp(ctx context.Context, fqdn string) (string, error) {
	var zones []string
	err := p.call(ctx, fmt.Sprintf("listing the %s zones of resource group %q", p.zoneKind(), p.config.ResourceGroupName), func(ctx context.Context) error {
		var err error
		zones, err = p.api.zones(ctx)
		return err
	})
	switch statusOf(err) {
	case 0:
		if err != nil {
			return "", err
		}
	case http.StatusForbidden:
		return p.probe(ctx, fqdn, err)
	case http.StatusNotFound:
		return "", p.noZone(domain(fqdn), fqdn, err)
	default:
		return "", err
	}
	best := ""
	for i, zone := range zones {
		zones[i] = dnsname.Canonical(zone)
		if dnsname.Within(fqdn, zones[i]) && len(zones[i]) > len(best) {
			best = zones[i]
		}
	}
	if best == "" {
		return "", p.noZone(domain(fqdn), fqdn, noneOf(p.zoneKind(), p.config, zones))
	}
	return best, nil
}

// probe finds the zone of a name if the identity may not list the zones of the resource
// group: a role that was assigned at a zone allows to read that zone.
func (p *Provider) probe(ctx context.Context, fqdn string, forbidden error) (string, error) {
	for zone := fqdn; strings.Count(zone, ".") > 1; zone = dnsname.Parent(zone) {
		err := p.call(ctx, fmt.Sprintf("reading the zone %s", zone), func(ctx context.Context) error {
			return p.api.zone(ctx, bare(zone))
		})
		switch {
		case err == nil:
			return zone, nil
		case statusOf(err) != http.StatusForbidden && statusOf(err) != http.StatusNotFound:
			return "", err
		}
	}
	return "", forbidden
}

func (p *Provider) zoneKind() string {
	if p.config.ZoneType == privateZone {
		return "private"
	}
	return "public"
}

// relative returns a name as Azure has it in a zone: without the zone, and "@" for the
// zone itself.
func relative(zone, fqdn string) string {
	fqdn = dnsname.Canonical(fqdn)
	if fqdn == zone {
		return "@"
	}
	return strings.TrimSuffix(fqdn, "."+zone)
}

// bare returns a zone without the final dot.
func bare(zone string) string { return strings.TrimSuffix(zone, ".") }

// where names a record set in messages.
func where(zone, fqdn string) string {
	return fmt.Sprintf("%s in zone %s", dnsname.Canonical(fqdn), zone)
}

// domain returns the absolute name that the challenge name is for.
func domain(fqdn string) string { return dnsname.Canonical(dnsname.Identifier(fqdn)) }

// listed joins names for a message, in order and no more than ten.
func listed(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	if more := len(names) - 10; more > 0 {
		names = append(names[:10], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}
