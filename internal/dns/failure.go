package dns

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/everleaf/everleaf/internal/propagation"
)

// FailureOf classifies an error of Transport: the Failure of nil is NoFailure.
func FailureOf(err error) propagation.Failure {
	var known *failed
	switch {
	case errors.As(err, &known):
		return known.failure
	case err == nil:
		return propagation.NoFailure
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
		return propagation.NoRoute
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return propagation.Unreachable
	case errors.Is(err, syscall.ECONNREFUSED):
		return propagation.ConnectionRefused
	// A connection that is closed before the answer is no answer either: resolvers do so
	// if they find none in time.
	case isTimeout(err), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return propagation.Timeout
	case errors.Is(err, errMalformed), errors.Is(err, errStray):
		return propagation.Malformed
	default:
		return propagation.OtherFailure
	}
}

// detail returns what a server did that failed, as it follows its name in a message, in
// stable words, where that is more than the Failure says.
func detail(err error) string {
	var known *failed
	if errors.As(err, &known) {
		return known.says
	}
	return ""
}

// says is detail, or else what the Failure says.
func says(err error) string { return cmp.Or(detail(err), FailureOf(err).Says()) }

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		(errors.As(err, &n) && n.Timeout())
}
