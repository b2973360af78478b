package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

// ServerError is a response that RFC 8555 does not allow. Its text consists of
// fixed words and contains nothing of the response.
type ServerError struct {
	// Host is the server as in the URL, with its port if the URL has one.
	Host string
	// What is wrong, a clause such as "sent a directory without newOrder".
	What string
}

func (e *ServerError) Error() string {
	return fmt.Sprintf("the ACME server %s %s", e.Host, e.What)
}

// NetworkError means that a request got no response.
type NetworkError struct {
	// Host is the server as in the URL, with its port if the URL has one.
	Host string
	// Why is a short stable phrase such as "connection refused".
	Why string
	// Err is the innermost cause. It is nil if its text could contain data from
	// a foreign server.
	Err error
}

func (e *NetworkError) Error() string {
	return fmt.Sprintf("cannot reach the ACME server %s: %s", e.Host, e.Why)
}

// Unwrap returns the cause.
func (e *NetworkError) Unwrap() error { return e.Err }

// errRedirect is the cause if a redirect was not followed.
var errRedirect = errors.New("redirect refused")

// networkError converts an error of net/http to a stable phrase: the original
// text contains ephemeral ports, URLs and received bytes.
func networkError(u *url.URL, err error) error {
	if errors.Is(err, errRedirect) {
		return &ServerError{Host: u.Host, What: "redirects to a place that must not be followed"}
	}
	why, cause := networkCause(err)
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "proxyconnect" {
		why = "through the proxy: " + why
	}
	return &NetworkError{Host: u.Host, Why: why, Err: cause}
}

func networkCause(err error) (why string, cause error) {
	var (
		dns        *net.DNSError
		authority  x509.UnknownAuthorityError
		hostname   x509.HostnameError
		invalid    x509.CertificateInvalidError
		op         *net.OpError
		record     tls.RecordHeaderError
		errno      syscall.Errno
		netTimeout net.Error
	)
	switch {
	case errors.Is(err, context.Canceled):
		return "the request was cancelled", context.Canceled
	case errors.As(err, &dns):
		return lookupCause(dns), dns
	case errors.As(err, &netTimeout) && netTimeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time", context.DeadlineExceeded
	case errors.As(err, &authority):
		return "its certificate is signed by an unknown authority", x509.UnknownAuthorityError{}
	case errors.As(err, &hostname):
		return "its certificate is for another name", nil
	case errors.As(err, &invalid):
		if invalid.Reason == x509.Expired {
			return "its certificate has expired or is not yet valid", nil
		}
		return "its certificate is not valid", nil
	case errors.As(err, &op) && op.Op == "remote error":
		// A TLS alert: crypto/tls chooses the text by the alert's number.
		return "TLS handshake: " + strings.TrimPrefix(op.Err.Error(), "tls: "), op.Err
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS on this port", nil
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		errors.As(err, &errno)
		return errno.Error(), errno
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		return "the connection was closed", io.ErrUnexpectedEOF
	default:
		return "the connection failed", nil
	}
}

func lookupCause(err *net.DNSError) string {
	switch {
	case err.IsNotFound:
		return "no such host"
	case err.IsTimeout:
		return "the name lookup timed out"
	default:
		return "the name lookup failed"
	}
}
