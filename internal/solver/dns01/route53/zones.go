package route53

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
)

// zone is a hosted zone. name is absolute and in lower case; it is empty if it is not
// known.
type zone struct{ id, name string }

// Zone implements dns01.Provider.
func (p *Provider) Zone(ctx context.Context, fqdn string) (string, error) {
	z, err := p.locate(ctx, fqdn)
	if err != nil {
		return "", vendorapi.Prefixed("failed to determine Route 53 hosted zone ID: ", err)
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
		"failed to determine Route 53 hosted zone ID: the name of the hosted zone %s is not known: DNS does not tell it, and %s may not read its records; allow route53:ListResourceRecordSets", z.id, p.login.name)
}

// locate returns the hosted zone of a name. It signs in first.
func (p *Provider) locate(ctx context.Context, fqdn string) (zone, error) {
	fqdn = dnsname.Canonical(fqdn)
	if err := p.signIn(ctx); err != nil {
		return zone{}, err
	}
	z, ok := p.zones.Get(fqdn)
	if ok {
		return z, nil
	}
	find := p.search
	if p.zoneID != "" {
		find = p.configured
	}
	z, err := find(ctx, fqdn)
	if err != nil {
		return zone{}, err
	}
	p.zones.Put(fqdn, z)
	return z, nil
}

// configured returns the zone of hostedZoneID. Its name is that of its first record
// set, which is at the apex. The credentials need not have the permission to read it.
func (p *Provider) configured(ctx context.Context, fqdn string) (zone, error) {
	z := zone{id: p.zoneID}
	answer, err := p.client.ListResourceRecordSets(ctx, &route53.ListResourceRecordSetsInput{HostedZoneId: &z.id, MaxItems: aws.Int32(1)})
	switch {
	case err != nil && code(err) == "AccessDenied":
		return z, nil
	case err != nil:
		return zone{}, p.failure(err, "reading the hosted zone "+z.id)
	case len(answer.ResourceRecordSets) == 0:
		return z, nil
	}
	z.name = dnsname.Canonical(aws.ToString(answer.ResourceRecordSets[0].Name))
	if !dnsname.Within(fqdn, z.name) {
		return zone{}, fault.New(fault.User, "NotInZone", "hostedZoneID %s is the zone %s: %s is not in it; set the id of its zone, or leave hostedZoneID out", z.id, z.name, fqdn)
	}
	return z, nil
}

// search returns the public zone with the longest name that fqdn is in. Route 53 lists
// zones by their names with the labels reversed, from a name on: a page that begins
// with a possible zone has the possible zones below it too, as far as it goes.
func (p *Provider) search(ctx context.Context, fqdn string) (zone, error) {
	var (
		best     zone
		private  []string
		from, id string // where the page begins
	)
	candidates := candidates(fqdn)
	for i := 0; i < len(candidates); {
		if from == "" {
			from = candidates[i]
		}
		page, err := p.client.ListHostedZonesByName(ctx, &route53.ListHostedZonesByNameInput{DNSName: &from, HostedZoneId: idOrNil(id)})
		if err != nil {
			return zone{}, p.failure(err, fmt.Sprintf("listing the hosted zones from %q", from))
		}
		for _, z := range page.HostedZones {
			name := dnsname.Canonical(aws.ToString(z.Name))
			zoneID := strings.TrimPrefix(aws.ToString(z.Id), "/hostedzone/")
			switch {
			case !slices.Contains(candidates, name):
			case z.Config != nil && z.Config.PrivateZone:
				private = append(private, zoneID)
			case len(name) > len(best.name):
				// Of two public zones of one name, the first counts.
				best = zone{id: zoneID, name: name}
			}
		}
		if !page.IsTruncated {
			break
		}
		next := dnsname.Canonical(aws.ToString(page.NextDNSName))
		was, wasID := from, id
		for i < len(candidates) && reversed(candidates[i]) < reversed(next) {
			i++
		}
		from, id = "", ""
		if i < len(candidates) && candidates[i] == next {
			from, id = next, aws.ToString(page.NextHostedZoneId)
			if from == was && id == wasID {
				break // A page that leads to itself.
			}
		}
	}
	if best.id == "" {
		return zone{}, p.notFound(ctx, fqdn, private)
	}
	return best, nil
}

// candidates returns the names that the zone of a name can have, the shortest first.
// That is also their order in Route 53's lists. Zones of one label are left out: all
// zones of an account may be below one.
func candidates(fqdn string) []string {
	var names []string
	for name := fqdn; strings.Count(name, ".") > 1; name = dnsname.Parent(name) {
		names = append(names, name)
	}
	slices.Reverse(names)
	return names
}

// reversed returns a name as Route 53 sorts it: "com.example." for "example.com.".
func reversed(name string) string {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	slices.Reverse(labels)
	return strings.Join(labels, ".") + "."
}

func idOrNil(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

// notFound is the fault for a name in none of the zones that the credentials see.
func (p *Provider) notFound(ctx context.Context, fqdn string, private []string) error {
	wanted := dnsname.Parent(fqdn)
	if p.walk != nil {
		if name, err := p.walk(ctx, fqdn); err == nil {
			wanted = dnsname.Canonical(name)
		}
	}
	hint := "create the zone in that account, use credentials of the account that has it, or, if a CNAME record delegates the name, set cnameStrategy: Follow"
	if len(private) > 0 {
		slices.Sort(private)
		hint = fmt.Sprintf("the private zones %s were passed over, as the CA cannot see them; if it can, set hostedZoneID", strings.Join(slices.Compact(private), ", "))
	}
	return fault.New(fault.User, "ZoneNotFound", "zone %s not found in Route 53 for domain %s: the account of %s has no public hosted zone for it; %s", wanted, fqdn, p.login.name, hint)
}

// gone reports whether a deletion has failed because there is nothing to delete.
func gone(err error) bool {
	var batch *types.InvalidChangeBatch
	var noZone *types.NoSuchHostedZone
	return errors.As(err, &noZone) || errors.As(err, &batch) && strings.Contains(batchText(batch), "not found")
}
