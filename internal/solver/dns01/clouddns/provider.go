package clouddns

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	dns "google.golang.org/api/dns/v1"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

const (
	// ttl is that of new record sets. Google documents no least one; this is
	// cert-manager's.
	ttl = time.Minute
	// changePeriod is how often Cloud DNS is asked for the state of a change.
	changePeriod = 2 * time.Second
	// maxAttempts bounds how often a change is made anew because another one came
	// between; pause is the longest wait before that.
	maxAttempts = 8
	pause       = 250 * time.Millisecond
)

// Present implements dns01.Provider.
func (p *Provider) Present(ctx context.Context, r dns01.Record) error {
	return p.edit(ctx, r, true)
}

// CleanUp implements dns01.Provider.
func (p *Provider) CleanUp(ctx context.Context, r dns01.Record) error {
	return p.edit(ctx, r, false)
}

// edit adds or removes one value. It reads the record set and replaces exactly that one:
// if it is another one by then, Cloud DNS refuses, and edit begins anew.
func (p *Provider) edit(ctx context.Context, r dns01.Record, add bool) error {
	z, err := p.locate(ctx, r.FQDN)
	if err != nil {
		return err
	}
	doing := "changing the TXT record at " + r.FQDN + " in the managed zone " + z.id
	for attempt := 1; ; attempt++ {
		set, err := p.read(ctx, z, r.FQDN)
		if err != nil && !add && statusOf(err) == http.StatusNotFound {
			return nil
		}
		if err != nil {
			p.forget(r.FQDN)
			return p.failure(err, "reading the TXT record at "+r.FQDN+" in the managed zone "+z.id)
		}
		wanted := edited(set, r, add)
		if wanted == nil {
			p.changed(r, change{})
			return nil
		}
		done, err := p.service.Changes.Create(p.project, z.id, wanted).Context(ctx).Do()
		switch {
		case err == nil && add:
			p.changed(r, change{z.id, done.Id})
			return nil
		case err == nil:
			p.changed(r, change{})
			return nil
		case !overtaken(err):
			return p.refused(err, r, doing)
		case attempt == maxAttempts:
			return fault.Until(p.clock.Now().Add(changePeriod), "ConcurrentChanges",
				"others change the TXT record at %s in the managed zone %s at the same time, more often than everleaf can read it", r.FQDN, z.id).Because(err)
		}
		select {
		case <-ctx.Done():
			return p.failure(ctx.Err(), doing)
		case <-time.After(rand.N(pause)):
		}
	}
}

// read returns the TXT record set of a name, nil if it has none.
func (p *Provider) read(ctx context.Context, z zone, fqdn string) (*dns.ResourceRecordSet, error) {
	name := dnsname.Canonical(fqdn)
	answer, err := p.service.ResourceRecordSets.List(p.project, z.id).Name(name).Type("TXT").Context(ctx).Do()
	if err != nil {
		return nil, err
	}
	for _, set := range answer.Rrsets {
		if dnsname.Canonical(set.Name) == name && set.Type == "TXT" {
			return set, nil
		}
	}
	return nil, nil
}

// edited returns the change that adds or removes a value, nil if there is nothing to do.
// The values of others stay as they are, and so does the TTL that they have.
func edited(set *dns.ResourceRecordSet, r dns01.Record, add bool) *dns.Change {
	wanted := &dns.ResourceRecordSet{Name: dnsname.Canonical(r.FQDN), Type: "TXT", Ttl: int64(ttl / time.Second)}
	var change dns.Change
	has := false
	if set != nil {
		mine := func(data string) bool { return strings.Trim(data, `"`) == r.Value }
		has = slices.ContainsFunc(set.Rrdatas, mine)
		wanted.Name, wanted.Ttl = set.Name, set.Ttl
		wanted.Rrdatas = slices.DeleteFunc(slices.Clone(set.Rrdatas), mine)
		change.Deletions = []*dns.ResourceRecordSet{{Name: set.Name, Type: set.Type, Ttl: set.Ttl, Rrdatas: set.Rrdatas}}
		if set.Ttl == 0 {
			// The SDK omits zeros.
			wanted.ForceSendFields = []string{"Ttl"}
			change.Deletions[0].ForceSendFields = []string{"Ttl"}
		}
	}
	if add == has {
		return nil
	}
	if add {
		wanted.Rrdatas = append(wanted.Rrdatas, quoted(r.Value))
	}
	if len(wanted.Rrdatas) > 0 {
		change.Additions = []*dns.ResourceRecordSet{wanted}
	}
	return &change
}

func (p *Provider) changed(r dns01.Record, c change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.changes, r)
	if c.id != "" {
		p.changes[r] = c
	}
}

// Settled implements dns01.Settler. It asks once.
func (p *Provider) Settled(ctx context.Context, r dns01.Record, _ time.Time) (time.Time, error) {
	p.mu.Lock()
	c := p.changes[r]
	p.mu.Unlock()
	if c.id == "" {
		return time.Time{}, nil
	}
	answer, err := p.service.Changes.Get(p.project, c.zone, c.id).Context(ctx).Do()
	switch {
	case err != nil && statusOf(err) == http.StatusNotFound:
		// The zone has been deleted, or the change forgotten: the probe tells.
	case err != nil:
		return time.Time{}, p.failure(err, "asking for the state of the change of "+r.FQDN)
	case answer.Status != "done":
		return p.clock.Now().Add(changePeriod), nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changes[r] == c {
		delete(p.changes, r)
	}
	return time.Time{}, nil
}

func quoted(text string) string { return strconv.Quote(text) }
