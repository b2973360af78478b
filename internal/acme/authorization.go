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

// Authorization says whether the account may have certificates for an
// identifier (RFC 8555 section 7.1.4).
type Authorization struct {
	URL string
	// Status is pending, valid, invalid, deactivated, expired or revoked.
	Status string
	// Identifier is without "*." for a wildcard.
	Identifier Identifier
	// Wildcard says that the order asked for "*." and the identifier.
	Wildcard bool
	// Expires is when the authorization ends; zero if the server does not say.
	Expires    time.Time
	Challenges []Challenge
	// RetryAfter is when the server wants to be asked again, on the client's
	// clock; zero if it did not say.
	RetryAfter time.Time
}

// Challenge is one way to prove control of an identifier (RFC 8555 section
// 7.1.5).
type Challenge struct {
	Type string
	URL  string
	// Status is pending, processing, valid or invalid.
	Status string
	// Token has at least 128 bits and only characters of base64url. One with
	// others could do harm in a path and is left out.
	Token string
	// Validated is when the server saw the proof, or zero.
	Validated time.Time
	// Error is what the server found instead.
	Error *Problem
	// RetryAfter is when the server wants to be asked again, on the client's
	// clock; zero if it did not say.
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

// Deactivate gives an authorization up (RFC 8555 section 7.5.2). A pending one
// no longer counts against the account's limit then.
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

// Accept tells the server that the proof is in place (RFC 8555 section 7.5.1).
// The server looks at it later: the answer is most often pending or processing.
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
