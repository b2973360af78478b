package integration

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/nameserver"
	"github.com/everleaf/everleaf/test/pebble"
)

func TestFirstCertificate(t *testing.T) {
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	secret := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	server, err := nameserver.New(nameserver.Options{
		Listen: []string{"127.0.0.1:0"},
		Zones:  []nameserver.Zone{{Name: "example.com.", Update: []string{"k."}}},
		Keys:   []tsig.Key{{Name: "k.", Algorithm: tsig.SHA256, Secret: []byte("0123456789abcdef0123456789abcdef")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ca := pebble.Start(t, pebble.Options{DNSServer: server.Addr(), Env: []string{"PEBBLE_VA_NOSLEEP=1"}})
	cluster.Run(t, harness.Controllers{Verbosity: 5, Options: func(o *operator.Options) {
		o.RecursiveNameservers, o.RecursiveNameserversOnly = []string{server.Addr()}, true
	}})
	cluster.Secret(t, ns, "tsig", "key", secret)
	cluster.Apply(t, ns, fmt.Sprintf(`
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: acme}
spec:
  acme:
    server: %s
    caBundle: %s
    privateKeySecretRef: {name: account}
    solvers:
    - dns01:
        rfc2136:
          nameserver: %s
          tsigKeyName: k
          tsigAlgorithm: HMACSHA256
          tsigSecretSecretRef: {name: tsig, key: key}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: first}
spec:
  secretName: first-tls
  dnsNames: [first.example.com, "*.first.example.com"]
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: acme}
`, ca.DirectoryURL, base64.StdEncoding.EncodeToString(ca.CABundle), server.Addr()))
	began := time.Now()
	cluster.Ready(t, ns, "first", 20*time.Second)
	t.Logf("ready after %s", time.Since(began))
}
