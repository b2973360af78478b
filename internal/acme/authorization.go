package acme

import (
	"context"
	"time"

	"github.com/everleaf/everleaf/internal/foreign"
)

// Types of challenges.
const (
	ChallengeDNS01  = "dns-01"
	ChallengeHTTP01 = "http-01"
)

// maxChallenges exceeds the number of challenge types that exist.
const maxChallenges = 16

// Authorization represents the server's permission for the account to obtain
// certificates for one identifier (RFC 8555 section 7.1.4).
type Authorization struct {
	URL string `json:"-"`
	// Status is pending, valid, invalid, deactivated, expired or revoked. One
	// valid challenge makes it valid; one failed challenge makes it invalid
	// (section 7.1.6).
	Status string `json:"status"`
	// Identifier is the name or address that the account is authorized for. For
	// a wildcard it lacks the "*." prefix.
	Identifier Identifier `json:"identifier"`
	// Wildcard reports whether the order's identifier had the "*." prefix.
	Wildcard bool `json:"wildcard"`
	// Expires is when the server considers the authorization invalid. Required
	// for valid authorizations; zero if the server sends none.
	Expires    time.Time   `json:"-"`
	Challenges []Challenge `json:"-"`
	// RetryAfter is when the server asks the client to poll again (Retry-After,
	// section 7.5.1), on the client's clock; zero if it sends none.
	RetryAfter time.Time `json:"-"`
}

// Challenge is one way to prove control of an identifier (RFC 8555 section
// 7.1.5). The fields are those of section 8, and of sections 8.3 and 8.4 for
// http-01 and dns-01.
type Challenge struct {
	Type string `json:"type"`
	URL  string `json:"url"`
	// Status is pending, processing, valid or invalid. Accept moves it from
	// pending to processing.
	Status string `json:"status"`
	// Token is random, with at least 128 bits of entropy, in the base64url
	// alphabet (sections 8.3 and 8.4). A token with other characters is left
	// out: it could be harmful in a path.
	Token string `json:"token"`
	// Validated is when the server validated the challenge; required if Status
	// is valid, else zero.
	Validated time.Time `json:"-"`
	// Error is why the server's validation failed, if it has failed.
	Error *Problem `json:"error"`
	// RetryAfter is when the server asks the client to poll again (Retry-After,
	// section 7.5.1), on the client's clock; zero if it sends none.
	RetryAfter time.Time `json:"-"`
}

// Authorization reads an authorization.
func (c *Client) Authorization(ctx context.Context, url string) (Authorization, error) {
	answer, err := c.post(ctx, request{action: actionAuthorization, url: url})
	if err != nil {
		return Authorization{}, err
	}
	var wire struct {
		Authorization
		Expires    string          `json:"expires"`
		Challenges []challengeJSON `json:"challenges"`
	}
	if err := answer.resource(&wire, "an authorization", &wire.Status); err != nil {
		return Authorization{}, err
	}
	a := wire.Authorization
	a.URL, a.Identifier, a.Expires, a.RetryAfter = url, a.Identifier.safe(), parseTime(wire.Expires), answer.retryAfter
	for i := range wire.Challenges[:min(len(wire.Challenges), maxChallenges)] {
		if len(wire.Challenges[i].URL) > maxURL {
			continue
		}
		a.Challenges = append(a.Challenges, wire.Challenges[i].challenge())
	}
	return a, nil
}

// Accept asks the server to validate the challenge, once the response is in
// place (RFC 8555 section 7.5.1). Validation takes place later: the returned
// challenge is usually pending or processing.
func (c *Client) Accept(ctx context.Context, challengeURL string) (Challenge, error) {
	answer, err := c.post(ctx, request{action: actionAccept, url: challengeURL, payload: struct{}{}})
	if err != nil {
		return Challenge{}, err
	}
	var wire challengeJSON
	if err := answer.resource(&wire, "a challenge", &wire.Status); err != nil {
		return Challenge{}, err
	}
	challenge := wire.challenge()
	challenge.URL, challenge.RetryAfter = challengeURL, answer.retryAfter
	return challenge, nil
}

// challengeJSON is a challenge on the wire.
type challengeJSON struct {
	Challenge
	Validated string `json:"validated"`
}

func (w *challengeJSON) challenge() Challenge {
	c := w.Challenge
	c.Type, c.Status, c.Validated = foreign.Word(c.Type, maxStatus), foreign.Word(c.Status, maxStatus), parseTime(w.Validated)
	if !isBase64URL(c.Token) {
		c.Token = ""
	}
	return c
}
