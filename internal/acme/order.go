package acme

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
)

const maxStatus = 32

// OrderRequest asks for a certificate.
type OrderRequest struct {
	Identifiers []Identifier
	// NotAfter is when the certificate shall end; zero leaves it to the CA.
	NotAfter time.Time
	// Profile is one of the directory's profiles, or empty.
	Profile string
	// Replaces is the identifier of the certificate that the new one follows
	// (RFC 9773 section 4.1), or empty.
	Replaces string
}

// Order is an order (RFC 8555 section 7.1.3).
type Order struct {
	// URL is the order's name. The answer to Finalize may lack it.
	URL string
	// Status is pending, ready, processing, valid or invalid.
	Status string
	// Expires is when the server forgets the order; zero if it does not say.
	Expires time.Time
	// NotAfter is the end that was asked for, or zero.
	NotAfter    time.Time
	Identifiers []Identifier
	// Authorizations are URLs.
	Authorizations []string
	// Finalize is the URL that takes the CSR.
	Finalize string
	// Certificate is the URL of the chain, once Status is valid.
	Certificate string
	// Error is why an order is invalid, if the server says.
	Error    *Problem
	Profile  string
	Replaces string
	// RetryAfter is when the server wants to be asked again, on the client's
	// clock; zero if it did not say.
	RetryAfter time.Time
}

type orderJSON struct {
	Status         string       `json:"status"`
	Expires        string       `json:"expires"`
	NotAfter       string       `json:"notAfter"`
	Identifiers    []Identifier `json:"identifiers"`
	Authorizations []string     `json:"authorizations"`
	Finalize       string       `json:"finalize"`
	Certificate    string       `json:"certificate"`
	Error          *Problem     `json:"error"`
	Profile        string       `json:"profile"`
	Replaces       string       `json:"replaces"`
}

// NewOrder makes an order (RFC 8555 section 7.4). A profile that the server
// does not advertise is a Permanent error, and nothing is sent.
func (c *Client) NewOrder(ctx context.Context, r OrderRequest) (Order, error) {
	directory, err := c.Directory(ctx)
	if err != nil {
		return Order{}, err
	}
	if r.Profile != "" {
		if err := c.checkProfile(ctx, directory, r.Profile); err != nil {
			return Order{}, err
		}
	}
	payload := struct {
		Identifiers []Identifier `json:"identifiers"`
		NotAfter    string       `json:"notAfter,omitempty"`
		Profile     string       `json:"profile,omitempty"`
		Replaces    string       `json:"replaces,omitempty"`
	}{Identifiers: r.Identifiers, Profile: r.Profile, Replaces: r.Replaces}
	if !r.NotAfter.IsZero() {
		payload.NotAfter = r.NotAfter.UTC().Format(time.RFC3339)
	}
	answer, err := c.post(ctx, request{action: actionNewOrder, url: directory.NewOrder, payload: payload})
	if err != nil {
		c.suspectDirectory(err)
		return Order{}, err
	}
	order, err := answer.order()
	if err != nil {
		return Order{}, err
	}
	if order.URL = answer.location(); order.URL == "" {
		return Order{}, &ServerError{Host: answer.url.Host, What: "named no URL for the order"}
	}
	return order, nil
}

// checkProfile looks a profile up, in a fresh directory before it gives up: a
// profile that a CA has just announced is what people try first.
func (c *Client) checkProfile(ctx context.Context, d Directory, profile string) error {
	if _, ok := d.Meta.Profiles[profile]; ok {
		return nil
	}
	d, err := c.directoryNotOlder(ctx, time.Minute)
	if err != nil {
		return err
	}
	if len(d.Meta.Profiles) == 0 {
		return fault.New(fault.Permanent, "InvalidProfile", "acme: certificate authority does not support profiles")
	}
	if _, ok := d.Meta.Profiles[profile]; !ok {
		return fault.New(fault.Permanent, "InvalidProfile", "acme: certificate authority does not advertise a profile with name %s", profile)
	}
	return nil
}

// Order reads an order.
func (c *Client) Order(ctx context.Context, url string) (Order, error) {
	return c.postOrder(ctx, request{action: actionOrder, url: url}, url)
}

// Finalize hands in the CSR of an order that is ready (RFC 8555 section 7.4).
func (c *Client) Finalize(ctx context.Context, finalizeURL string, csrDER []byte) (Order, error) {
	return c.postOrder(ctx, request{
		action: actionFinalize,
		url:    finalizeURL,
		payload: struct {
			CSR string `json:"csr"`
		}{base64.RawURLEncoding.EncodeToString(csrDER)},
	}, "")
}

func (c *Client) postOrder(ctx context.Context, r request, orderURL string) (Order, error) {
	answer, err := c.post(ctx, r)
	if err != nil {
		return Order{}, err
	}
	order, err := answer.order()
	if err != nil {
		return Order{}, err
	}
	if order.URL = orderURL; order.URL == "" {
		order.URL = answer.location()
	}
	return order, nil
}

func (r *response) order() (Order, error) {
	var wire orderJSON
	if err := r.decode(&wire, "an order"); err != nil {
		return Order{}, err
	}
	if safeWord(wire.Status, maxStatus) == "" {
		return Order{}, &ServerError{Host: r.url.Host, What: "sent an order without a status"}
	}
	for i := range wire.Identifiers {
		wire.Identifiers[i] = wire.Identifiers[i].safe()
	}
	return Order{
		Status:         wire.Status,
		Expires:        parseTime(wire.Expires),
		NotAfter:       parseTime(wire.NotAfter),
		Identifiers:    wire.Identifiers,
		Authorizations: wire.Authorizations,
		Finalize:       wire.Finalize,
		Certificate:    wire.Certificate,
		Error:          wire.Error,
		Profile:        safeWord(wire.Profile, maxIdentifier),
		Replaces:       safeWord(wire.Replaces, maxIdentifier),
		RetryAfter:     r.retryAfter,
	}, nil
}

// parseTime reads RFC 3339. A time that is not is unknown, and no reason to
// refuse the resource that it is in.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
