package local

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// pollEvery is the interval of readiness checks.
const pollEvery = 50 * time.Millisecond

// waitEtcd waits until etcd serves reads, after the recovery of its data.
func (c *ControlPlane) waitEtcd(ctx context.Context) error {
	ca, err := os.ReadFile(c.files.etcdCA)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	cert, err := tls.X509KeyPair(c.files.etcdClient.certPEM, c.files.etcdClient.keyPEM)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}},
	}}
	defer client.CloseIdleConnections()
	return c.waitReady(ctx, "etcd", client, "https://127.0.0.1:"+strconv.Itoa(c.etcdPort)+"/readyz")
}

// waitAPIServer waits until every start-up hook of the API server has run,
// including the one that creates the RBAC roles.
func (c *ControlPlane) waitAPIServer(ctx context.Context) error {
	client, err := rest.HTTPClientFor(c.admin)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	return c.waitReady(ctx, "kube-apiserver", client, c.Server()+"/readyz")
}

// waitReady polls url until it answers 200, the last started child ends, or ctx
// ends.
func (c *ControlPlane) waitReady(ctx context.Context, name string, client *http.Client, url string) error {
	p := c.children[len(c.children)-1]
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		last := probe(ctx, client, url)
		if last == "" {
			return nil
		}
		select {
		case <-p.done:
			return p.failure()
		case <-ctx.Done():
			return fmt.Errorf("%s %w (%s); the end of %s:\n%s", name, context.Cause(ctx), last, p.log, tail(p.log))
		case <-ticker.C:
		}
	}
}

// probe returns "" if url answers 200, else the reason.
func probe(ctx context.Context, client *http.Client, url string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
	if response.StatusCode == http.StatusOK {
		return ""
	}
	return response.Status + ": " + strings.Join(failedChecks(string(body)), ", ")
}

// failedChecks returns the failing checks of a verbose /readyz answer.
func failedChecks(body string) []string {
	var failed []string
	for line := range strings.Lines(body) {
		if name, ok := strings.CutPrefix(line, "[-]"); ok {
			name, _, _ = strings.Cut(name, " ")
			failed = append(failed, name)
		}
	}
	return failed
}
