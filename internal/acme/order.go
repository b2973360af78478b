package acme

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign"
)

const maxStatus = 32

// OrderRequest is the payload of a new order (RFC 8555 section 7.4).
type OrderRequest struct {
	Identifiers []Identifier
	// NotAfter is the requested end of the certificate's validity; zero leaves
	// it to the CA.
	NotAfter time.Time
	// Profile is the name of one of the directory's profiles, or empty.
	Profile string
	// Replaces identifies the certificate that the new one replaces (RFC 9773
	// section 4.1), or is empty.
	Replaces string
}

// Order is a request for a certificate, from its creation until the certificate
// is issued (RFC 8555 section 7.1.3). Its states are those of section 7.1.6:
// pending until every authorization is valid, then ready; processing after
// Finalize; then valid. An order that fails becomes invalid.
type Order struct {
	// URL identifies the order. The server sends it in Location, with the
	// response to NewOrder; its response to Finalize may lack it.
	URL string `json:"-"`
	// Status is pending, ready, processing, valid or invalid.
	Status string `json:"status"`
	// Expires is when the server considers the order invalid. Required for
	// pending and valid orders; zero if the server sends none.
	Expires time.Time `json:"-"`
	// NotAfter is the requested end of the certificate's validity, or zero.
	NotAfter    time.Time    `json:"-"`
	Identifiers []Identifier `json:"identifiers"`
	// Authorizations are URLs. For a pending order they are those that the
	// client has to complete; for a final order, those that were completed.
	Authorizations []string `json:"authorizations"`
	// Finalize is the URL to which Finalize posts the CSR, once all
	// authorizations are valid.
	Finalize string `json:"finalize"`
	// Certificate is the URL of the issued chain. It is set if Status is valid.
	Certificate string `json:"certificate"`
	// Error is why processing the order failed, if the server sends a reason.
	Error    *Problem `json:"error"`
	Profile  string   `json:"profile"`
	Replaces string   `json:"replaces"`
	// RetryAfter is when the server asks the client to poll again (Retry-After,
	// section 7.5.1), on the client's clock; zero if it sends none.
	RetryAfter time.Time `json:"-"`
}

// NewOrder creates an order (RFC 8555 section 7.4). If the server does not
// advertise the profile, NewOrder sends nothing and returns a Permanent error. If
// the server refuses the order as unauthorized, NewOrder reads the account: the
// refusal is about the account only if the account is not valid.
//
// Replaces is sent only to a server that has renewal information. If the server may
// have refused the order because of it, NewOrder sends the order once more without it.
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
	if directory.RenewalInfo == "" {
		r.Replaces = ""
	}
	order, err := c.newOrder(ctx, directory, r)
	if r.Replaces != "" && refusesReplaces(err) {
		r.Replaces = ""
		return c.newOrder(ctx, directory, r)
	}
	return order, err
}

func (c *Client) newOrder(ctx context.Context, directory Directory, r OrderRequest) (Order, error) {
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
		return Order{}, c.blame(ctx, err)
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

// blame finds out whether the account is why an order was refused as
// unauthorized. It returns an error of its own if the server does not answer.
func (c *Client) blame(ctx context.Context, refusal error) error {
	p := ProblemOf(refusal)
	if p == nil || !p.Has(TypeUnauthorized) || p.action != actionNewOrder || aboutReplaces(refusal) {
		return refusal
	}
	account, err := c.Account(ctx)
	switch {
	case err == nil:
		p.accountInvalid = account.Status != StatusValid
	case IsAccountProblem(err):
		p.accountInvalid = true
	default:
		return err
	}
	return refusal
}

// checkProfile reports an error if the server does not advertise a profile. It
// reads a fresh directory first: users try a profile as soon as their CA
// announces it.
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

// Finalize sends the CSR of a ready order (RFC 8555 section 7.4).
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
	var wire struct {
		Order
		Expires  string `json:"expires"`
		NotAfter string `json:"notAfter"`
	}
	if err := r.resource(&wire, "an order", &wire.Status); err != nil {
		return Order{}, err
	}
	o := wire.Order
	for _, url := range append([]string{o.Finalize, o.Certificate}, o.Authorizations...) {
		if len(url) > maxURL {
			return Order{}, &ServerError{Host: r.url.Host, What: "named a URL that cannot be used"}
		}
	}
	for i := range o.Identifiers {
		o.Identifiers[i] = o.Identifiers[i].safe()
	}
	o.Expires, o.NotAfter, o.RetryAfter = parseTime(wire.Expires), parseTime(wire.NotAfter), r.retryAfter
	o.Profile, o.Replaces = foreign.Word(o.Profile, maxIdentifier), foreign.Word(o.Replaces, maxIdentifier)
	return o, nil
}

// parseTime reads an RFC 3339 time. A malformed time is returned as zero: the
// rest of the resource is still usable.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
