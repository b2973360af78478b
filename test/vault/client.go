package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/vault/api"
)

// userAgent is that of an administrator.
const userAgent = "administrator"

// connect makes the client with the root token.
func (s *Server) connect() error {
	address, err := url.Parse(s.URL)
	if err != nil {
		return err
	}
	s.Addr = address.Host
	s.Client, err = s.NewClient(s.RootToken)
	return err
}

// NewClient returns a client with a token, and with connections of its own. It ignores
// the environment, and tries nothing twice.
func (s *Server) NewClient(token string) (*api.Client, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.Authority.PEM)
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	if s.options.Clients != nil {
		pair, err := s.options.Clients.Client("administrator")
		if err != nil {
			return nil, err
		}
		certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	client, err := api.NewClient(&api.Config{
		Address: s.URL, MaxRetries: -1, Timeout: time.Minute,
		HttpClient: &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}},
	})
	if err != nil {
		return nil, err
	}
	client.AddHeader("User-Agent", userAgent)
	client.SetToken(token)
	client.ClearNamespace()
	return client, nil
}

// Write writes to a path, without /v1/, as the administrator.
func (s *Server) Write(ctx context.Context, path string, data map[string]any) (map[string]any, error) {
	answer, err := s.Client.Logical().WriteWithContext(ctx, path, data)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	if answer == nil {
		return nil, nil
	}
	return answer.Data, nil
}

// text returns a string of an answer.
func text(answer map[string]any, key string) (string, error) {
	value, ok := answer[key].(string)
	if !ok || value == "" {
		return "", fmt.Errorf("vault answered without %s", key)
	}
	return value, nil
}
