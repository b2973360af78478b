package acme

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/everleaf/everleaf/internal/foreign"
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
	why, cause := foreign.Unreachable(err)
	return &NetworkError{Host: u.Host, Why: why, Err: cause}
}
