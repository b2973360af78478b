package selfcheck

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	dialTime = 3 * time.Second
	// maxRedirects is how many are followed, as upstream and CAs do.
	maxRedirects = 10
	// maxHeader and maxBody bound what is read of an answer, in bytes. A body is compared
	// with a key authorization, which is shorter.
	maxHeader = 64 << 10
	maxBody   = 16 << 10
)

var (
	errLoop      = errors.New("redirect loop")
	errTooMany   = errors.New("too many redirects")
	errPort      = errors.New("redirect to another port than 80 and 443")
	errForbidden = errors.New("an address that nobody asks")
)

// fetch asks for a challenge at one address, or through a proxy. A redirect to the same
// name leads to the same address.
func (c *Checker) fetch(ctx context.Context, t Target, address netip.Addr, proxy *url.URL) Answer {
	begin := c.Clock.Now()
	f := fetch{checker: c, target: t, address: address, proxy: proxy}
	if proxy != nil {
		f.answer.Proxy = (&url.URL{Scheme: proxy.Scheme, Host: proxy.Host}).String()
	} else {
		f.answer.Address = address.String()
	}
	f.do(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer.Milliseconds = c.Clock.Since(begin).Milliseconds()
	return f.answer
}

// fetch is one request with its redirects.
type fetch struct {
	checker *Checker
	target  Target
	address netip.Addr
	proxy   *url.URL

	// mu guards the answer and proxies: a handshake may go on when the request has ended.
	mu     sync.Mutex
	answer Answer
	// proxies are the host:port of those that are asked.
	proxies []string
}

// recovered does something about a panic, as the last thing of a function. What web servers
// and resolvers answer is data of strangers, and one of them must not end the process.
func recovered(failed func()) {
	if recover() != nil {
		failed()
	}
}

func (f *fetch) do(ctx context.Context) {
	defer recovered(func() { f.end(func(a *Answer) { a.Failure = Malformed }) })
	transport := &http.Transport{
		Proxy:                  f.through,
		DialContext:            f.dial,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		// A CA does not verify the server of a redirect either: what counts is the body.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: f.inspect, MinVersion: tls.VersionTLS12},
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: f.follow}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, challengeURL(f.target.DNSName, f.target.Token).String(), http.NoBody)
	if err != nil {
		f.end(func(a *Answer) { a.Failure = OtherFailure })
		return
	}
	if f.checker.UserAgent != "" {
		request.Header.Set("User-Agent", f.checker.UserAgent)
	}
	response, err := client.Do(request)
	if err != nil {
		f.end(func(a *Answer) { a.Failure, a.Detail = failureOf(err) })
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	f.end(func(a *Answer) {
		switch a.Status = response.StatusCode; {
		case a.Status >= 300 && a.Status < 400 && a.Status != http.StatusNotModified:
			a.Failure = BadRedirect
		case err != nil && a.Status == http.StatusOK:
			a.Failure = BodyUnread
		default:
			a.Content = contentOf(body, response.Header.Get("Content-Type"), f.target.Token, f.target.Key)
		}
	})
}

func (f *fetch) end(change func(*Answer)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.answer)
}

// through is the proxy of a request: of the first one it has been chosen; a foreign host
// to which a redirect leads has its own.
func (f *fetch) through(r *http.Request) (*url.URL, error) {
	proxy, err := f.proxy, error(nil)
	if !f.same(r.URL) {
		proxy, err = f.checker.Proxy(r.URL)
	}
	if proxy != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.proxies = append(f.proxies, net.JoinHostPort(proxy.Hostname(), cmp.Or(proxy.Port(), proxyPorts[proxy.Scheme])))
	}
	return proxy, err
}

// proxyPorts are the ports of proxies whose URLs have none.
var proxyPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

// isProxy reports whether a host:port is a proxy that is asked.
func (f *fetch) isProxy(target string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.proxies, func(p string) bool { return strings.EqualFold(p, target) })
}

// same reports whether a URL has the name of the challenge.
func (f *fetch) same(u *url.URL) bool { return sameHost(u.Hostname(), f.target.DNSName) }

func sameHost(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// dial connects to the address of the challenge for its name, and to what the resolver
// says for others.
func (f *fetch) dial(ctx context.Context, network, target string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTime, Resolver: f.checker.resolver(), Control: permitted}
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return nil, err
	}
	switch {
	case f.isProxy(target):
	case f.proxy == nil && sameHost(host, f.target.DNSName):
		target = net.JoinHostPort(f.address.String(), f.checker.port(port))
	case !f.address.IsLoopback():
		// Only a name that is on this machine itself, as in tests, may lead to others there.
		dialer.Control = permittedElsewhere
	}
	return dialer.DialContext(ctx, network, target)
}

func (c *Checker) port(port string) string {
	switch port {
	case "80":
		return strconv.Itoa(c.Port)
	case "443":
		return strconv.Itoa(c.TLSPort)
	default:
		return port
	}
}

// usual reports whether a CA follows a redirect to a port, empty for that of the scheme.
func (c *Checker) usual(port string) bool {
	return slices.Contains([]string{"", "80", "443", strconv.Itoa(c.Port), strconv.Itoa(c.TLSPort)}, port)
}

// metadata are the addresses outside of the link-local ones at which clouds tell a machine
// its secrets: AWS, Google Cloud, Oracle Cloud, Alibaba Cloud and Azure.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd20:ce::254"), netip.MustParseAddr("fd00:c1::a9fe:a9fe"),
	netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("168.63.129.16"),
}

// permitted refuses addresses that no CA asks. Whoever controls the DNS or a web server
// of a name must not have the controllers ask what only the machine may ask.
func permitted(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if a := at.Addr().Unmap().WithZone(""); a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || slices.Contains(metadata, a) {
		return errForbidden
	}
	return nil
}

// permittedElsewhere refuses the machine itself as well, for what a redirect leads to.
func permittedElsewhere(network, address string, conn syscall.RawConn) error {
	if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().Unmap().IsLoopback() {
		return errForbidden
	}
	return permitted(network, address, conn)
}

// follow records a redirect.
func (f *fetch) follow(next *http.Request, via []*http.Request) error {
	f.end(func(a *Answer) {
		a.Redirects = append(a.Redirects, Redirect{To: origin(next.URL), Foreign: !f.same(next.URL)})
	})
	if origin(next.URL) != "" && !f.checker.usual(next.URL.Port()) {
		return errPort
	}
	if slices.ContainsFunc(via, func(r *http.Request) bool { return r.URL.String() == next.URL.String() }) {
		return errLoop
	}
	if len(via) > maxRedirects {
		return errTooMany
	}
	return nil
}

// origin is the scheme, host and port of a URL, empty if the host is neither a name nor
// an address: it is in a status.
func origin(u *url.URL) string {
	if !isHost(u.Hostname()) || !slices.Contains([]string{"http", "https"}, u.Scheme) {
		return ""
	}
	if _, err := strconv.ParseUint(u.Port(), 10, 16); err != nil && u.Port() != "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// isHost reports whether a text has the form of a host name or of an address.
func isHost(text string) bool {
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Zone() == ""
	}
	if text == "" || len(text) > 253 {
		return false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// inspect notes what is wrong with the certificate of the last redirect.
func (f *fetch) inspect(state tls.ConnectionState) error {
	defer recovered(func() {})
	wrong := faultOf(state, f.checker.Clock.Now())
	f.end(func(a *Answer) {
		if n := len(a.Redirects); n > 0 {
			a.Redirects[n-1].Certificate = wrong
		}
	})
	return nil
}

// otherName is what is wrong with the default certificate of an ingress controller.
const otherName = "is for another name"

// faultOf says what is wrong with a certificate, as in "has expired"; empty if nothing is.
func faultOf(state tls.ConnectionState, now time.Time) string {
	if len(state.PeerCertificates) == 0 {
		return ""
	}
	leaf := state.PeerCertificates[0]
	pool := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		pool.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Intermediates: pool, CurrentTime: now})
	var invalid x509.CertificateInvalidError
	switch {
	case leaf.VerifyHostname(state.ServerName) != nil:
		return otherName
	case now.After(leaf.NotAfter):
		return "has expired"
	case now.Before(leaf.NotBefore):
		return "is not yet valid"
	case err == nil:
		return ""
	case errors.As(err, &invalid):
		return "is not valid"
	default:
		return "is signed by an unknown authority"
	}
}

// failureOf classifies an error of a request, with the alert of a TLSAlert.
func failureOf(err error) (Failure, string) {
	var (
		op      *net.OpError
		dns     *net.DNSError
		record  tls.RecordHeaderError
		timeout net.Error
	)
	switch {
	case errors.Is(err, errLoop):
		return RedirectLoop, ""
	case errors.Is(err, errTooMany):
		return TooManyRedirects, ""
	case errors.Is(err, errPort):
		return OtherPort, ""
	case errors.Is(err, errForbidden):
		return Forbidden, ""
	case errors.As(err, &op) && op.Op == "remote error":
		// crypto/tls chooses the text by the number of the alert.
		return TLSAlert, strings.TrimPrefix(op.Err.Error(), "tls: ")
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return TLSFailed, ""
	case errors.As(err, &dns):
		return Unresolved, ""
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
		return NoRoute, ""
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return Unreachable, ""
	case errors.Is(err, syscall.ECONNREFUSED):
		return ConnectionRefused, ""
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		if errors.As(err, &op) && op.Op == "dial" {
			return Timeout, ""
		}
		return NoResponse, ""
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ConnectionClosed, ""
	case strings.Contains(err.Error(), "malformed HTTP"):
		return Malformed, ""
	case strings.Contains(err.Error(), "unsupported protocol scheme"), strings.Contains(err.Error(), "Location"):
		return BadRedirect, ""
	case strings.Contains(err.Error(), "tls: "):
		return TLSFailed, ""
	default:
		return OtherFailure, ""
	}
}
