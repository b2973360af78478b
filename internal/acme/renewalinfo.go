package acme

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ErrNoRenewalInfo is returned by RenewalInfo if the server has none for any
// certificate.
var ErrNoRenewalInfo = errors.New("the ACME server has no renewal information")

// latestYear is the latest year of a window: a later one cannot be stored.
const latestYear = 9998

// RenewalInfo is a server's advice on when to renew a certificate (RFC 9773
// section 4.2).
type RenewalInfo struct {
	// Start and End are the suggested window, as the server has sent it: Start may be
	// no earlier than End.
	Start, End time.Time
	// ExplanationURL is a page that says why, or is empty.
	ExplanationURL string
	// RetryAfter is when the server asks the client to ask again, on the client's
	// clock; zero if it does not say.
	RetryAfter time.Time
}

// RenewalInfo asks the server when to renew a certificate. certID is that of RFC 9773
// section 4.1. The request is not signed and needs no account.
func (c *Client) RenewalInfo(ctx context.Context, certID string) (RenewalInfo, error) {
	directory, err := c.Directory(ctx)
	if err != nil {
		return RenewalInfo{}, err
	}
	if directory.RenewalInfo == "" {
		return RenewalInfo{}, ErrNoRenewalInfo
	}
	u, err := c.parseURL(strings.TrimSuffix(directory.RenewalInfo, "/") + "/" + certID)
	if err != nil {
		return RenewalInfo{}, err
	}
	answer, _, err := c.exchange(ctx, actionRenewalInfo, http.MethodGet, u, nil, "application/json")
	if err != nil {
		// That a certificate is unknown to the CA says nothing about its directory.
		if ProblemOf(err) == nil {
			c.suspectDirectory(err)
		}
		return RenewalInfo{}, err
	}
	return answer.renewalInfo()
}

func (r *response) renewalInfo() (RenewalInfo, error) {
	var wire struct {
		Window struct {
			Start string `json:"start"`
			End   string `json:"end"`
		} `json:"suggestedWindow"`
		ExplanationURL string `json:"explanationURL"`
	}
	if err := r.decode(&wire, "renewal information"); err != nil {
		return RenewalInfo{}, err
	}
	info := RenewalInfo{
		Start: parseTime(wire.Window.Start).UTC(), End: parseTime(wire.Window.End).UTC(), RetryAfter: r.retryAfter,
	}
	if !storable(info.Start) || !storable(info.End) {
		return RenewalInfo{}, &ServerError{Host: r.url.Host, What: "sent renewal information without a window that can be read"}
	}
	if page, err := url.Parse(wire.ExplanationURL); err == nil && len(wire.ExplanationURL) <= maxURL &&
		page.Host != "" && page.User == nil && (page.Scheme == "https" || page.Scheme == "http") {
		info.ExplanationURL = page.String()
	}
	return info, nil
}

func storable(t time.Time) bool { return !t.IsZero() && t.Year() >= 1 && t.Year() <= latestYear }
