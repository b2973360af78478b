// Package faultproxy is a proxy in front of Pebble that does what Pebble
// cannot: answer any endpoint with any problem, drop connections, return the
// same order twice, or return another order's certificate. It counts the
// requests.
//
// Pebble builds its URLs from the Host header, which the proxy passes on, so a
// client that starts at the proxy's directory keeps using the proxy.
package faultproxy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/everleaf/everleaf/test/pebble"
)

// Endpoint is a kind of ACME resource.
type Endpoint string

// The endpoints, by their paths in Pebble.
const (
	Directory     Endpoint = "/dir"
	NewNonce      Endpoint = "/nonce-plz"
	NewAccount    Endpoint = "/sign-me-up"
	Account       Endpoint = "/my-account/"
	NewOrder      Endpoint = "/order-plz"
	Order         Endpoint = "/my-order/"
	Authorization Endpoint = "/authZ/"
	Challenge     Endpoint = "/chalZ/"
	Finalize      Endpoint = "/finalize-order/"
	Certificate   Endpoint = "/certZ/"
	RenewalInfo   Endpoint = "/draft-ietf-acme-ari-03/renewalInfo/"
)

// Endpoints are the endpoints of an issuance, in order.
var Endpoints = []Endpoint{
	Directory, NewNonce, NewAccount, NewOrder, Authorization, Challenge, Finalize, Order, Certificate,
}

// Fault is an answer that replaces Pebble's.
type Fault struct {
	// Times is the number of requests to answer; 0 means all.
	Times int
	// Skip is the number of requests to pass first.
	Skip int
	// Status is the HTTP status.
	Status int
	// Type is the problem's type, without "urn:ietf:params:acme:error:". With
	// neither Type nor Detail, the answer is a page of HTML.
	Type, Detail string
	// RetryAfter is the value of the header, in seconds.
	RetryAfter int
	// Rewrite, if set, changes Pebble's own answer, a JSON object. Status, Type
	// and the like are then ignored.
	Rewrite func(map[string]any)
	// Drop closes the connection.
	Drop bool
	// Hang accepts the request and never answers.
	Hang bool
	// Late drops the connection only after the request has reached Pebble.
	Late bool
}

// Proxy is a running proxy.
type Proxy struct {
	// DirectoryURL is the ACME directory of the proxy, CABundle the PEM of its
	// HTTPS certificate.
	DirectoryURL string
	CABundle     []byte

	canary string
	server *httptest.Server
	proxy  *httputil.ReverseProxy
	// ended is closed when the proxy stops.
	ended chan struct{}

	mu       sync.Mutex
	faults   map[Endpoint]*Fault
	requests map[Endpoint][]time.Time
	order    *answer
	repeats  int
	chain    *answer
	swaps    int
}

// answer is one of Pebble's answers, to be repeated.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// Start runs a proxy until the test ends. The canary is part of all answers
// where no client should look: in headers, unknown fields and HTML.
func Start(tb testing.TB, ca *pebble.Server, canary string) *Proxy {
	tb.Helper()
	target, err := url.Parse(ca.DirectoryURL)
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.CABundle)
	p := &Proxy{canary: canary, faults: map[Endpoint]*Fault{}, requests: map[Endpoint][]time.Time{}, ended: make(chan struct{})}
	quiet := log.New(io.Discard, "", 0)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 64}
	p.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
			r.Out.Host = r.In.Host
		},
		Transport:      transport,
		ModifyResponse: p.modify,
		ErrorLog:       quiet,
	}
	p.server = httptest.NewUnstartedServer(p)
	p.server.Config.ErrorLog = quiet
	p.server.StartTLS()
	p.DirectoryURL = p.server.URL + string(Directory)
	p.CABundle = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	tb.Cleanup(func() {
		close(p.ended)
		p.server.CloseClientConnections()
		p.server.Close()
		transport.CloseIdleConnections()
	})
	return p
}

// Fail sets an endpoint's fault.
func (p *Proxy) Fail(e Endpoint, f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults[e] = &f
}

// Heal ends an endpoint's fault.
func (p *Proxy) Heal(e Endpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.faults, e)
}

// RepeatOrder answers the given number of newOrder requests, after the first,
// with the first order, as a CA does that reuses orders.
func (p *Proxy) RepeatOrder(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.repeats = n
}

// SwapCertificate answers the given number of downloads, after the first, with
// the first chain.
func (p *Proxy) SwapCertificate(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.swaps = n
}

// Requests returns the times of the requests to an endpoint.
func (p *Proxy) Requests(e Endpoint) []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]time.Time(nil), p.requests[e]...)
}

func endpointOf(path string) Endpoint {
	for _, e := range append([]Endpoint{Account, RenewalInfo}, Endpoints...) {
		if path == string(e) || (strings.HasSuffix(string(e), "/") && strings.HasPrefix(path, string(e))) {
			return e
		}
	}
	return Endpoint(path)
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault, again := p.receive(endpointOf(r.URL.Path))
	switch {
	case again != nil:
		// Pebble does not see the request, but its nonce is used up, and the
		// client needs a new one: Pebble returns one with any answer.
		p.replay(w, r, again)
	case fault == nil:
		p.proxy.ServeHTTP(w, r)
	case fault.Late:
		p.proxy.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case fault.Hang:
		// Only after the body has been read is the client's end noticed.
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-p.ended:
		}
		panic(http.ErrAbortHandler)
	case fault.Drop:
		panic(http.ErrAbortHandler)
	default:
		p.refuse(w, r, fault)
	}
}

// receive counts a request and returns its fault, if any.
func (p *Proxy) receive(e Endpoint) (*Fault, *answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests[e] = append(p.requests[e], time.Now())
	f := p.faults[e]
	if f != nil && f.Rewrite == nil && p.strikes(e, f) {
		return f, nil
	}
	if e == NewOrder && p.order != nil && p.repeats > 0 {
		p.repeats--
		return nil, p.order
	}
	if e == Certificate && p.chain != nil && p.swaps > 0 {
		p.swaps--
		return nil, p.chain
	}
	return nil, nil
}

// strikes reports whether a fault applies to this request, and counts down Skip
// and Times. The caller holds the lock.
func (p *Proxy) strikes(e Endpoint, f *Fault) bool {
	if f.Skip > 0 {
		f.Skip--
		return false
	}
	if f.Times == 1 {
		delete(p.faults, e)
	}
	f.Times--
	return true
}

// nonce returns a new nonce from Pebble.
func (p *Proxy) nonce(r *http.Request) string {
	head := r.Clone(r.Context())
	head.Method, head.Body, head.ContentLength = http.MethodHead, nil, 0
	head.URL = &url.URL{Path: string(NewNonce)}
	got := httptest.NewRecorder()
	p.proxy.ServeHTTP(got, head)
	return got.Header().Get("Replay-Nonce")
}

func (p *Proxy) replay(w http.ResponseWriter, r *http.Request, a *answer) {
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.Header().Set("Replay-Nonce", p.nonce(r))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, f *Fault) {
	h := w.Header()
	h.Set("Replay-Nonce", p.nonce(r))
	p.mark(h)
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	if f.Type == "" && f.Detail == "" {
		h.Set("Content-Type", "text/html")
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, "<html><title>"+p.canary+"</title><h1>"+p.canary+"</h1></html>")
		return
	}
	problem := map[string]any{"detail": f.Detail, "status": f.Status}
	if f.Type != "" {
		problem["type"] = "urn:ietf:params:acme:error:" + f.Type
	}
	p.addCanary(problem)
	problem["instance"] = "https://ca.example.com/" + p.canary
	problem["title"] = p.canary
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(f.Status)
	_ = json.NewEncoder(w).Encode(problem)
}

func (p *Proxy) mark(h http.Header) {
	if p.canary != "" {
		h.Set("Server", p.canary)
		h.Set("X-Request-Id", p.canary)
		h.Set("Boulder-Requester", p.canary)
	}
}

func (p *Proxy) addCanary(object map[string]any) {
	if p.canary != "" {
		object["requestId"] = p.canary
		object["debug"] = map[string]any{"trace": []string{p.canary}}
	}
}

// modify changes and records Pebble's own answers.
func (p *Proxy) modify(r *http.Response) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	e := endpointOf(r.Request.URL.Path)
	p.mark(r.Header)
	if strings.Contains(r.Header.Get("Content-Type"), "json") && r.Request.Method != http.MethodHead {
		body = p.rewrite(e, body)
	}
	p.keep(e, r, body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if r.Request.Method != http.MethodHead {
		r.ContentLength = int64(len(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	return nil
}

func (p *Proxy) rewrite(e Endpoint, body []byte) []byte {
	object := map[string]any{}
	if json.Unmarshal(body, &object) != nil {
		return body
	}
	p.mu.Lock()
	if f := p.faults[e]; f != nil && f.Rewrite != nil && p.strikes(e, f) {
		f.Rewrite(object)
	}
	p.mu.Unlock()
	p.addCanary(object)
	changed, err := json.Marshal(object)
	if err != nil {
		return body
	}
	return changed
}

// keep records the first order and the first certificate.
func (p *Proxy) keep(e Endpoint, r *http.Response, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &answer{status: r.StatusCode, header: r.Header.Clone(), body: body}
	switch {
	case e == NewOrder && r.StatusCode == http.StatusCreated && p.order == nil:
		p.order = a
	case e == Certificate && r.StatusCode == http.StatusOK && p.chain == nil:
		p.chain = a
	}
}
