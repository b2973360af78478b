package route53

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

const (
	// ttl is that of the records that cert-manager writes. A record set is deleted only
	// by its TTL too, so that both can remove each other's.
	ttl = 10 * time.Second
	// changePeriod is how often Route 53 is asked whether a change has reached its name
	// servers; it takes 60 s at most as a rule. An account may send 5 requests a second.
	changePeriod = 4 * time.Second
)

// Present implements dns01.Provider.
func (p *Provider) Present(ctx context.Context, r dns01.Record) error {
	return p.change(ctx, r, types.ChangeActionUpsert)
}

// CleanUp implements dns01.Provider.
func (p *Provider) CleanUp(ctx context.Context, r dns01.Record) error {
	return p.change(ctx, r, types.ChangeActionDelete)
}

// change writes or deletes the record set of one value. A batch is all or nothing.
func (p *Provider) change(ctx context.Context, r dns01.Record, action types.ChangeAction) error {
	z, err := p.locate(ctx, r.FQDN)
	if err != nil {
		return vendorapi.Prefixed("failed to determine Route 53 hosted zone ID: ", err)
	}
	value := `"` + r.Value + `"`
	answer, err := p.client.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{
		HostedZoneId: &z.id,
		ChangeBatch: &types.ChangeBatch{
			Comment: aws.String("Managed by cert-manager"),
			Changes: []types.Change{{Action: action, ResourceRecordSet: &types.ResourceRecordSet{
				Name: &r.FQDN, Type: types.RRTypeTxt, TTL: aws.Int64(int64(ttl / time.Second)),
				SetIdentifier: &value, MultiValueAnswer: aws.Bool(true),
				ResourceRecords: []types.ResourceRecord{{Value: &value}},
			}}},
		},
	})
	if action == types.ChangeActionDelete && gone(err) {
		err = nil
	}
	if err != nil {
		p.zones.Forget(dnsname.Canonical(r.FQDN))
		return vendorapi.Prefixed("failed to change Route 53 record set: ", p.failed(err, r, z, "changing the TXT record at "+r.FQDN+" in the hosted zone "+z.id))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.changes, r)
	if action == types.ChangeActionUpsert && answer.ChangeInfo != nil {
		p.changes[r] = aws.ToString(answer.ChangeInfo.Id)
	}
	return nil
}

// Settled implements dns01.Settler. It asks once.
func (p *Provider) Settled(ctx context.Context, r dns01.Record, _ time.Time) (time.Time, error) {
	p.mu.Lock()
	id := p.changes[r]
	p.mu.Unlock()
	if id == "" {
		return time.Time{}, nil
	}
	if err := p.signIn(ctx); err != nil {
		return time.Time{}, err
	}
	answer, err := p.client.GetChange(ctx, &route53.GetChangeInput{Id: &id})
	var unknown *types.NoSuchChange
	switch {
	case errors.As(err, &unknown):
		// It has been done for so long that Route 53 has forgotten it.
	case err != nil:
		return time.Time{}, p.failed(err, r, zone{}, "asking for the state of the change of "+r.FQDN)
	case answer.ChangeInfo == nil || answer.ChangeInfo.Status != types.ChangeStatusInsync:
		return p.clock.Now().Add(changePeriod), nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changes[r] == id {
		delete(p.changes, r)
	}
	return time.Time{}, nil
}
