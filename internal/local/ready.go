package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// pollEvery is the interval of readiness checks.
const pollEvery = 50 * time.Millisecond

// waitEtcd waits until etcd serves reads, after the recovery of its data.
func (c *ControlPlane) waitEtcd(ctx context.Context) error {
	return c.waitReady(ctx, c.EtcdConfig())
}

// waitReady polls /readyz of the last started child until it answers 200 or ctx
// ends. The API server does so when every start-up hook has run, including the one
// that creates the RBAC roles.
func (c *ControlPlane) waitReady(ctx context.Context, config *rest.Config) error {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	last := poll(ctx, func() error { return probe(ctx, client, config.Host+"/readyz") })
	if last == nil {
		return nil
	}
	p := c.children[len(c.children)-1]
	return fmt.Errorf("%s %w (%w); the end of %s:\n%s", p.name, context.Cause(ctx), last, p.log, tail(p.log))
}

// poll repeats check until it succeeds or ctx ends, and returns its last error.
func poll(ctx context.Context, check func() error) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

// probe returns nil if url answers 200, else the reason.
func probe(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
	if response.StatusCode == http.StatusOK {
		return nil
	}
	return errors.New(response.Status + ": " + strings.Join(failedChecks(string(body)), ", "))
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
