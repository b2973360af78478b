package integration

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/internal/responder"
	"github.com/everleaf/everleaf/test/harness"
)

// TestResponderOfEveryReplica: a replica that does not lead answers for Challenges from
// when it knows all that there are, for those that come later, and not for those that are
// gone.
func TestResponderOfEveryReplica(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	cluster.Apply(t, ns, leases+`
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: cert-manager-controller}
spec: {holderIdentity: somebody-else, leaseDurationSeconds: 36000, acquireTime: "`+time.Now().UTC().Format(metav1.RFC3339Micro)+`", renewTime: "`+time.Now().UTC().Format(metav1.RFC3339Micro)+`"}
`)
	challenge := func(name, token string) client.Object {
		return cluster.Apply(t, ns, fmt.Sprintf(`
apiVersion: acme.cert-manager.io/v1
kind: Challenge
metadata: {name: %[1]s}
spec:
  url: https://acme.example.com/challenge/%[1]s
  authorizationURL: https://acme.example.com/authorization/%[1]s
  dnsName: %[1]s.example.com
  type: HTTP-01
  token: %[2]s
  key: %[2]s.thumbprint
  solver: {http01: {ingress: {}}}
  issuerRef: {name: acme}
`, name, token))[0]
	}
	before := challenge("before", "token-before")

	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	cluster.Run(t, harness.Controllers{Options: func(o *operator.Options) {
		o.Namespace, o.LeaderElection.Enabled, o.LeaderElection.Namespace = ns, true, ns
		// Where proxies reach it is of no importance here.
		o.HTTP01.Addresses = responder.Fixed{netip.MustParseAddrPort("192.0.2.1:8089")}
		o.HTTP01.ListenAddress = address
	}})
	ask := func(token, host string) (string, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+responder.PathPrefix+token, nil)
		if err != nil {
			return "", err
		}
		request.Host = host
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return answer.Header.Get(responder.Header) + " " + strings.TrimSpace(string(body)), err
	}
	holds := func(token, host, want string) {
		t.Helper()
		harness.Eventually(t, time.Minute, func() error {
			got, err := ask(token, host)
			if err == nil && got != want {
				err = fmt.Errorf("%s for %s: got %q, want %q", token, host, got, want)
			}
			return err
		})
	}
	// The first answer at all is the right one.
	harness.Eventually(t, time.Minute, func() error {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err
	})
	if got, err := ask("token-before", "before.example.com"); err != nil || got != "answered token-before.thumbprint" {
		t.Errorf("the first answer: %q, %v", got, err)
	}
	challenge("after", "token-after")
	holds("token-after", "after.example.com", "answered token-after.thumbprint")
	holds("token-after", "10.32.3.80", "answered-other-host token-after.thumbprint")
	// Two Challenges have the token: the Host decides.
	challenge("copy", "token-after")
	holds("token-after", "10.32.3.80", "wrong-host 404: there is no ACME challenge with this token for this host")
	holds("token-after", "AFTER.example.com.:80", "answered token-after.thumbprint")
	if err := cluster.Delete(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	holds("token-before", "before.example.com", "unknown-token 404: there is no ACME challenge with this token for this host")
	var left acmev1.Challenge
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "after"}, &left); err != nil || left.Status.Processing {
		t.Errorf("a replica that does not lead has worked on %+v, %v", left.Status, err)
	}
}
