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

// ServerError is an answer that RFC 8555 does not allow. Its text is fixed
// words about the answer and holds nothing of the answer itself.
type ServerError struct {
	// Host is the server as in the URL, with its port if the URL has one.
	Host string
	// What is wrong, a clause such as "sent a directory without newOrder".
	What string
}

func (e *ServerError) Error() string {
	return fmt.Sprintf("the ACME server %s %s", e.Host, e.What)
}

// NetworkError says that a request got no answer.
type NetworkError struct {
	// Host is the server as in the URL, with its port if the URL has one.
	Host string
	// Why is a short stable phrase such as "connection refused".
	Why string
	// Err is the innermost cause, nil when its text could hold what a foreign
	// server has sent.
	Err error
}

func (e *NetworkError) Error() string {
	return fmt.Sprintf("cannot reach the ACME server %s: %s", e.Host, e.Why)
}

// Unwrap returns the cause.
func (e *NetworkError) Unwrap() error { return e.Err }

// errRedirect is why a redirect was not followed.
var errRedirect = errors.New("redirect refused")

// networkError reduces what net/http returns to a phrase without ephemeral
// ports, URLs and bytes from the wire, all of which its own texts have.
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
		// An alert. Its text is crypto/tls's own, by number.
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
