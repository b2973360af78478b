package dns

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// Failure says why a server gave no answer.
type Failure string

// Failures of a question.
const (
	// NoFailure: the server answered.
	NoFailure Failure = ""
	// NoRoute: this machine cannot send to that address at all, as to IPv6
	// from a network without it.
	NoRoute Failure = "NoRoute"
	// Timeout: no answer over UDP nor TCP.
	Timeout Failure = "Timeout"
	// ConnectionRefused: nothing listens there.
	ConnectionRefused Failure = "ConnectionRefused"
	// Malformed: what arrived is not an answer to the question.
	Malformed Failure = "Malformed"
	// NoAddress: the server's name has no address.
	NoAddress Failure = "NoAddress"
	// Unresolved: the server's address could not be looked up.
	Unresolved Failure = "Unresolved"
	// OtherFailure is any other.
	OtherFailure Failure = "Other"
)

// FailureOf classifies an error of Transport.
func FailureOf(err error) Failure {
	switch {
	case err == nil:
		return NoFailure
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH),
		errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT),
		errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return NoRoute
	case errors.Is(err, syscall.ECONNREFUSED):
		return ConnectionRefused
	case isTimeout(err):
		return Timeout
	case errors.Is(err, errMalformed), errors.Is(err, errStray), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Malformed
	default:
		return OtherFailure
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		(errors.As(err, &n) && n.Timeout())
}
