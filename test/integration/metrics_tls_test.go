package integration

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/controlplane"
	"github.com/everleaf/everleaf/test/harness"
)

const metricsName = "metrics.example"

// scrape gets the metrics from an address, verified by a CA, and returns the
// serial number of the certificate that they were served with.
func scrape(t *testing.T, address string, ca []byte) (serial string, err error) {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("no CA")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: metricsName}, DisableKeepAlives: true}
	answer, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Get("https://" + address + "/metrics")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && !strings.Contains(string(body), "go_goroutines") {
		err = fmt.Errorf("no metrics: %s", body)
	}
	return answer.TLS.PeerCertificates[0].SerialNumber.String(), err
}

// selfSigned returns a certificate for a DNS name and its key, in PEM.
func selfSigned(t *testing.T, name string) (crt, key []byte) {
	t.Helper()
	signer, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), PublicKey: signer.Public(), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := pki.Sign(template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if key, err = pki.EncodeKey(signer, pki.PKCS8); err != nil {
		t.Fatal(err)
	}
	return pki.EncodeChain(cert), key
}

// TestMetricsTLSDynamic: two replicas share a CA that they make themselves; a CA
// that somebody damages is replaced, and both serve with the new one.
func TestMetricsTLSDynamic(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	namespace := controlplane.Namespace(t, cluster.ControlPlane, nil)
	var addresses []string
	for range 2 {
		address, err := child.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, address)
		cluster.Run(t, harness.Controllers{Options: func(o *operator.Options) {
			o.Namespace, o.MetricsListenAddress = namespace, address
			o.MetricsTLS.Dynamic.Namespace, o.MetricsTLS.Dynamic.Name = namespace, "metrics-ca"
			o.MetricsTLS.Dynamic.DNSNames = []string{metricsName}
		}})
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "metrics-ca"}}
	served := func(before []byte) (serials map[string]bool) {
		harness.Eventually(t, time.Minute, func() error {
			serials = map[string]bool{}
			if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
				return err
			}
			if string(secret.Data["ca.crt"]) == string(before) {
				return errors.New("the CA is the one of before")
			}
			for _, address := range addresses {
				serial, err := scrape(t, address, secret.Data["ca.crt"])
				if err != nil {
					return err
				}
				serials[serial] = true
			}
			return nil
		})
		return serials
	}
	if serials := served(nil); len(serials) != 2 {
		t.Errorf("the replicas share a certificate: %v", serials)
	}
	if secret.Annotations["cert-manager.io/allow-direct-injection"] != "true" || secret.Labels["app.kubernetes.io/managed-by"] != "cert-manager" {
		t.Errorf("annotations %v, labels %v", secret.Annotations, secret.Labels)
	}
	before := secret.Data["ca.crt"]
	secret.Data["tls.key"] = []byte("damaged")
	secret.Data["other"] = []byte("kept")
	if err := cluster.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	served(before)
	if string(secret.Data["other"]) != "kept" {
		t.Error("the new CA has removed what others keep in the Secret")
	}
	if err := cluster.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	served(secret.Data["ca.crt"])
}

// TestMetricsTLSFiles: the certificate of a file is served, and read again when it
// changes.
func TestMetricsTLSFiles(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	namespace := controlplane.Namespace(t, cluster.ControlPlane, nil)
	address, err := child.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func() []byte {
		crt, key := selfSigned(t, metricsName)
		for name, data := range map[string][]byte{"tls.crt": crt, "tls.key": key} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return crt
	}
	ca := write()
	cluster.Run(t, harness.Controllers{Options: func(o *operator.Options) {
		o.Namespace, o.MetricsListenAddress = namespace, address
		o.MetricsTLS.CertFile, o.MetricsTLS.KeyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
		o.MetricsTLS.MinVersion = "VersionTLS13"
	}})
	for range 2 {
		harness.Eventually(t, time.Minute, func() error {
			_, err := scrape(t, address, ca)
			return err
		})
		ca = write()
	}
}
