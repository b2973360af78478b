package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"os"
	"strings"
	"sync"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/test/nameserver"
)

const (
	// laggingNames is how many names a certificate of acme-lagging has.
	laggingNames = 5
	// lag is how far the second name server is behind.
	lag = 3 * time.Second
	// prompt and behind are the zone's name servers: their NS records lead to port 53.
	prompt = "127.53.212.1"
	behind = "127.53.212.2"
)

// probes counts the queries for challenge records that the zone's name servers get.
type probes struct {
	mu    sync.Mutex
	count map[string]int
}

// add counts a message. The CA's resolver is another address.
func (p *probes) add(m nameserver.Message) {
	if m.Update || m.Type != mdns.TypeTXT || !strings.HasPrefix(m.Name, "_acme-challenge.crt-") || !strings.HasSuffix(m.Server, ":53") {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count[m.Server+" "+strings.ToLower(m.Name)]++
}

// most returns the largest count for one name at one server, and each the average.
func (p *probes) most() (most int, each float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	total := 0
	for _, n := range p.count {
		total, most = total+n, max(most, n)
	}
	return most, float64(total) / float64(max(1, len(p.count)))
}

// measureLagging measures DNS-01 with two name servers, one of them lagging behind, and
// many challenges at once.
func measureLagging(ctx context.Context, s settings) ([]*result, error) {
	switch {
	case !s.wants(nameLagging):
		return nil, nil
	case os.Getuid() != 0:
		return []*result{{name: nameLagging, skipped: "needs root, for name servers on port 53"}}, nil
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	count := &probes{count: map[string]int{}}
	server, err := nameserver.New(nameserver.Options{
		Listen: []string{prompt + ":53"},
		// The CA asks a third address. It lags as well, but less: on a busy machine, its timers
		// can be later than those of the server that the controllers ask.
		Secondaries: []nameserver.Secondary{{Listen: behind + ":53", Delay: lag}, {Listen: "127.0.0.1:0", Delay: lag / 2}},
		Keys:        []tsig.Key{{Name: "bench.", Algorithm: tsig.SHA256, Secret: secret}},
		Zones: []nameserver.Zone{{
			Name: zone, NS: []string{"ns1", "ns2"}, Records: []string{"ns1 IN A " + prompt, "ns2 IN A " + behind}, Update: []string{"bench."},
		}},
		OnMessage: count.add,
	})
	if err != nil {
		return nil, err
	}
	if err := server.Start(ctx); err != nil {
		return nil, err
	}
	defer server.Stop()
	resolver := server.Addrs()[2]
	r, err := measureIssuer(ctx, s, scene{
		name: nameLagging, n: s.lagging, names: laggingNames, updates: server.Addr(), resolver: resolver, caResolver: resolver,
		secret: base64.StdEncoding.EncodeToString(secret), flags: []string{"--max-concurrent-challenges=300"},
	})
	if r != nil {
		r.mostProbes, r.probes = count.most()
	}
	return one(r, err)
}
