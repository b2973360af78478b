// Package vendorapi is what DNS providers and issuers with an HTTP API have in common: how
// their vendors' servers are asked, and what the failures mean. Vendors' SDKs send
// the requests; their errors are read into a Failure here, so that all providers
// say the same for the same failure.
package vendorapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign"
)

const (
	// requestTimeout bounds one request, with its answer.
	requestTimeout = 15 * time.Second
	// maxAnswer bounds an answer. The longest are pages of zones and records.
	maxAnswer = 4 << 20
	// rateLimitWait is the wait after a rate limit without Retry-After.
	rateLimitWait = time.Minute
	// maxText bounds a vendor's text in a message.
	maxText = 256
)

// NewTransport returns how vendors are asked: through the proxies of the
// environment, with TLS 1.2 or newer.
func NewTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
		// A connection that is dead shows before a request has waited in it for its time.
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second},
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}
}

// Client returns an HTTP client for an SDK. An answer of more than 4 MiB is an
// error, and so is a request without an answer within 15 s. Redirects are not
// followed: credentials are for the host that the vendor documents.
func Client(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     bounded{transport},
		Timeout:       requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Failure is why a request to a vendor's API has failed.
type Failure struct {
	// Vendor is the API in a message, such as "the Cloudflare API"; Doing is what it
	// was asked for, such as `listing the zones named "example.com"`.
	Vendor, Doing string
	// Status is the answer's HTTP status code, 0 if there was no answer. Code and
	// Text are the vendor's own code and text of the error, if it documents them;
	// a body that is neither is not a text.
	Status     int
	Code, Text string
	// Header is the answer's, for Retry-After; it may be nil.
	Header http.Header
	// Advice is what to do if the credentials or their permissions are refused
	// (401 and 403).
	Advice string
	// Err is the cause.
	Err error
}

// Fault classifies a Failure: refused credentials and what does not exist are for a
// user, rate limits end at a time, server errors and failed connections end by
// themselves.
func (f Failure) Fault(now time.Time) *fault.Error {
	if f.Status == 0 {
		return f.unanswered()
	}
	message := fmt.Sprintf("%s answered %s to %s", f.Vendor, f.said(), f.Doing)
	again := foreign.RetryAfter(f.Header, now)
	switch {
	case f.Status == http.StatusTooManyRequests:
		if again.IsZero() {
			again = now.Add(rateLimitWait)
		}
		return fault.Until(again, "RateLimited", "%s", message).Because(f.Err)
	case f.Status >= 500 || f.Status == http.StatusRequestTimeout:
		if !again.IsZero() && again.After(now) {
			return fault.Until(again, "ServerError", "%s", message).Because(f.Err)
		}
		return fault.New(fault.Transient, "ServerError", "%s", message).Because(f.Err)
	case f.Status == http.StatusUnauthorized:
		return fault.New(fault.User, "Unauthorized", "%s", f.advise(message)).Because(f.Err)
	case f.Status == http.StatusForbidden:
		return fault.New(fault.User, "Forbidden", "%s", f.advise(message)).Because(f.Err)
	case f.Status >= 300:
		return fault.New(fault.User, "RequestRefused", "%s", message).Because(f.Err)
	default:
		// The SDK could not read a successful answer.
		return fault.New(fault.Transient, "UnexpectedAnswer", "%s sent an answer that it does not document to %s", f.Vendor, f.Doing).Because(f.Err)
	}
}

// unanswered is the fault for a request that got no answer.
func (f Failure) unanswered() *fault.Error {
	why, cause := foreign.Unreachable(f.Err)
	if errors.Is(f.Err, errTooLong) {
		return fault.New(fault.Transient, "UnexpectedAnswer", "%s sent an answer of more than %d MiB to %s", f.Vendor, maxAnswer>>20, f.Doing)
	}
	if errors.Is(f.Err, context.Canceled) || cause == nil {
		cause = f.Err
	}
	return fault.New(fault.Transient, "ServerUnreachable", "cannot reach %s for %s: %s", f.Vendor, f.Doing, why).Because(cause)
}

// said is what the vendor has answered.
func (f Failure) said() string {
	said := fmt.Sprintf("HTTP %d", f.Status)
	code, text := foreign.Word(f.Code, maxText), foreign.Text(f.Text, maxText)
	switch {
	case code != "" && text != "":
		return fmt.Sprintf("%s (%s: %s)", said, code, text)
	case code != "" || text != "":
		return fmt.Sprintf("%s (%s%s)", said, code, text)
	default:
		return said
	}
}

func (f Failure) advise(message string) string {
	if f.Advice == "" {
		return message
	}
	return message + "; " + f.Advice
}
