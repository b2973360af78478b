package acme

import (
	"context"
	"time"
)

// Types of challenges.
const (
	ChallengeDNS01  = "dns-01"
	ChallengeHTTP01 = "http-01"
)

// Authorization represents the server's permission for the account to obtain
// certificates for one identifier (RFC 8555 section 7.1.4).
type Authorization struct {
	URL string
	// Status is pending, valid, invalid, deactivated, expired or revoked. One
	// valid challenge makes it valid; one failed challenge makes it invalid
	// (section 7.1.6).
	Status string
	// Identifier is the name or address that the account is authorized for. For
	// a wildcard it lacks the "*." prefix.
	Identifier Identifier
	// Wildcard reports whether the order's identifier had the "*." prefix.
	Wildcard bool
	// Expires is when the server considers the authorization invalid. Required
	// for valid authorizations; zero if the server sends none.
	Expires    time.Time
	Challenges []Challenge
	// RetryAfter is when the server asks the client to poll again (Retry-After,
	// section 7.5.1), on the client's clock; zero if it sends none.
	RetryAfter time.Time
}

// Challenge is one way to prove control of an identifier (RFC 8555 section
// 7.1.5). The fields are those of section 8, and of sections 8.3 and 8.4 for
// http-01 and dns-01.
type Challenge struct {
	Type string
	URL  string
	// Status is pending, processing, valid or invalid. Accept moves it from
	// pending to processing.
	Status string
	// Token is random, with at least 128 bits of entropy, in the base64url
	// alphabet (sections 8.3 and 8.4). A token with other characters is left
	// out: it could be harmful in a path.
	Token string
	// Validated is when the server validated the challenge; required if Status
	// is valid, else zero.
	Validated time.Time
	// Error is why the server's validation failed, if it has failed.
	Error *Problem
	// RetryAfter is when the server asks the client to poll again (Retry-After,
	// section 7.5.1), on the client's clock; zero if it sends none.
	RetryAfter time.Time
}

type authorizationJSON struct {
	Status     string          `json:"status"`
	Identifier Identifier      `json:"identifier"`
	Wildcard   bool            `json:"wildcard"`
	Expires    string          `json:"expires"`
	Challenges []challengeJSON `json:"challenges"`
}

type challengeJSON struct {
	Type      string   `json:"type"`
	URL       string   `json:"url"`
	Status    string   `json:"status"`
	Token     string   `json:"token"`
	Validated string   `json:"validated"`
	Error     *Problem `json:"error"`
}

// Authorization reads an authorization.
func (c *Client) Authorization(ctx context.Context, url string) (Authorization, error) {
	return c.postAuthorization(ctx, request{action: actionAuthorization, url: url})
}

// Deactivate relinquishes an authorization (RFC 8555 section 7.5.2). A pending
// one then no longer counts towards the account's limit.
func (c *Client) Deactivate(ctx context.Context, authorizationURL string) (Authorization, error) {
	return c.postAuthorization(ctx, request{
		action: actionUnnamed,
		url:    authorizationURL,
		payload: struct {
			Status string `json:"status"`
		}{StatusDeactivated},
	})
}

func (c *Client) postAuthorization(ctx context.Context, r request) (Authorization, error) {
	answer, err := c.post(ctx, r)
	if err != nil {
		return Authorization{}, err
	}
	var wire authorizationJSON
	if err := answer.decode(&wire, "an authorization"); err != nil {
		return Authorization{}, err
	}
	if safeWord(wire.Status, maxStatus) == "" {
		return Authorization{}, &ServerError{Host: answer.url.Host, What: "sent an authorization without a status"}
	}
	a := Authorization{
		URL:        r.url,
		Status:     wire.Status,
		Identifier: wire.Identifier.safe(),
		Wildcard:   wire.Wildcard,
		Expires:    parseTime(wire.Expires),
		RetryAfter: answer.retryAfter,
	}
	for i := range wire.Challenges {
		a.Challenges = append(a.Challenges, wire.Challenges[i].challenge())
	}
	return a, nil
}

// Challenge reads a challenge.
func (c *Client) Challenge(ctx context.Context, url string) (Challenge, error) {
	return c.postChallenge(ctx, request{action: actionChallenge, url: url})
}

// Accept asks the server to validate the challenge, once the response is in
// place (RFC 8555 section 7.5.1). Validation takes place later: the returned
// challenge is usually pending or processing.
func (c *Client) Accept(ctx context.Context, challengeURL string) (Challenge, error) {
	return c.postChallenge(ctx, request{action: actionAccept, url: challengeURL, payload: struct{}{}})
}

func (c *Client) postChallenge(ctx context.Context, r request) (Challenge, error) {
	answer, err := c.post(ctx, r)
	if err != nil {
		return Challenge{}, err
	}
	var wire challengeJSON
	if err := answer.decode(&wire, "a challenge"); err != nil {
		return Challenge{}, err
	}
	if safeWord(wire.Status, maxStatus) == "" {
		return Challenge{}, &ServerError{Host: answer.url.Host, What: "sent a challenge without a status"}
	}
	challenge := wire.challenge()
	challenge.URL = r.url
	challenge.RetryAfter = answer.retryAfter
	return challenge, nil
}

func (w *challengeJSON) challenge() Challenge {
	c := Challenge{
		Type:      safeWord(w.Type, maxStatus),
		URL:       w.URL,
		Status:    safeWord(w.Status, maxStatus),
		Validated: parseTime(w.Validated),
		Error:     w.Error,
	}
	if isBase64URL(w.Token) {
		c.Token = w.Token
	}
	return c
}
