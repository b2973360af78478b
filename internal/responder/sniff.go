package responder

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"sync"
	"time"
)

// handshake is the first byte of a TLS connection (RFC 8446 section 5.1), and of no
// request in plain HTTP.
const handshake = 0x16

// sniffed is a connection in TLS or in plain text: its first byte decides. A proxy that
// speaks HTTPS to all backends of an Ingress does so to this one, too, and asks for no
// certificate in particular.
type sniffed struct {
	net.Conn
	config *tls.Config

	once sync.Once
	err  error
	// mu guards inner, which is nil until the first byte has come. The server may
	// close a connection before.
	mu    sync.Mutex
	inner net.Conn
}

// Read implements net.Conn.
func (s *sniffed) Read(p []byte) (int, error) {
	s.once.Do(s.sniff)
	if s.err != nil {
		return 0, s.err
	}
	return s.inner.Read(p)
}

// Write implements net.Conn. Nothing is written before a request has come.
func (s *sniffed) Write(p []byte) (int, error) {
	s.once.Do(s.sniff)
	if s.err != nil {
		return 0, s.err
	}
	return s.inner.Write(p)
}

// Close implements net.Conn.
func (s *sniffed) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inner == nil {
		return s.Conn.Close()
	}
	return s.inner.Close()
}

// CloseWrite ends what is sent, so that a client which still sends reads the answer before
// the connection breaks. net/http looks for it.
func (s *sniffed) CloseWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.inner.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

func (s *sniffed) sniff() {
	var first [1]byte
	if _, s.err = s.Conn.Read(first[:]); s.err != nil {
		return
	}
	var inner net.Conn = &prefixed{Conn: s.Conn, first: first[:]}
	if first[0] == handshake {
		inner = tls.Server(inner, s.config)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inner = inner
}

// prefixed is a connection whose first bytes have been read before.
type prefixed struct {
	net.Conn
	first []byte
}

// Read implements net.Conn.
func (c *prefixed) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// CloseWrite ends what is sent.
func (c *prefixed) CloseWrite() error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.CloseWrite()
	}
	return nil
}

// certificateTime is how long a certificate of newTLS is valid: longer than a process runs.
const certificateTime = 10 * 365 * 24 * time.Hour

// newTLS returns a configuration with a certificate that signs itself, made now. It is
// worth nothing to those who verify certificates.
func newTLS(now time.Time) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "everleaf http-01 responder"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateTime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for the HTTP-01 responder: %w", err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		// The server takes HTTP/2 by its preface, within TLS as without it.
		NextProtos: []string{"h2", "http/1.1"},
		// Sessions are not resumed: each connection has one request.
		SessionTicketsDisabled: true,
	}, nil
}
