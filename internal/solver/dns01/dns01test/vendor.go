package dns01test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Vendor serves a stub of a vendor's API on loopback, and can be made to fail.
type Vendor struct {
	// URL is the server's, without a path.
	URL string
	// Transport asks the server. It waits a second for an answer.
	Transport http.RoundTripper

	mu       sync.Mutex
	instead  http.Handler
	requests []string
}

// NewVendor starts a server for a stub. It stops at the end of the test.
func NewVendor(t *testing.T, stub http.Handler) *Vendor {
	t.Helper()
	v := &Vendor{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		v.requests = append(v.requests, r.Method+" "+r.URL.RequestURI())
		handler := v.instead
		v.mu.Unlock()
		if handler == nil {
			handler = stub
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	transport := &http.Transport{ResponseHeaderTimeout: time.Second}
	t.Cleanup(transport.CloseIdleConnections)
	v.URL, v.Transport = server.URL, transport
	return v
}

// Instead has a handler answer all requests until restore is called.
func (v *Vendor) Instead(h http.HandlerFunc) (restore func()) {
	v.set(h)
	return func() { v.set(nil) }
}

// Silence makes the server give no answer until restore is called.
func (v *Vendor) Silence(*testing.T) (restore func()) {
	end := make(chan struct{})
	v.set(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-end:
		case <-r.Context().Done():
		}
	}))
	return func() {
		v.set(nil)
		close(end)
	}
}

// Requests returns the method and path of each request since the last call.
func (v *Vendor) Requests() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	requests := v.requests
	v.requests = nil
	return requests
}

func (v *Vendor) set(h http.Handler) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.instead = h
}
