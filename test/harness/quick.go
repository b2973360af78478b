package harness

import (
	"bytes"
	"context"
	"encoding/base64"
	"sync"
	"testing"

	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/nameserver"
	"github.com/everleaf/everleaf/test/pebble"
)

// Quick is an ACME server and a name server without delays.
type Quick struct {
	DNS *nameserver.Server
	CA  *pebble.Server
	// Orders counts the orders that the server has created.
	Orders *Count
	// Key may update the zone example.com.
	Key named.Key
}

// QuickOptions describe a Quick.
type QuickOptions struct {
	// OnMessage is called for every DNS message.
	OnMessage func(nameserver.Message)
	// Clock is that of the name server; nil means the machine's.
	Clock clock.PassiveClock
	// Pebble changes the ACME server's options.
	Pebble func(*pebble.Options)
}

const quickSecret = "0123456789abcdef0123456789abcdef"

// QuickACME starts the servers for one test. Validations are real, nonces are
// never rejected, and authorizations are not reused.
func QuickACME(tb testing.TB, o QuickOptions) *Quick {
	tb.Helper()
	q := &Quick{
		Orders: &Count{Text: []byte("Added order ")},
		Key: named.Key{
			Name: "quick", Algorithm: "hmac-sha256", Secret: base64.StdEncoding.EncodeToString([]byte(quickSecret)),
		},
	}
	var err error
	q.DNS, err = nameserver.New(nameserver.Options{
		Listen:    []string{"127.0.0.1:0"},
		Zones:     []nameserver.Zone{{Name: "example.com.", Update: []string{"quick."}}},
		Keys:      []tsig.Key{{Name: "quick.", Algorithm: tsig.SHA256, Secret: []byte(quickSecret)}},
		OnMessage: o.OnMessage, Clock: o.Clock,
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := q.DNS.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(q.DNS.Stop)
	options := pebble.Options{
		DNSServer: q.DNS.Addr(), Output: q.Orders,
		Env: []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0", "PEBBLE_WFE_NONCEREJECT=0"},
	}
	if o.Pebble != nil {
		o.Pebble(&options)
	}
	q.CA = pebble.Start(tb, options)
	return q
}

// Solver returns the solver for the name server.
func (q *Quick) Solver() string { return "{dns01: {" + RFC2136(q.DNS.Addr(), q.Key) + "}}" }

// Issuer applies an Issuer for the servers, and its Secret.
func (q *Quick) Issuer(tb testing.TB, c *Cluster, namespace, name string) {
	tb.Helper()
	c.Key(tb, namespace, q.Key)
	c.Apply(tb, namespace, IssuerManifest(name, q.CA, q.Solver()))
}

// Resolve makes the controllers query the name server only.
func (q *Quick) Resolve(o *operator.Options) {
	o.RecursiveNameservers, o.RecursiveNameserversOnly = []string{q.DNS.Addr()}, true
}

// Count is a writer that counts the lines with a text.
type Count struct {
	Text []byte

	mu   sync.Mutex
	rest []byte
	n    int
}

// Write implements io.Writer.
func (c *Count) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rest = append(c.rest, p...)
	for {
		line, rest, whole := bytes.Cut(c.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		if bytes.Contains(line, c.Text) {
			c.n++
		}
		c.rest = append([]byte(nil), rest...)
	}
}

// N returns the number of lines so far.
func (c *Count) N() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}
