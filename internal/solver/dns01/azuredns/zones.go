package azuredns

import (
	"context"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/dns/armdns"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/privatedns/armprivatedns"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
)

// The values of Config.ZoneType.
const (
	publicZone  = string(acmev1.AzurePublicZone)
	privateZone = string(acmev1.AzurePrivateZone)
)

// api is what Azure DNS and Azure Private DNS have in common. Zones have no final dot,
// and names are relative to the zone.
type api interface {
	// zones lists the zones of the resource group.
	zones(ctx context.Context) ([]string, error)
	// zone fails if there is no such zone.
	zone(ctx context.Context, zone string) error
	// get returns the TXT record set at a name.
	get(ctx context.Context, zone, name string) (*recordSet, error)
	// put writes the record set: a new one if it has no etag, and else over the one with
	// that etag.
	put(ctx context.Context, zone, name string, set *recordSet) error
	// remove removes the record set with the etag.
	remove(ctx context.Context, zone, name, etag string) error
}

// recordSet is a TXT record set, with all that can be set of it.
type recordSet struct {
	etag     string
	ttl      *int64
	metadata map[string]*string
	// values are the records; each has one string or more.
	values [][]*string
}

// has reports whether the set has a value.
func (s *recordSet) has(value string) bool {
	for _, v := range s.values {
		if joined(v) == value {
			return true
		}
	}
	return false
}

// without returns the records that do not have a value.
func (s *recordSet) without(value string) [][]*string {
	var rest [][]*string
	for _, v := range s.values {
		if joined(v) != value {
			rest = append(rest, v)
		}
	}
	return rest
}

// joined is the value of a record (RFC 7208 section 3.3 joins the strings likewise).
func joined(parts []*string) string {
	var b strings.Builder
	for _, part := range parts {
		if part != nil {
			b.WriteString(*part)
		}
	}
	return b.String()
}

// match returns the values of If-Match and If-None-Match for a put.
func (s *recordSet) match() (match, none *string) {
	if s.etag == "" {
		return nil, to.Ptr("*")
	}
	return &s.etag, nil
}

func value[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}

// public is Azure DNS.
type public struct {
	group string
	list  *armdns.ZonesClient
	sets  *armdns.RecordSetsClient
}

func newPublic(c Config, credential azcore.TokenCredential, options *arm.ClientOptions) (api, error) {
	zones, err := armdns.NewZonesClient(c.SubscriptionID, credential, options)
	if err != nil {
		return nil, err
	}
	sets, err := armdns.NewRecordSetsClient(c.SubscriptionID, credential, options)
	return public{c.ResourceGroupName, zones, sets}, err
}

func (a public) zones(ctx context.Context) ([]string, error) {
	var names []string
	pager := a.list.NewListByResourceGroupPager(a.group, nil)
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, z := range page.Value {
			names = append(names, value(value(z).Name))
		}
	}
	return names, nil
}

func (a public) zone(ctx context.Context, zone string) error {
	_, err := a.list.Get(ctx, a.group, zone, nil)
	return err
}

func (a public) get(ctx context.Context, zone, name string) (*recordSet, error) {
	answer, err := a.sets.Get(ctx, a.group, zone, url.PathEscape(name), armdns.RecordTypeTXT, nil)
	if err != nil {
		return nil, err
	}
	p := value(answer.Properties)
	set := &recordSet{etag: value(answer.Etag), ttl: p.TTL, metadata: p.Metadata}
	for _, r := range p.TxtRecords {
		set.values = append(set.values, value(r).Value)
	}
	return set, nil
}

func (a public) put(ctx context.Context, zone, name string, set *recordSet) error {
	p := &armdns.RecordSetProperties{TTL: set.ttl, Metadata: set.metadata}
	for _, v := range set.values {
		p.TxtRecords = append(p.TxtRecords, &armdns.TxtRecord{Value: v})
	}
	options := &armdns.RecordSetsClientCreateOrUpdateOptions{}
	options.IfMatch, options.IfNoneMatch = set.match()
	_, err := a.sets.CreateOrUpdate(ctx, a.group, zone, url.PathEscape(name), armdns.RecordTypeTXT, armdns.RecordSet{Properties: p}, options)
	return err
}

func (a public) remove(ctx context.Context, zone, name, etag string) error {
	_, err := a.sets.Delete(ctx, a.group, zone, url.PathEscape(name), armdns.RecordTypeTXT, &armdns.RecordSetsClientDeleteOptions{IfMatch: &etag})
	return err
}

// private is Azure Private DNS.
type private struct {
	group string
	list  *armprivatedns.PrivateZonesClient
	sets  *armprivatedns.RecordSetsClient
}

func newPrivate(c Config, credential azcore.TokenCredential, options *arm.ClientOptions) (api, error) {
	zones, err := armprivatedns.NewPrivateZonesClient(c.SubscriptionID, credential, options)
	if err != nil {
		return nil, err
	}
	sets, err := armprivatedns.NewRecordSetsClient(c.SubscriptionID, credential, options)
	return private{c.ResourceGroupName, zones, sets}, err
}

func (a private) zones(ctx context.Context) ([]string, error) {
	var names []string
	pager := a.list.NewListByResourceGroupPager(a.group, nil)
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, z := range page.Value {
			names = append(names, value(value(z).Name))
		}
	}
	return names, nil
}

func (a private) zone(ctx context.Context, zone string) error {
	_, err := a.list.Get(ctx, a.group, zone, nil)
	return err
}

func (a private) get(ctx context.Context, zone, name string) (*recordSet, error) {
	answer, err := a.sets.Get(ctx, a.group, zone, armprivatedns.RecordTypeTXT, url.PathEscape(name), nil)
	if err != nil {
		return nil, err
	}
	p := value(answer.Properties)
	set := &recordSet{etag: value(answer.Etag), ttl: p.TTL, metadata: p.Metadata}
	for _, r := range p.TxtRecords {
		set.values = append(set.values, value(r).Value)
	}
	return set, nil
}

func (a private) put(ctx context.Context, zone, name string, set *recordSet) error {
	p := &armprivatedns.RecordSetProperties{TTL: set.ttl, Metadata: set.metadata}
	for _, v := range set.values {
		p.TxtRecords = append(p.TxtRecords, &armprivatedns.TxtRecord{Value: v})
	}
	options := &armprivatedns.RecordSetsClientCreateOrUpdateOptions{}
	options.IfMatch, options.IfNoneMatch = set.match()
	_, err := a.sets.CreateOrUpdate(ctx, a.group, zone, armprivatedns.RecordTypeTXT, url.PathEscape(name), armprivatedns.RecordSet{Properties: p}, options)
	return err
}

func (a private) remove(ctx context.Context, zone, name, etag string) error {
	_, err := a.sets.Delete(ctx, a.group, zone, armprivatedns.RecordTypeTXT, url.PathEscape(name), &armprivatedns.RecordSetsClientDeleteOptions{IfMatch: &etag})
	return err
}
