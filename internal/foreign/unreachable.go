package foreign

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// Unreachable says in a stable phrase, such as "connection refused", why a request
// by net/http got no response: the error's own text contains ephemeral ports, URLs
// and received bytes. cause is the innermost error, nil if its text could contain
// data of a foreign server.
func Unreachable(err error) (why string, cause error) {
	why, cause = causeOf(err)
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "proxyconnect" {
		why = "through the proxy: " + why
	}
	return why, cause
}

func causeOf(err error) (why string, cause error) {
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
