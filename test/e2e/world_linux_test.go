package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"

	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/dnsdaemon"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/nginxingress"
	"github.com/everleaf/everleaf/test/node"
	"github.com/everleaf/everleaf/test/pebble"
	"github.com/everleaf/everleaf/test/unbound"
)

// chart is where Helm finds it: the only change in the lines of the seeds.
const chart = "../../charts/everleaf"

const (
	// release is the namespace and the name of the release.
	release = "cert-manager"
	// tenant is the namespace of the certificates.
	tenant = "tenant"
)

// world is a node with a name server, a public resolver and a CA.
type world struct {
	*node.Node
	cluster *harness.Cluster
	ca      *pebble.Server
	edge    *nginxingress.Controller
	key     named.Key
}

// The zones of the name server: that of cert-manager's guide to RFC 2136, with the hosts
// of Ingresses, one below a domain that the DNS of the cluster takes for local, and that of
// an API.
const (
	guideZone   = "example.com"
	storyZone   = "story.test"
	vendorZone  = "cloudflare.com"
	localDomain = "test"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Node: node.Start(t, node.Options{
		Hidden:   []string{localDomain},
		Archives: []string{productImage(t)},
	})}
	w.cluster = harness.Of(t, w.ControlPlane())
	w.key = named.TSIGKey(t, "example-com-secret", "hmac-sha512")
	authoritative := node.Authoritative + ":53"
	var zones []named.Zone
	for name, records := range map[string][]string{
		guideZone: {"cert A " + node.Edge, "*.web A " + node.Edge}, storyZone: nil, vendorZone: {"api A " + node.Vendor},
	} {
		zones = append(zones, named.Zone{
			Name: name, AllowUpdate: fmt.Sprintf("key %q;", w.key.Name),
			Text: named.ZoneText(name, 1, []string{"ns1"}, append(records, "ns1 A "+node.Authoritative)...),
		})
	}
	named.Start(t, named.Options{Listen: []string{authoritative}, Keys: []named.Key{w.key}, Zones: zones})
	w.resolver(t, authoritative)
	w.ca = pebble.Start(t, pebble.Options{
		Listen: node.ACME + ":14000", Management: node.ACME + ":15000", DNSServer: authoritative,
		Env: []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0"}, HTTPPort: 80, TLSPort: 443,
	})
	w.edge = nginxingress.Start(t, nginxingress.Options{Config: w.ControlPlane().RESTConfig(), Listen: []netip.Addr{netip.MustParseAddr(node.Edge)}})
	t.Cleanup(w.Hold)
	return w
}

// resolver starts the public resolver, which answers pods too.
func (w *world) resolver(t *testing.T, authoritative string) *dnsdaemon.Server {
	t.Helper()
	return unbound.Start(t, unbound.Options{
		Listen: node.Resolver + ":53",
		Stubs:  map[string][]string{guideZone: {authoritative}, storyZone: {authoritative}, vendorZone: {authoritative}},
		Config: "\taccess-control: 0.0.0.0/0 allow\n\tcache-max-negative-ttl: 1",
	})
}

// productImage returns the archive that `make image` has written.
func productImage(t *testing.T) string {
	t.Helper()
	file, err := filepath.Abs("../../bin/image/everleaf-" + chartVersion(t) + "-" + runtime.GOARCH + ".tar")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		child.Missing(t, "needs the product's image, which make e2e builds: %v", err)
	}
	return file
}

// chartVersion returns the version of the image that the chart runs.
func chartVersion(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(chart + "/Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^appVersion: "?([^"\n]+)`).FindSubmatch(text)
	if version == nil {
		t.Fatalf("%s/Chart.yaml has no appVersion", chart)
	}
	return string(version[1])
}

// request applies a Certificate whose Secret has its name with the suffix -tls.
func (w *world) request(t *testing.T, name string, dnsNames ...string) {
	t.Helper()
	w.cluster.Apply(t, tenant, harness.CertificateManifest(name, "example-issuer", dnsNames...))
}
