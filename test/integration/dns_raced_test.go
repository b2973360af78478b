package integration

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/nameserver"
)

// history is what a name server had at a name, after each update that changed it.
type history struct {
	mu     sync.Mutex
	states [][]string
}

func (h *history) add(values []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.states); n == 0 || !slices.Equal(h.states[n-1], values) {
		h.states = append(h.states, values)
	}
}

// TestNameOfThreeIssuers has Challenges for one name at the same time: of two issuers,
// with different keys at different CAs, and of another cluster. Each adds its value to
// those of the others, and none removes another's: the first one ends while the second
// waits.
func TestNameOfThreeIssuers(t *testing.T) {
	t.Parallel()
	const server, other, name = "127.53.75.1:53", "127.53.75.2:53", "_acme-challenge.www.raced.test"
	first, second := named.TSIGKey(t, "first-key", "hmac-sha256"), named.TSIGKey(t, "second-key", "hmac-sha512")
	var h history
	var s *nameserver.Server
	ready := make(chan struct{})
	s = harness.Nameserver(t, nameserver.Options{
		// Both addresses take updates: solvers may differ and write to one server.
		Listen: []string{server, other},
		Keys:   []tsig.Key{keyOf(t, first, tsig.SHA256), keyOf(t, second, tsig.SHA512)},
		Zones: []nameserver.Zone{{
			Name: "raced.test", NS: []string{"ns1", "ns2"}, Records: []string{"ns1 A 127.53.75.1", "ns2 A 127.53.75.2"},
			TTL: time.Second, NegativeTTL: time.Second, Update: []string{"first-key.", "second-key."},
		}},
		OnMessage: func(m nameserver.Message) {
			if <-ready; m.Update {
				h.add(s.Records(name))
			}
		},
	})
	close(ready)
	a := harness.Shared(t).ACME(t, harness.ACMEOptions{CAResolver: server, Resolvers: []string{server}})
	b := harness.Shared(t).ACME(t, harness.ACMEOptions{CAResolver: server, Resolvers: []string{server}})
	a.Key(t, a.Namespace, first)
	a.Key(t, a.Namespace, second)
	b.Key(t, b.Namespace, second)
	const slowly = "waitInsteadOfSelfCheck: 8s, "
	a.Apply(t, a.Namespace, harness.IssuerManifest("one", a.CA, fmt.Sprintf("{dns01: {%s}}", harness.RFC2136(server, first))))
	a.Apply(t, a.Namespace, harness.IssuerManifest("two", harness.CA(t, server), fmt.Sprintf("{%sdns01: {%s}}", slowly, harness.RFC2136(other, second))))
	b.Apply(t, b.Namespace, harness.IssuerManifest("three", b.CA, fmt.Sprintf("{%sdns01: {%s}}", slowly, harness.RFC2136(server, second))))
	b.Apply(t, b.Namespace, harness.CertificateManifest("three", "three", "www.raced.test"))
	a.Apply(t, a.Namespace, harness.CertificateManifest("two", "two", "www.raced.test"))
	harness.WantTXT(t, server, name, 2, issuable)
	a.Apply(t, a.Namespace, harness.CertificateManifest("one", "one", "www.raced.test"))
	a.Ready(t, a.Namespace, "one", issuable)
	a.Ready(t, a.Namespace, "two", issuable)
	b.Ready(t, b.Namespace, "three", issuable)
	harness.WantTXT(t, server, name, 0, issuable)

	h.mu.Lock()
	defer h.mu.Unlock()
	most, spans := 0, map[string]int{}
	for i, state := range h.states {
		most = max(most, len(state))
		for _, value := range state {
			if i == 0 || !slices.Contains(h.states[i-1], value) {
				spans[value]++
			}
		}
	}
	var again []string
	for value, n := range spans {
		if n > 1 {
			again = append(again, value)
		}
	}
	if most != 3 || len(spans) != 3 || len(again) > 0 {
		t.Errorf("%d values in all, %d at once; %q were removed and written again:\n%s", len(spans), most, again, cmp.Diff(nil, h.states))
	}
}

func keyOf(t *testing.T, k named.Key, algorithm tsig.Algorithm) tsig.Key {
	t.Helper()
	secret, err := base64.StdEncoding.DecodeString(k.Secret)
	if err != nil {
		t.Fatal(err)
	}
	return tsig.Key{Name: strings.TrimSuffix(k.Name, ".") + ".", Algorithm: algorithm, Secret: secret}
}
