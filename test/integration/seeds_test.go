package integration

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/internal/solver/dns01/azuredns/azurednstest"
	"github.com/everleaf/everleaf/internal/solver/dns01/cloudflare/cloudflaretest"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/nameserver"
	"github.com/everleaf/everleaf/test/pebble"
)

// seedWorld is an ACME server, and the name server of the zones, which the ACME server
// and the controllers ask. What is written through the API of a vendor is there.
type seedWorld struct {
	*harness.Cluster
	dns     *nameserver.Server
	ca      *pebble.Server
	vendors vendors
}

// seedKey is the key of the solver webhook.
var seedKey = []byte("0123456789abcdef0123456789abcdef")

func newSeedWorld(t *testing.T) *seedWorld {
	t.Helper()
	w := &seedWorld{Cluster: harness.Shared(t), vendors: vendors{}}
	w.dns = harness.Nameserver(t, nameserver.Options{
		Listen: []string{"127.0.0.1:0"}, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")},
		Keys: []tsig.Key{{Name: "solver.", Algorithm: tsig.SHA256, Secret: seedKey}},
		Zones: []nameserver.Zone{
			{Name: "domain.example.com"}, {Name: "sub.domain.com"}, {Name: "example.com", Update: []string{"solver."}},
		},
	})
	w.ca = harness.CA(t, w.dns.Addr())
	return w
}

// vendors sends requests to the servers that stand for their hosts.
type vendors map[string]http.RoundTripper

// RoundTrip implements http.RoundTripper.
func (v vendors) RoundTrip(r *http.Request) (*http.Response, error) {
	to, ok := v[r.URL.Host]
	if !ok {
		return nil, fmt.Errorf("no server stands for %s", r.URL.Host)
	}
	return to.RoundTrip(r)
}

// azure starts a server that stands for Azure.
func (w *seedWorld) azure(t *testing.T) *azurednstest.Server {
	t.Helper()
	s := azurednstest.New(t, azurednstest.Public)
	s.Zones, s.Changed = map[string][]string{"dnsZones": {"domain.example.com", "sub.domain.com"}}, w.publish(t)
	for _, host := range s.Hosts() {
		w.vendors[host] = s.Transport()
	}
	return s
}

// cloudflare starts a server that stands for Cloudflare.
func (w *seedWorld) cloudflare(t *testing.T) {
	t.Helper()
	s := cloudflaretest.New(t)
	s.Changed = w.publish(t)
	w.vendors[s.Host()] = s.Transport
}

// publish returns what puts the records that a vendor has into its name server.
func (w *seedWorld) publish(t *testing.T) func(fqdn string, ttl time.Duration, values []string) {
	return func(fqdn string, ttl time.Duration, values []string) {
		if err := w.dns.SetTXT(fqdn, ttl, values); err != nil {
			t.Error(err)
		}
	}
}

// controllers runs the controllers with flags, in one namespace or in all.
func (w *seedWorld) controllers(t *testing.T, ns string, flags ...string) (stop func()) {
	t.Helper()
	_, port, _ := strings.Cut(w.dns.Addr(), ":")
	authoritative, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return w.Run(t, harness.Controllers{Verbosity: 2, Options: func(o *operator.Options) {
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.AddFlags(set)
		if err := set.Parse(append(flags, "--namespace="+ns, "--dns01-recursive-nameservers="+w.dns.Addr())); err != nil {
			t.Fatal(err)
		}
		o.VendorHTTP, o.AuthoritativePort = w.vendors, authoritative
	}})
}

// apply applies manifests that are strictly valid. What is not in the namespace is deleted
// at the end of the test.
func (w *seedWorld) apply(t *testing.T, ns, manifests string) {
	t.Helper()
	for _, doc := range strings.Split(manifests, "\n---") {
		if err := yaml.UnmarshalStrict([]byte(doc), &map[string]any{}); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
	}
	for _, object := range w.Apply(t, ns, manifests) {
		if object.GetNamespace() != ns {
			t.Cleanup(func() {
				if err := w.Delete(context.Background(), object); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// plant does what a document says, in a namespace, and requests a certificate.
func (w *seedWorld) plant(t *testing.T, ns string, s seed) (check func()) {
	t.Helper()
	check = func() {}
	if s.start != nil {
		check = s.start(t, w, ns)
	}
	if s.secret[0] != "" {
		w.Secret(t, ns, s.secret[0], s.secret[1], s.secret[2])
	}
	server := fmt.Sprintf("server: %s\n    caBundle: %s", w.ca.DirectoryURL, base64.StdEncoding.EncodeToString(w.ca.CABundle))
	fill := append([]string{
		"...", server + "\n    privateKeySecretRef:\n      name: example-issuer-account-key",
		"server: https://acme-v02.api.letsencrypt.org/directory", server, "server: https://acme-staging-v02.api.letsencrypt.org/directory", server,
	}, s.fill...)
	w.apply(t, ns, strings.NewReplacer(fill...).Replace(s.manifest))
	w.apply(t, ns, fmt.Sprintf(`
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: %[1]s}
spec:
  secretName: %[1]s
  dnsNames: ["%[2]s"]
  issuerRef: {name: %[3]s, kind: %[4]s, group: cert-manager.io}
`, s.certificate, s.dnsName, s.issuer, s.kind))
	return check
}

// askedForTokens fails the test if hosts other than one were asked for tokens of Azure.
func askedForTokens(t *testing.T, azure *azurednstest.Server, host string) {
	t.Helper()
	azure.Do(func() {
		for _, r := range azure.Requests {
			if to := strings.Split(strings.Fields(r)[1], "/")[0]; to != host && to != azurednstest.Public.API {
				t.Errorf("%s was asked, want only %s", to, host)
			}
		}
	})
}

// issued waits for the certificate, and until its challenge record is gone.
func (w *seedWorld) issued(t *testing.T, ns string, s seed) {
	t.Helper()
	w.Ready(t, ns, s.certificate, issuable)
	secret := &corev1.Secret{}
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: s.certificate}, secret); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{"type": string(secret.Type)}
	for _, name := range []string{"alt-names", "certificate-name", "ip-sans", "issuer-kind", "issuer-name", "uri-sans"} {
		value, ok := secret.Annotations["cert-manager.io/"+name]
		if !ok {
			value = "missing"
		}
		got[name] = value
	}
	want := map[string]string{
		"type": "kubernetes.io/tls", "alt-names": s.dnsName, "certificate-name": s.certificate, "ip-sans": "", "issuer-kind": s.kind, "issuer-name": s.issuer, "uri-sans": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Secret (-want +got):\n%s", diff)
	}
	record := "_acme-challenge." + strings.TrimPrefix(s.dnsName, "*.") + "."
	harness.Eventually(t, patience, func() error {
		if left := w.dns.Records(record); len(left) > 0 {
			return fmt.Errorf("records are left at %s: %q", record, left)
		}
		return nil
	})
}

// TestSeeds does what the documents say, and gets a certificate from each issuer. The
// controllers have the environment that the webhook of azure-workload-identity gives
// them. Not parallel, because of the environment and the ClusterIssuers.
func TestSeeds(t *testing.T) {
	w := newSeedWorld(t)
	w.cloudflare(t)
	azure := w.azure(t)
	environment := azure.Environment()
	environment["AZURE_CLIENT_ID"] = "" // as "AzureDNS" shows it
	for name, value := range environment {
		t.Setenv(name, value)
	}
	namespaces, checks := map[string]string{}, map[string]func(){}
	for _, s := range seeds {
		if s.node == nil {
			namespaces[s.name] = w.Namespace(t)
			checks[s.name] = w.plant(t, namespaces[s.name], s)
		}
	}
	stop := w.controllers(t, "", "--cluster-issuer-ambient-credentials=false")
	for _, s := range seeds {
		if s.node == nil && s.ambient {
			w.WaitingFor(t, namespaces[s.name], s.certificate, patience, ambientOff)
		}
	}
	stop()
	w.controllers(t, "")
	for _, s := range seeds {
		if s.node == nil {
			w.issued(t, namespaces[s.name], s)
			checks[s.name]()
		}
	}
	askedForTokens(t, azure, azurednstest.Public.Authority)
	harness.WantValidations(t, w.ca, len(namespaces), 0)
}

// TestSeedsOnNode does what the documents say about managed identities of a node, which
// Issuers may use only with a flag.
func TestSeedsOnNode(t *testing.T) {
	t.Parallel()
	for _, s := range seeds {
		if s.node == nil {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := newSeedWorld(t)
			azure := w.azure(t)
			azure.Identities = s.node
			ns := w.Namespace(t)
			w.plant(t, ns, s)
			stop := w.controllers(t, ns)
			w.WaitingFor(t, ns, s.certificate, patience, ambientOff)
			stop()
			askedForTokens(t, azure, "nobody")
			w.controllers(t, ns, "--issuer-ambient-credentials=true")
			w.issued(t, ns, s)
			askedForTokens(t, azure, azurednstest.MetadataHost)
			harness.WantValidations(t, w.ca, 1, 0)
		})
	}
}
