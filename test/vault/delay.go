package vault

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// delay puts a proxy before the server, which holds each request back for a time, and
// returns the proxy's URL. Requests do not wait for each other.
func (s *Server) delay(wait time.Duration) (string, error) {
	pair, err := tls.LoadX509KeyPair(s.path("server.crt"), s.path("server.key"))
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.Authority.PEM)
	quiet := log.New(io.Discard, "", 0)
	proxy := &httputil.ReverseProxy{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 100},
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "https", Host: s.listens}) },
		ErrorLog:  quiet,
	}
	s.front = &http.Server{
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(wait):
				proxy.ServeHTTP(w, r)
			case <-r.Context().Done():
			}
		}),
		ErrorLog: quiet, ReadHeaderTimeout: 10 * time.Second,
	}
	go func() { _ = s.front.ServeTLS(listener, "", "") }()
	return "https://" + listener.Addr().String(), nil
}
