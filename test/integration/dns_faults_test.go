package integration

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/nameserver"
	"github.com/everleaf/everleaf/test/unbound"
)

// brokenUpdate is a configuration that cannot work, what the status and the
// events must say about it, and what fixes it.
type brokenUpdate struct {
	// name is that of the Issuer, the Secret and the Certificate.
	name, zone string
	// server, key are as the Issuer has them, secret as the Secret has it; an
	// empty secret is no Secret: the Issuer reports that, and no Challenge
	// is created.
	server string
	key    named.Key
	secret string
	// says is what status.reason must contain.
	says []string
	// fix is nil if the Issuer with the right key fixes it.
	fix func()
	// atOnce: the fix is an event, so no back-off is waited for.
	atOnce bool
	// stays: the test does not fix it.
	stays bool
}

const (
	brokenServer = "127.53.41.1:53"
	skewedServer = "127.53.41.2:53"
	downServer   = "127.53.41.3:53"
	silentServer = "127.53.41.4:53"
	brokenCA     = "127.53.41.9:53"
)

// TestBrokenUpdates holds that kubectl describe challenge reports each kind of
// fault, with what to do about it; that the Certificate reports it too; that no
// server gets too many requests meanwhile; and that all continue from where they
// were when the fault is fixed.
func TestBrokenUpdates(t *testing.T) {
	t.Parallel()
	good := named.TSIGKey(t, "good", "hmac-sha256")
	other := named.TSIGKey(t, "other", "hmac-sha256")
	zone := func(name, addr string) named.Zone {
		return named.Zone{
			Name: name, AllowUpdate: `key "good";`,
			Text: named.ZoneText(name, 60, []string{"ns1"}, "ns1 A "+strings.TrimSuffix(addr, ":53")),
		}
	}
	server := named.Start(t, named.Options{Listen: []string{brokenServer}, Keys: []named.Key{good, other}, Zones: []named.Zone{zone("broken.test", brokenServer)}})
	silent := named.Start(t, named.Options{Listen: []string{silentServer}, Keys: []named.Key{good}, Zones: []named.Zone{zone("silent.test", silentServer)}})
	skew := &skewedClock{}
	skew.ahead.Store(int64(time.Hour))
	secret, err := base64.StdEncoding.DecodeString(good.Secret)
	if err != nil {
		t.Fatal(err)
	}
	harness.Nameserver(t, nameserver.Options{
		Listen: []string{skewedServer}, Clock: skew,
		Keys:  []tsig.Key{{Name: "good.", Algorithm: tsig.SHA256, Secret: secret}},
		Zones: []nameserver.Zone{{Name: "skewed.test", Records: []string{"ns1 A 127.53.41.2"}, Update: []string{"good."}}},
	})
	unbound.Start(t, unbound.Options{Listen: brokenCA, Stubs: map[string][]string{
		"broken.test": {brokenServer}, "skewed.test": {skewedServer}, "down.test": {downServer}, "silent.test": {silentServer},
	}})
	a := harness.Shared(t).ACME(t, harness.ACMEOptions{CAResolver: brokenCA, Resolvers: []string{brokenCA}})

	right := func(name string) func() {
		return func() { a.SetSecret(t, a.Namespace, name, "tsig", good.Secret) }
	}
	cases := []brokenUpdate{
		{
			name: "wrong-key-name", key: named.Key{Name: "nobody", Algorithm: "hmac-sha256"}, secret: good.Secret, atOnce: true,
			says: []string{brokenServer, `TSIG key "nobody" (HMACSHA256)`, "BADKEY", "check tsigKeyName and tsigAlgorithm"},
		},
		{
			name: "wrong-algorithm", key: named.Key{Name: "good", Algorithm: "hmac-sha512"}, secret: good.Secret, atOnce: true,
			says: []string{brokenServer, `TSIG key "good" (HMACSHA512)`, "BADKEY", "check tsigKeyName and tsigAlgorithm"},
		},
		{
			name: "not-allowed", key: other, secret: other.Secret, atOnce: true,
			says: []string{"REFUSED", brokenServer, "zone broken.test", `TSIG key "other" (HMACSHA256)`, "allow-update or update-policy"},
		},
		{
			name: "wrong-secret", key: good, secret: randomSecret(), fix: right("wrong-secret"), atOnce: true,
			says: []string{brokenServer, "BADSIG", "the secret differs from the server's", `Secret "` + a.Namespace + `/wrong-secret"`},
		},
		{
			name: "encoded-twice", key: good, secret: base64.StdEncoding.EncodeToString([]byte(good.Secret)), fix: right("encoded-twice"), atOnce: true,
			says: []string{brokenServer, "base64-encoded twice", a.Namespace + `/encoded-twice`},
		},
		{
			name: "no-base64", key: good, secret: "This is not it.", fix: right("no-base64"), atOnce: true,
			says: []string{"not base64 text as tsig-keygen prints it", a.Namespace + `/no-base64`},
		},
		{
			name: "no-secret", key: good, fix: right("no-secret"), atOnce: true,
			says: []string{`failed to get secret "no-secret": it does not exist in namespace "` + a.Namespace + `"`},
		},
		{
			name: "clock", zone: "skewed.test", server: skewedServer, key: good, secret: good.Secret, fix: func() { skew.ahead.Store(0) },
			says: []string{skewedServer, "BADTIME", "its clock is about 60 minutes ahead of the one of this machine", "NTP"},
		},
		{
			name: "down", zone: "down.test", server: downServer, key: good, secret: good.Secret,
			fix: func() {
				named.Start(t, named.Options{Listen: []string{downServer}, Keys: []named.Key{good}, Zones: []named.Zone{zone("down.test", downServer)}})
			},
			says: []string{downServer, "refuses connections", "check its address and port, and that it runs"},
		},
		{
			name: "silent", zone: "silent.test", server: silentServer, key: good, secret: good.Secret,
			fix: func() {
				if err := silent.Continue(); err != nil {
					t.Error(err)
				}
			},
			says: []string{silentServer, "does not answer", "no firewall drops UDP and TCP"},
		},
		{
			name: "no-zone", zone: "nowhere.lan", key: good, secret: good.Secret, stays: true,
			says: []string{`Could not determine the zone for "_acme-challenge.www.no-zone.nowhere.lan."`, brokenServer, "serves none that contains it", "REFUSED"},
		},
		{
			name: "no-primary", zone: "skewed.test", key: good, secret: good.Secret, stays: true,
			says: []string{"NOTAUTH", brokenServer, "zone skewed.test", "it is not the primary server of the zone"},
		},
	}
	if err := silent.Pause(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Continue() })
	w := brokenWorld{ACME: a, good: good, seen: map[string]*acmev1.Challenge{}, requests: map[string]types.UID{}}
	for i := range cases {
		cases[i].fill()
		w.breakIt(t, cases[i])
	}
	for _, c := range cases {
		w.diagnosed(t, c)
	}
	for _, c := range cases {
		w.patient(t, c)
	}
	if n := strings.Count(server.Log(), "(BADKEY)"); n < 2 || n > 2*8 {
		t.Errorf("two Challenges with wrong keys have asked %d times", n)
	}
	cases = slices.DeleteFunc(cases, func(b brokenUpdate) bool { return b.stays })
	began := map[string]time.Time{}
	for _, c := range cases {
		began[c.name] = time.Now()
		w.fix(t, c)
	}
	for _, c := range cases {
		w.fixed(t, c, began[c.name])
	}
	harness.WantValidations(t, a.CA, len(cases), 0)
}

func (b *brokenUpdate) fill() {
	if b.zone == "" {
		b.zone = "broken.test"
	}
	if b.server == "" {
		b.server = brokenServer
	}
}

func (b *brokenUpdate) host() string { return "www." + b.name + "." + b.zone }

// skewedClock is the clock of a machine without NTP.
type skewedClock struct {
	clock.RealClock
	ahead atomic.Int64
}

// Now implements clock.PassiveClock.
func (c *skewedClock) Now() time.Time { return c.RealClock.Now().Add(time.Duration(c.ahead.Load())) }

// Since implements clock.PassiveClock.
func (c *skewedClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func randomSecret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.StdEncoding.EncodeToString(b)
}

type brokenWorld struct {
	*harness.ACME
	good     named.Key
	seen     map[string]*acmev1.Challenge
	requests map[string]types.UID
}

func (w *brokenWorld) issuer(b brokenUpdate, key named.Key) string {
	stanza := strings.Replace(harness.RFC2136(b.server, key), "{name: "+key.Name+", key: "+key.Name+"}", "{name: "+b.name+", key: tsig}", 1)
	return harness.IssuerManifest(b.name, w.CA, "{dns01: {"+stanza+"}}")
}

func (w *brokenWorld) breakIt(t *testing.T, b brokenUpdate) {
	t.Helper()
	if b.secret != "" {
		w.Secret(t, w.Namespace, b.name, "tsig", b.secret)
	}
	w.Apply(t, w.Namespace, w.issuer(b, b.key))
	w.Apply(t, w.Namespace, harness.CertificateManifest(b.name, b.name, b.host()))
}

// diagnosed checks what a user finds.
func (w *brokenWorld) diagnosed(t *testing.T, b brokenUpdate) {
	t.Helper()
	if b.secret == "" {
		w.IssuingHolds(t, w.Namespace, b.name, issuable, b.says...)
		w.remember(t, b)
		return
	}
	c := w.WaitingFor(t, w.Namespace, b.name, issuable, append([]string{"Error presenting challenge: "}, b.says...)...)
	w.seen[b.name] = c
	w.IssuingHolds(t, w.Namespace, b.name, 20*time.Second, b.says...)
	harness.Eventually(t, time.Minute, func() error {
		for _, e := range w.EventsOf(t, c) {
			if e.Type == corev1.EventTypeWarning && e.Reason == "PresentError" && e.Message != "" && strings.HasPrefix(c.Status.Reason, e.Message) {
				return nil
			}
		}
		return fmt.Errorf("no Warning event with the reason of Challenge %s", c.Name)
	})
	w.remember(t, b)
}

func (w *brokenWorld) remember(t *testing.T, b brokenUpdate) {
	t.Helper()
	request := &cmv1.CertificateRequest{}
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: b.name + "-1"}, request); err != nil {
		t.Fatal(err)
	}
	w.requests[b.name] = request.UID
}

// patient waits for the third attempt, and checks that the fault was not reported
// again, in other words or as other events, and that there were no more attempts.
func (w *brokenWorld) patient(t *testing.T, b brokenUpdate) {
	t.Helper()
	first := w.seen[b.name]
	if first == nil {
		return
	}
	harness.Eventually(t, issuable, func() error {
		if n := w.warnings(t, first); n < 3 {
			return fmt.Errorf("%s: %d attempts", b.name, n)
		}
		return nil
	})
	now := &acmev1.Challenge{}
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(first), now); err != nil {
		t.Fatal(err)
	}
	if now.ResourceVersion != first.ResourceVersion {
		t.Errorf("%s: the Challenge was written again: %q, then %q", b.name, first.Status.Reason, now.Status.Reason)
	}
	// 5, 10, 20, 40 seconds apart, and a few for the events of the start.
	if n, age := w.warnings(t, first), time.Since(first.CreationTimestamp.Time); n > 8 {
		t.Errorf("%s: %d attempts in %s", b.name, n, age)
	}
}

func (w *brokenWorld) warnings(t *testing.T, c *acmev1.Challenge) int {
	t.Helper()
	var n int
	for _, e := range w.EventsOf(t, c) {
		if e.Type == corev1.EventTypeWarning {
			n += int(e.Count)
		}
	}
	return n
}

func (w *brokenWorld) fix(t *testing.T, b brokenUpdate) {
	t.Helper()
	if b.fix != nil {
		b.fix()
	} else {
		w.SetSecret(t, w.Namespace, b.name, "tsig", w.good.Secret)
		w.Apply(t, w.Namespace, w.issuer(b, w.good))
	}
}

// fixed waits until the Certificate is ready, by the request that it had.
func (w *brokenWorld) fixed(t *testing.T, b brokenUpdate, began time.Time) {
	t.Helper()
	crt := w.Ready(t, w.Namespace, b.name, issuable)
	ready := condition.Find(crt.Status.Conditions, cmv1.CertificateConditionReady)
	if took := ready.LastTransitionTime.Sub(began); b.atOnce && took > 15*time.Second {
		t.Errorf("%s: ready %s after it was fixed, as if no event had arrived", b.name, took)
	}
	list := &cmv1.CertificateRequestList{}
	if err := w.List(t.Context(), list, client.InNamespace(w.Namespace)); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(list.Items, func(r cmv1.CertificateRequest) bool { return r.UID == w.requests[b.name] }) {
		t.Errorf("%s: its request was made anew", b.name)
	}
}
