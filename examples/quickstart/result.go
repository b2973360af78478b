package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const namespace = "default"

// showResult verifies the Secret and prints its content.
func (q *quickstart) showResult(ctx context.Context) error {
	q.say("4. The certificate\n")
	secret, err := q.kubeClient.CoreV1().Secrets(namespace).Get(ctx, secretName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	chain, err := q.verify(ctx, secret)
	if err != nil {
		return fmt.Errorf("secret %s: %w", secretName, err)
	}
	for i, cert := range chain {
		q.say("  %d  Subject   %s", i+1, cmp.Or(cert.Subject.String(), `""`))
		q.say("     Issuer    %s", cmp.Or(cert.Issuer.String(), `""`))
		if len(cert.DNSNames) > 0 {
			q.say("     Names     %s", strings.Join(cert.DNSNames, ", "))
		}
		q.say("     Valid     %s to %s", cert.NotBefore.UTC().Format(time.DateTime), cert.NotAfter.UTC().Format(time.DateTime)+" UTC")
	}
	q.say("\n  The private key belongs to it, and the chain leads to Pebble's root for every name.\n")

	q.say("  Secret %s (%s)", secretName, secret.Type)
	for _, key := range slices.Sorted(maps.Keys(secret.Data)) {
		q.say("    %-10s %d bytes", key, len(secret.Data[key]))
	}
	for _, m := range []map[string]string{secret.Labels, secret.Annotations} {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			q.say("    %s: %s", key, cmp.Or(m[key], `""`))
		}
	}
	if err := q.showRecords(ctx); err != nil {
		return err
	}
	q.say("\nIssued in %.2f s, from the creation of the Certificate to Ready.\n", q.log.took.Seconds())
	return nil
}

// verify checks the Secret as a TLS client checks a server's certificate.
func (q *quickstart) verify(ctx context.Context, secret *corev1.Secret) ([]*x509.Certificate, error) {
	pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, err
	}
	var chain []*x509.Certificate
	intermediates := x509.NewCertPool()
	for _, der := range pair.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, cert)
		intermediates.AddCert(cert)
	}
	root, err := q.ca.Root(ctx, 0)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(root) {
		return nil, errors.New("pebble's root is not PEM")
	}
	for _, name := range dnsNames {
		name = strings.Replace(name, "*", "any", 1)
		if _, err := chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: intermediates}); err != nil {
			return nil, err
		}
	}
	return chain, nil
}

// showRecords verifies that no record is left at the name server.
func (q *quickstart) showRecords(ctx context.Context) error {
	var left []string
	for _, name := range dnsNames {
		values, err := q.names.txt(ctx, "_acme-challenge."+strings.TrimPrefix(name, "*."))
		if err != nil {
			return fmt.Errorf("name server: %w", err)
		}
		left = append(left, values...)
	}
	if len(left) > 0 {
		return fmt.Errorf("the name server still has the TXT values %s", strings.Join(left, ", "))
	}
	q.say("\n  The name server carried out %d signed updates and has no TXT record left.", q.names.changes())
	return nil
}

func (q *quickstart) showHowToLookAround() {
	q.say(`Everything keeps running until you press Ctrl-C. To look around, in another terminal:

  export KUBECONFIG=%s
  cd %s
  %[3]s get clusterissuers,certificates,certificaterequests,orders
  %[3]s describe certificate %[4]s
  %[3]s get secret %[5]s -o jsonpath='{.data.tls\.crt}' | base64 -d | openssl x509 -noout -text
  %[3]s delete secret %[5]s        # it is issued again within about 10 s
  curl -s http://%[6]s/metrics | grep ^certmanager_
  less %[7]s                                # the controllers' log

Later changes are printed here too.
`, q.kubectl.kubeconfig, q.dir, q.kubectl.path, certName, secretName, q.metrics, logFile)
}
