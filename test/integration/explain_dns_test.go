package integration

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/cli"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/dnsmasq"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/unbound"
)

// story is a world in which the record of www.story.test is not found, and what
// everleaf explain must say about it.
type story struct {
	name string
	// ns are the name servers of the zone story.test, as the parent has them. The
	// first is the primary, unless update names another one that updates go to.
	ns     []string
	update string
	// records are more records of the zone.
	records []string
	// resolver is what the cluster resolves with; empty is the public resolver.
	resolver string
	// only is --dns01-recursive-nameservers-only.
	only bool
	// start starts more servers.
	start func(*testing.T, *stage)
	// cause is the code of the main verdict, says are parts of the output.
	cause string
	says  []string
	// cure changes the controllers' options so that the certificate is issued.
	cure func(*stage, *operator.Options)
}

// stage is where a story plays: 127.53.net.1 is the primary, .2 the parent zone, .3
// the public resolver, which the CA asks too.
type stage struct {
	*harness.ACME
	net int
	key named.Key
}

func (s *stage) addr(n int) string { return fmt.Sprintf("127.53.%d.%d", s.net, n) }

func storyZone(s *stage, serial string, ns []string, records ...string) named.Zone {
	// The stories are told again while the answers of one time are cached.
	text := strings.Replace(named.ZoneText("story.test", 600, ns, records...), "$TTL 60", "$TTL 600", 1)
	return named.Zone{Name: "story.test", AllowUpdate: fmt.Sprintf("key %q;", s.key.Name), Text: strings.Replace(text, " 1 ", " "+serial+" ", 1)}
}

var stories = []story{
	{
		name: "split horizon", ns: []string{"ns1 1"}, resolver: "4",
		start: func(t *testing.T, s *stage) {
			dnsmasq.Start(t, dnsmasq.Options{
				Listen: s.addr(4) + ":53", Upstream: s.addr(3) + ":53", Config: []string{"domain-needed", "local=/test/"},
			})
		},
		cause: "SplitHorizon",
		says: []string{
			"127.53.90.4:53", "resolver in the cluster", "--dns01-recursive-nameservers=127.53.90.3:53", "podDnsPolicy: None", "podDnsConfig.nameservers",
			"127.53.90.1:53, to which the record is written, has it", "split horizon",
		},
		cure: func(s *stage, o *operator.Options) { o.RecursiveNameservers = []string{s.addr(3) + ":53"} },
	},
	{
		name: "lagging secondary", ns: []string{"ns1 1", "ns2 5"},
		start: func(t *testing.T, s *stage) {
			named.Start(t, named.Options{Listen: []string{s.addr(5) + ":53"}, Keys: []named.Key{s.key}, Zones: []named.Zone{
				storyZone(s, "1", []string{"ns1", "ns2"}, "ns1 A "+s.addr(1), "ns2 A "+s.addr(5)),
			}})
		},
		cause: "LaggingServers", says: []string{"ns2.story.test.", "answers NXDOMAIN", "the zone has serial 2 where the record is, and 1 where it is not", "allow-transfer"},
	},
	{
		name: "written elsewhere", ns: []string{"ns1 1"}, update: "6",
		start: func(t *testing.T, s *stage) {
			named.Start(t, named.Options{Listen: []string{s.addr(6) + ":53"}, Keys: []named.Key{s.key}, Zones: []named.Zone{
				storyZone(s, "9", []string{"ns1"}, "ns1 A "+s.addr(1)),
			}})
		},
		cause: "OtherZone", says: []string{"127.53.92.6:53, to which the record is written, has it, but it is not one of the name servers of story.test."},
	},
	{
		name: "lame delegation", ns: []string{"ns1 7"}, update: "1",
		start: func(t *testing.T, s *stage) {
			named.Start(t, named.Options{Listen: []string{s.addr(7) + ":53"}, Zones: []named.Zone{{
				Name: "other.test", Text: named.ZoneText("other.test", 30, []string{"ns1"}, "ns1 A "+s.addr(7)),
			}}})
		},
		cause: "LameDelegation", says: []string{"answers REFUSED", "registrar"},
	},
	{
		name: "nothing answers", ns: []string{"ns1 8"}, update: "1",
		cause: "PortBlocked", says: []string{"no name server answers", "refuses connections"},
	},
	{
		name: "alias that is not followed", ns: []string{"ns1 1"}, records: []string{"_acme-challenge.www CNAME www.elsewhere.test."},
		cause: "AliasNotFollowed", says: []string{"_acme-challenge.www.story.test. is an alias (CNAME) of www.elsewhere.test.", "cnameStrategy: Follow"},
	},
	{
		name: "bogus signatures", ns: []string{"ns1 1"}, resolver: "4",
		start: func(t *testing.T, s *stage) {
			unbound.Start(t, unbound.Options{
				Listen: s.addr(4) + ":53", Stubs: map[string][]string{"test": {s.addr(2) + ":53"}},
				TrustAnchors: []string{"story.test. DS 12345 13 2 3A3B3C3D3E3F404142434445464748494A4B4C4D4E4F50515253545556575859"},
			})
		},
		cause: "DNSSECFailure", says: []string{"DNSSEC", "SERVFAIL", "delv"},
	},
	{
		name: "negative answer cached", ns: []string{"ns1 1"}, resolver: "4", only: true,
		start: func(t *testing.T, s *stage) {
			unbound.Start(t, unbound.Options{
				Listen: s.addr(4) + ":53", Stubs: map[string][]string{"test": {s.addr(2) + ":53"}},
			})
			if values, err := harness.TXT(s.addr(4)+":53", "_acme-challenge.www.story.test"); err != nil || len(values) > 0 {
				t.Fatalf("the resolver has %v, %v before there is a record", values, err)
			}
		},
		cause: "NegativeAnswerCached", says: []string{"keeps the answer that the record does not exist (NXDOMAIN) until", "It ends at"},
	},
}

// TestExplainDNS plays each story: the certificate is stuck, everleaf explain says
// why, and what it says cures it.
func TestExplainDNS(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	for i, one := range stories {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			one.play(t, cluster, 90+i)
		})
	}
}

func (o story) play(t *testing.T, cluster *harness.Cluster, net int) {
	t.Helper()
	s := &stage{net: net, key: named.TSIGKey(t, fmt.Sprintf("story-%d", net), "hmac-sha256")}
	var ns, glue, delegation []string
	for _, one := range o.ns {
		name, n, _ := strings.Cut(one, " ")
		address := fmt.Sprintf("127.53.%d.%s", net, n)
		ns, glue = append(ns, name), append(glue, name+" A "+address)
		delegation = append(delegation, "story NS "+name+".story", name+".story A "+address)
	}
	named.Start(t, named.Options{Listen: []string{s.addr(1) + ":53"}, Keys: []named.Key{s.key}, Zones: []named.Zone{
		storyZone(s, "1", ns, append(glue, o.records...)...),
	}})
	named.Start(t, named.Options{Listen: []string{s.addr(2) + ":53"}, Zones: []named.Zone{{
		Name: "test", Text: named.ZoneText("test", 30, []string{"ns"}, append(delegation, "ns A "+s.addr(2))...),
	}}})
	public := s.addr(3) + ":53"
	unbound.Start(t, unbound.Options{Listen: public, Stubs: map[string][]string{"test": {s.addr(2) + ":53"}}})
	if o.start != nil {
		o.start(t, s)
	}
	inside := public
	if o.resolver != "" {
		inside = fmt.Sprintf("127.53.%d.%s:53", net, o.resolver)
	}
	var cure func(*operator.Options)
	s.ACME = cluster.ACME(t, harness.ACMEOptions{CAResolver: public, Options: func(options *operator.Options) {
		options.SystemNameservers, options.RecursiveNameserversOnly = []string{inside}, o.only
		if cure != nil {
			cure(options)
		}
	}})
	s.Key(t, s.Namespace, s.key)
	update := s.addr(1)
	if o.update != "" {
		update = fmt.Sprintf("127.53.%d.%s", net, o.update)
	}
	s.Apply(t, s.Namespace, harness.IssuerManifest("issuer", s.CA, "{dns01: {"+harness.RFC2136(update+":53", s.key)+"}}"))
	s.Apply(t, s.Namespace, harness.CertificateManifest("www", "issuer", "www.story.test"))
	kubeconfig := harness.Kubeconfig(t, cluster.RESTConfig())
	explain := func(args ...string) string {
		return everleaf(t, append([]string{"explain", "-n", s.Namespace, "--kubeconfig", kubeconfig, "--resolver", public}, args...)...)
	}
	var output string
	harness.Eventually(t, issuable, func() error {
		output = explain("certificate", "www")
		if !strings.Contains(output, "What the controllers see (") {
			return fmt.Errorf("the controllers have not answered:\n%s", output)
		}
		for _, part := range append([]string{"Cause: " + o.cause + " (Challenge "}, o.says...) {
			if !strings.Contains(output, part) {
				return fmt.Errorf("explain does not say %q:\n%s", part, output)
			}
		}
		return nil
	})
	t.Logf("%s", output)
	s.replays(t, o.cause, explain)
	if list := explain(); !strings.Contains(list, "www") {
		t.Errorf("the list of what is stuck does not have the certificate:\n%s", list)
	}
	if o.cure == nil {
		return
	}
	cure = func(options *operator.Options) { o.cure(s, options) }
	s.Restart(t)
	s.Ready(t, s.Namespace, "www", issuable)
	if output := explain("certificate/www"); !strings.Contains(output, "Result: Healthy") {
		t.Errorf("explain says of an issued certificate:\n%s", output)
	}
}

// replays explains the evidence again from a file, and checks that the question has
// left nothing at the Challenge.
func (s *stage) replays(t *testing.T, cause string, explain func(...string) string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "evidence.json")
	if err := os.WriteFile(file, []byte(explain("certificate", "www", "-o", "json")), 0o600); err != nil {
		t.Fatal(err)
	}
	if output := everleaf(t, "explain", "--from-file", file); !strings.Contains(output, "Cause: "+cause) {
		t.Errorf("from the file it is:\n%s", output)
	}
	harness.Eventually(t, time.Minute, func() error {
		for _, c := range s.Challenges(t, s.Namespace, "www") {
			for key := range c.Annotations {
				if strings.HasPrefix(key, "everleaf.io/explain") {
					return fmt.Errorf("the annotation %s is still there", key)
				}
			}
		}
		return nil
	})
}

// everleaf runs a command that succeeds, and returns its output.
func everleaf(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	if code := cli.Main(ctx, args, &stdout, &stderr); code != 0 {
		t.Fatalf("everleaf %s: exit status %d: %s", strings.Join(args, " "), code, stderr.String())
	}
	return stdout.String()
}
