// Package fault is the one kind of error that crosses a package boundary. An
// Error says what is to be done about it, decided once, where the failure is
// understood; callers act on the class and never on the text.
//
// It does not log, count or retry anything.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Class says what to do about a failure.
type Class int

const (
	// Transient failures go away by themselves: repeat with back-off, seconds
	// to minutes. It is the zero value: an error that nobody classified is
	// worth another try.
	Transient Class = iota
	// Later failures end at a known time, Error.At, and must not be repeated
	// before it (a Retry-After, a spent rate limit).
	Later
	// User failures last until a person changes something that the object
	// depends on. They are not repeated before such a change, or at the latest
	// after UserRetry.
	User
	// Permanent failures can never succeed for this request; only a new
	// request can.
	Permanent
)

// UserRetry is the longest that a User failure rests before it is looked at
// again, for dependencies that send no event.
const UserRetry = 6 * time.Hour

func (c Class) String() string {
	switch c {
	case Transient:
		return "transient"
	case Later:
		return "later"
	case User:
		return "user"
	case Permanent:
		return "permanent"
	default:
		return fmt.Sprintf("Class(%d)", int(c))
	}
}

// Error is a classified failure.
type Error struct {
	// Class says what to do.
	Class Class
	// Reason is a stable CamelCase word, fit for a condition's reason.
	Reason string
	// Message is what a user reads in a status or an event. It is the same
	// text each time the same thing fails: no request ids, no times, no
	// response bodies of foreign servers, no secrets.
	Message string
	// At is when to try again. Only for Later.
	At time.Time
	// Err is the cause, for logs and errors.Is; its text is not part of
	// Error's.
	Err error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns an Error of a class.
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

// Of finds the Error in err's chain. An error that nobody classified comes
// back as Transient with its own text as the message and an empty reason.
// Of(nil) is nil.
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

// ClassOf is Of(err).Class; err must not be nil.
func ClassOf(err error) Class { return Of(err).Class }
