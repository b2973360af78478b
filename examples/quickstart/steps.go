package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

const (
	issuerName  = "quickstart"
	certName    = "quickstart"
	secretName  = "quickstart-tls"
	issuerFile  = "clusterissuer.yaml"
	certFile    = "certificate.yaml"
	shownBundle = 24 // characters of the caBundle
)

// dnsNames are two names and a wildcard; two of them share one TXT name.
var dnsNames = []string{"example.com", "quickstart.example.com", "*.quickstart.example.com"}

const issuerManifest = `apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata:
  name: %s
spec:
  acme:
    server: %s
    caBundle: %s
    email: you@example.com
    privateKeySecretRef:
      name: quickstart-account-key
    solvers:
    - dns01:
        rfc2136:
          nameserver: %s
          tsigKeyName: %s
          tsigAlgorithm: HMACSHA512
          tsigSecretSecretRef:
            name: tsig-secret
            key: tsig-secret-key
`

const certManifest = `apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: %s
  namespace: default
spec:
  secretName: %s
  issuerRef:
    kind: ClusterIssuer
    name: %s
  dnsNames:
%s`

// createIssuer follows the guide: the key, its Secret, the issuer.
func (q *quickstart) createIssuer(ctx context.Context) error {
	q.say("2. Create the Secret with the TSIG key, and a ClusterIssuer that uses it\n")
	if q.names.keyCommand != "" {
		q.say("  $ %s        (gave the secret below)", q.names.keyCommand)
	}
	secret := q.names.secret
	if q.secret != "" {
		secret = q.secret
	}
	err := q.kubectl.run(ctx, "-n", "cert-manager", "create", "secret", "generic", "tsig-secret", "--from-literal=tsig-secret-key="+secret)
	if err != nil {
		return err
	}
	bundle := base64.StdEncoding.EncodeToString(q.ca.CABundle)
	manifest := func(bundle string) string {
		return fmt.Sprintf(issuerManifest, issuerName, q.ca.DirectoryURL, bundle, q.names.addr, keyName)
	}
	shown := manifest(bundle[:min(shownBundle, len(bundle))] + "...   # the CA of Pebble's own HTTPS certificate")
	if err := q.apply(ctx, issuerFile, manifest(bundle), shown); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, issuerTimeout)
	defer cancel()
	err = q.log.wait(ctx, func() bool { return q.log.issuerReady })
	q.say("")
	if errors.Is(err, context.DeadlineExceeded) {
		q.describe("clusterissuer")
		return fmt.Errorf("the ClusterIssuer is not Ready after %s", issuerTimeout)
	}
	return err
}

// createCertificate returns when the certificate is issued and the challenges
// are deleted.
func (q *quickstart) createCertificate(ctx context.Context) error {
	q.say("3. Request a certificate, and watch\n")
	var names strings.Builder
	for _, name := range dnsNames {
		fmt.Fprintf(&names, "  - %q\n", name)
	}
	manifest := fmt.Sprintf(certManifest, certName, secretName, issuerName, names.String())
	if err := q.apply(ctx, certFile, manifest, manifest); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	err := q.log.wait(limited, func() bool { return q.log.took > 0 && q.log.challenges == 0 })
	q.say("")
	if errors.Is(err, context.DeadlineExceeded) {
		return q.stuck()
	}
	return err
}

// stuck prints the objects that show why no certificate was issued.
func (q *quickstart) stuck() error {
	q.log.mu.Lock()
	took, challenges, last := q.log.took, q.log.challenges, q.log.last[object{cmv1.CertificateKind, certName}]
	q.log.mu.Unlock()
	if challenges > 0 {
		q.describe("certificate", "challenge")
	} else {
		q.describe("certificate", "certificaterequest", "order")
	}
	if took > 0 {
		return fmt.Errorf("there are still Challenges %s after the creation of the Certificate, which is Ready", q.timeout)
	}
	return fmt.Errorf("the Certificate is not Ready after %s; %s", q.timeout, last)
}

// apply writes a manifest to a file, shows it and applies it. Changes are
// printed after kubectl's output.
func (q *quickstart) apply(ctx context.Context, file, manifest, shown string) error {
	if err := os.WriteFile(filepath.Join(q.dir, file), []byte(manifest), 0o600); err != nil {
		return err
	}
	q.say("  $ cat %s", file)
	q.say("%s", strings.TrimSuffix(indent(shown), "\n"))
	q.log.hold()
	defer q.log.release()
	return q.kubectl.run(ctx, "apply", "-f", file)
}

// describe prints the output of kubectl describe.
func (q *quickstart) describe(kinds ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := q.kubectl.run(ctx, "describe", strings.Join(kinds, ",")); err != nil {
		q.say("  (%v)", err)
	}
}
