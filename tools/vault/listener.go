package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
)

// tlsConfig returns nil if the options have no certificate.
func tlsConfig(o options) (*tls.Config, error) {
	if o.cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert, NextProtos: []string{"h2", "http/1.1"},
	}
	if o.clientCA == "" {
		return config, nil
	}
	ca, err := os.ReadFile(o.clientCA)
	if err != nil {
		return nil, err
	}
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s has no certificate", o.clientCA)
	}
	return config, nil
}

// lines prints JSON, one object a line.
type lines struct {
	mu      sync.Mutex
	encoder *json.Encoder
}

func newLines(out io.Writer) *lines { return &lines{encoder: json.NewEncoder(out)} }

func (l *lines) print(v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Nobody is left to be told of a reader that has gone.
	_ = l.encoder.Encode(v)
}

// request is one that was answered.
type request struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	// Namespace is the header X-Vault-Namespace.
	Namespace string `json:"namespace,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
	Status    int    `json:"status"`
}

// handler prints each request that next has answered. Path and header are those of the
// client: Vault changes the request that it is given.
func (l *lines) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := request{
			Method: r.Method, Path: r.URL.EscapedPath(), Namespace: r.Header.Get("X-Vault-Namespace"), UserAgent: r.UserAgent(), Status: http.StatusOK,
		}
		next.ServeHTTP(&status{ResponseWriter: w, code: &asked.Status}, r)
		l.print(asked)
	})
}

// status notes the status of an answer.
type status struct {
	http.ResponseWriter
	code *int
}

// WriteHeader implements http.ResponseWriter.
func (s *status) WriteHeader(code int) {
	*s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap gives http.ResponseController the writer.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// quiet takes what the HTTP server would log of clients that break off.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
