package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1 "k8s.io/api/core/v1"

	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/named"
)

// issuable is enough for any certificate that nothing holds up, on a machine
// that is busy.
const issuable = 90 * time.Second

// The guide's Issuer, in its edition of 2019 as v1alpha2, and the same as a
// ClusterIssuer, with the Secret where the guide creates it. Not parallel, because of the ClusterIssuer.
func TestRFC2136Guide(t *testing.T) {
	const server = "127.53.20.1:53"
	cluster := harness.Shared(t)
	key := named.TSIGKey(t, "example-com-secret", "hmac-sha512")
	named.Start(t, named.Options{Listen: []string{server}, Keys: []named.Key{key}, Zones: []named.Zone{{
		Name: "example.com", AllowUpdate: `key "example-com-secret";`,
		Text: named.ZoneText("example.com", 60, []string{"ns1"}, "ns1 A 127.53.20.1"),
	}}})
	ca := harness.CA(t, server)
	cluster.Run(t, harness.Controllers{Verbosity: 4, Options: func(o *operator.Options) {
		o.RecursiveNameservers = []string{server}
	}})
	for _, test := range []struct{ version, kind, secretNamespace string }{
		{"v1", "ClusterIssuer", "cert-manager"},
		{"v1alpha2", "Issuer", ""},
	} {
		t.Run(test.kind, func(t *testing.T) {
			ns := cluster.Namespace(t)
			if test.secretNamespace == "" {
				test.secretNamespace = ns
			}
			// kubectl -n cert-manager create secret generic tsig-secret --from-literal=tsig-secret-key=<somesecret>
			cluster.Secret(t, test.secretNamespace, "tsig-secret", "tsig-secret-key", key.Secret)
			manifest := strings.Replace(harness.GuideManifest(test.kind, server, ca), "cert-manager.io/v1", "cert-manager.io/"+test.version, 1)
			cluster.Apply(t, ns, manifest)
			name := strings.ToLower(test.kind)
			manifest = harness.CertificateManifest(name, "example-issuer", name+".example.com", "www."+name+".example.com", "*."+name+".example.com")
			cluster.Apply(t, ns, strings.Replace(manifest, "{name: example-issuer}", "{name: example-issuer, kind: "+test.kind+"}", 1))
			cluster.Ready(t, ns, name, issuable)
			wantNames(t, cluster, ns, name, "*."+name+".example.com", name+".example.com", "www."+name+".example.com")
			harness.WantTXT(t, server, "_acme-challenge."+name+".example.com", 0, 10*time.Second)
		})
	}
	harness.WantValidations(t, ca, 6, 0)
}

// wantNames checks the names of an issued certificate.
func wantNames(t *testing.T, cluster *harness.Cluster, ns, certificate string, names ...string) {
	t.Helper()
	secret := &corev1.Secret{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: certificate + "-tls"}, secret); err != nil {
		t.Fatal(err)
	}
	chain, err := pki.ParseChain(secret.Data[corev1.TLSCertKey], pki.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := chain[0].VerifyHostname(strings.Replace(name, "*", "any", 1)); err != nil {
			t.Error(err)
		}
	}
	if len(chain[0].DNSNames) != len(names) {
		t.Errorf("the certificate is for %q, want %q", chain[0].DNSNames, names)
	}
}

func TestTSIGAlgorithms(t *testing.T) {
	t.Parallel()
	const server = "127.53.20.11:53"
	cluster := harness.Shared(t)
	var (
		keys   []named.Key
		allow  strings.Builder
		bundle strings.Builder
	)
	for _, algorithm := range []string{"hmac-md5", "hmac-sha1", "hmac-sha256", "hmac-sha512"} {
		key := named.TSIGKey(t, algorithm, algorithm)
		keys = append(keys, key)
		fmt.Fprintf(&allow, "key %q; ", key.Name)
	}
	named.Start(t, named.Options{Listen: []string{server}, Keys: keys, Zones: []named.Zone{{
		Name: "tsig.test", AllowUpdate: allow.String(),
		Text: named.ZoneText("tsig.test", 60, []string{"ns1"}, "ns1 A 127.53.20.11"),
	}}})
	a := cluster.ACME(t, harness.ACMEOptions{CAResolver: server, Resolvers: []string{server}})
	for _, key := range keys {
		a.Key(t, a.Namespace, key)
		bundle.WriteString("---" + harness.IssuerManifest(key.Name, a.CA, fmt.Sprintf("{dns01: {%s}}", harness.RFC2136(server, key))))
		bundle.WriteString("---" + harness.CertificateManifest(key.Name, key.Name, key.Name+".tsig.test"))
	}
	a.Apply(t, a.Namespace, bundle.String())
	for _, key := range keys {
		a.Ready(t, a.Namespace, key.Name, issuable)
	}
	harness.WantValidations(t, a.CA, len(keys), 0)
}
