package harness

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/pebble"
)

// ACME is a namespace with its own controllers and ACME server, so that its
// tests can run in parallel. Its controllers watch no other namespace, and
// therefore no ClusterIssuers.
type ACME struct {
	*Cluster
	Namespace string
	CA        *pebble.Server

	how  Controllers
	stop func()
}

// ACMEOptions configure an ACME.
type ACMEOptions struct {
	// CAResolver is the CA's name server (host:port).
	CAResolver string
	// CA is an existing ACME server; nil means a new one.
	CA *pebble.Server
	// Resolvers are the controllers' resolvers.
	Resolvers []string
	// Options changes the controllers' options.
	Options func(*operator.Options)
	// Config changes the connection to the API server.
	Config func(*rest.Config)
	// Namespace is an existing namespace; empty means a new one.
	Namespace string
}

// ACME starts an ACME server and the controllers for one namespace.
func (c *Cluster) ACME(tb testing.TB, o ACMEOptions) *ACME {
	tb.Helper()
	a := &ACME{Cluster: c, Namespace: o.Namespace, CA: o.CA}
	if a.CA == nil {
		a.CA = CA(tb, o.CAResolver)
	}
	if a.Namespace == "" {
		a.Namespace = c.Namespace(tb)
	}
	a.how = Controllers{Verbosity: 2, Config: o.Config, Options: func(options *operator.Options) {
		options.Namespace = a.Namespace
		options.RecursiveNameservers = o.Resolvers
		if o.Options != nil {
			o.Options(options)
		}
	}}
	a.stop = c.Run(tb, a.how)
	return a
}

// Restart replaces the controllers by new ones, with empty memory.
func (a *ACME) Restart(tb testing.TB) {
	tb.Helper()
	a.stop()
	a.stop = a.Run(tb, a.how)
}

// CA starts Pebble with real validation. It disables the reuse of valid
// authorizations, which Pebble does at random.
func CA(tb testing.TB, resolver string) *pebble.Server {
	tb.Helper()
	return pebble.Start(tb, pebble.Options{DNSServer: resolver, Env: []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0"}})
}

// HTTPCA is CA with the real ports of HTTP and HTTPS for validation.
func HTTPCA(tb testing.TB, resolver string) *pebble.Server {
	tb.Helper()
	return pebble.Start(tb, pebble.Options{
		DNSServer: resolver, HTTPPort: 80, TLSPort: 443, Env: []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0"},
	})
}

// Validations returns the number of validations that Pebble's log shows:
// requested, successful and failed.
func Validations(ca *pebble.Server) (asked, valid, invalid int) {
	out := ca.Output()
	return strings.Count(out, "Pulled a task from the Tasks queue"),
		strings.Count(out, "set VALID by completed challenge"),
		strings.Count(out, "set INVALID by completed challenge")
}

// WantValidations fails the test if the validations differ. The CA logs a
// validation shortly after its end.
func WantValidations(tb testing.TB, ca *pebble.Server, valid, invalid int) {
	tb.Helper()
	Eventually(tb, 10*time.Second, func() error {
		if a, v, i := Validations(ca); a != valid+invalid || v != valid || i != invalid {
			return fmt.Errorf("the CA performed %d validations, %d valid and %d invalid; want %d and %d", a, v, i, valid, invalid)
		}
		return nil
	})
}

// IssuerManifest returns an Issuer for a CA with solvers, each in YAML's flow
// style.
func IssuerManifest(name string, ca *pebble.Server, solvers ...string) string {
	return fmt.Sprintf(`
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: %[1]s}
spec:
  acme:
    server: %[2]s
    caBundle: %[3]s
    privateKeySecretRef: {name: %[1]s-account}
    solvers: [%[4]s]
`, name, ca.DirectoryURL, base64.StdEncoding.EncodeToString(ca.CABundle), strings.Join(solvers, ", "))
}

// CertificateManifest returns a Certificate from an Issuer, with an ECDSA key.
// Its Secret has the same name with the suffix -tls.
func CertificateManifest(name, issuer string, names ...string) string {
	return fmt.Sprintf(`
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: %[1]s}
spec:
  secretName: %[1]s-tls
  dnsNames: ["%[3]s"]
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: %[2]s}
`, name, issuer, strings.Join(names, `", "`))
}

// algorithms maps BIND's names to those of the API.
var algorithms = map[string]string{
	"hmac-md5": "HMACMD5", "hmac-sha1": "HMACSHA1", "hmac-sha256": "HMACSHA256", "hmac-sha512": "HMACSHA512",
}

// RFC2136 returns the rfc2136 stanza, in flow style, for a server (host:port)
// and a key. The Secret and its entry have the name of the key.
func RFC2136(server string, key named.Key) string {
	return fmt.Sprintf(`rfc2136: {nameserver: "%s", tsigKeyName: %s, tsigAlgorithm: %s, tsigSecretSecretRef: {name: %s, key: %s}}`,
		server, key.Name, algorithms[key.Algorithm], key.Name, key.Name)
}

// Key creates the Secret of a key for RFC2136.
func (c *Cluster) Key(tb testing.TB, namespace string, key named.Key) {
	tb.Helper()
	c.Secret(tb, namespace, key.Name, key.Name, key.Secret)
}

// Challenges returns the Challenges of a Certificate.
func (c *Cluster) Challenges(tb testing.TB, namespace, certificate string) []acmev1.Challenge {
	tb.Helper()
	list := &acmev1.ChallengeList{}
	if err := c.List(tb.Context(), list, client.InNamespace(namespace)); err != nil {
		tb.Fatal(err)
	}
	var found []acmev1.Challenge
	for _, ch := range list.Items {
		if strings.HasPrefix(ch.Name, certificate+"-") {
			found = append(found, ch)
		}
	}
	return found
}

// WaitingFor waits until a Challenge of a Certificate has a reason that
// contains all of texts, and returns that Challenge.
func (c *Cluster) WaitingFor(tb testing.TB, namespace, certificate string, within time.Duration, texts ...string) *acmev1.Challenge {
	tb.Helper()
	var found *acmev1.Challenge
	Eventually(tb, within, func() error {
		challenges := c.Challenges(tb, namespace, certificate)
		for i := range challenges {
			if holdsAll(challenges[i].Status.Reason, texts) {
				found = &challenges[i]
				return nil
			}
		}
		var reasons []string
		for _, ch := range challenges {
			reasons = append(reasons, fmt.Sprintf("%s: %q", ch.Spec.DNSName, ch.Status.Reason))
		}
		return fmt.Errorf("no Challenge of %s waits for %q; they wait for %s", certificate, texts, reasons)
	})
	return found
}

// IssuingHolds waits until the message of a Certificate's Issuing condition
// contains all of texts.
func (c *Cluster) IssuingHolds(tb testing.TB, namespace, certificate string, within time.Duration, texts ...string) {
	tb.Helper()
	Eventually(tb, within, func() error {
		crt := &cmv1.Certificate{}
		if err := c.Get(tb.Context(), client.ObjectKey{Namespace: namespace, Name: certificate}, crt); err != nil {
			return err
		}
		message := ""
		for _, condition := range crt.Status.Conditions {
			if condition.Type == cmv1.CertificateConditionIssuing {
				message = condition.Message
			}
		}
		if !holdsAll(message, texts) {
			return fmt.Errorf("the Issuing condition of %s says %q, without all of %q", certificate, message, texts)
		}
		return nil
	})
}

func holdsAll(s string, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(s, text) {
			return false
		}
	}
	return true
}

// EventsOf returns the events about an object.
func (c *Cluster) EventsOf(tb testing.TB, object client.Object) []corev1.Event {
	tb.Helper()
	list := &corev1.EventList{}
	if err := c.List(tb.Context(), list, client.InNamespace(object.GetNamespace())); err != nil {
		tb.Fatal(err)
	}
	var events []corev1.Event
	for _, e := range list.Items {
		if e.InvolvedObject.UID == object.GetUID() {
			events = append(events, e)
		}
	}
	return events
}

// SetSecret sets an entry of a Secret.
func (c *Cluster) SetSecret(tb testing.TB, namespace, name, key, value string) {
	tb.Helper()
	c.Apply(tb, namespace, fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {name: %s}, stringData: {%s: %q}}", name, key, value))
}
