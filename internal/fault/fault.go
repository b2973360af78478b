// Package fault has the one error type that crosses package boundaries. An
// Error carries what to do about a failure, decided once, where the failure is
// understood. Callers act on the class and never on the text.
//
// The package does not log, count or retry.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Class is what to do about a failure.
type Class int

const (
	// Transient failures end without a change: retry with back-off, after
	// seconds to minutes. It is the zero value, so an unclassified error is
	// retried.
	Transient Class = iota
	// Later failures end at a known time, Error.At, such as the time of a
	// Retry-After. They must not be retried before it.
	Later
	// User failures last until a user changes something that the object depends
	// on. They are retried on such a change, or after UserRetry at the latest.
	User
	// Permanent failures cannot succeed for this request. Only a new request
	// can succeed.
	Permanent
)

// UserRetry is the longest time until a User failure is retried. It covers
// dependencies that send no event.
const UserRetry = 6 * time.Hour

var classNames = [...]string{Transient: "transient", Later: "later", User: "user", Permanent: "permanent"}

func (c Class) String() string {
	if c < 0 || int(c) >= len(classNames) {
		return fmt.Sprintf("Class(%d)", int(c))
	}
	return classNames[c]
}

// Error is a classified failure.
type Error struct {
	// Class is what to do.
	Class Class
	// Reason is a stable CamelCase word that can be a condition's reason.
	Reason string
	// Message is the text for a status or an event. Equal failures have equal
	// messages: no request ids, times, response bodies of foreign servers, or
	// secrets.
	Message string
	// At is when to retry. Only for Later.
	At time.Time
	// Err is the cause, for logs and errors.Is. Error does not include its
	// text.
	Err error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns an Error of the given class.
func New(class Class, reason, format string, args ...any) *Error {
	return &Error{Class: class, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Because sets the cause and returns e.
func (e *Error) Because(err error) *Error {
	e.Err = err
	return e
}

// Until returns a Later Error for a failure that ends at a known time.
func Until(at time.Time, reason, format string, args ...any) *Error {
	e := New(Later, reason, format, args...)
	e.At = at
	return e
}

// Of returns the Error in err's chain. An unclassified error becomes Transient,
// with its own text as the message and an empty reason. Of(nil) is nil.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Message: err.Error(), Err: err}
}
