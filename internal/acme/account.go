package acme

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/everleaf/everleaf/internal/foreign"
)

// States of accounts, orders, authorizations and challenges (RFC 8555 section
// 7.1.6).
const (
	StatusPending     = "pending"
	StatusReady       = "ready"
	StatusProcessing  = "processing"
	StatusValid       = "valid"
	StatusInvalid     = "invalid"
	StatusDeactivated = "deactivated"
	StatusExpired     = "expired"
	StatusRevoked     = "revoked"
)

// AccountRequest asks for an account.
type AccountRequest struct {
	// Contact are URLs such as "mailto:admin@example.com".
	Contact []string
	// TermsAgreed reports whether the user agrees to the terms of service.
	TermsAgreed bool
	// EAB binds the account to an account that the user has with the CA outside
	// of ACME; nil for none.
	EAB *ExternalAccount
	// OnlyExisting creates no account: if none exists for the key, the server
	// answers accountDoesNotExist.
	OnlyExisting bool
}

// ExternalAccount is a MAC key from a CA (RFC 8555 section 7.3.4).
type ExternalAccount struct {
	KeyID string
	// Key is the MAC key itself, not its base64.
	Key []byte
}

// Account is an ACME account (RFC 8555 section 7.1.2).
type Account struct {
	// URL identifies the account in each request (the "kid" of RFC 8555 section
	// 6.2).
	URL string `json:"-"`
	// Status is valid, deactivated or revoked.
	Status string `json:"status"`
	// Contact is the contact that the server returns. Some servers never return
	// it.
	Contact []string `json:"contact"`
	// Created reports whether Register created the account (201) rather than
	// found it (200).
	Created bool `json:"-"`
}

// Register creates an account for the key, or finds the existing one (RFC 8555
// section 7.3). The client signs later requests with it. The contact of an
// existing account does not change.
func (c *Client) Register(ctx context.Context, r AccountRequest) (Account, error) {
	directory, err := c.Directory(ctx)
	if err != nil {
		return Account{}, err
	}
	payload := struct {
		Contact              []string        `json:"contact,omitempty"`
		TermsOfServiceAgreed bool            `json:"termsOfServiceAgreed,omitempty"`
		OnlyReturnExisting   bool            `json:"onlyReturnExisting,omitempty"`
		EAB                  json.RawMessage `json:"externalAccountBinding,omitempty"`
	}{Contact: r.Contact, TermsOfServiceAgreed: r.TermsAgreed, OnlyReturnExisting: r.OnlyExisting}
	if r.EAB != nil {
		if c.key == nil {
			return Account{}, badKey()
		}
		if payload.EAB, err = r.EAB.bind(c.key.Public(), directory.NewAccount); err != nil {
			return Account{}, err
		}
	}
	answer, err := c.post(ctx, request{action: actionRegister, url: directory.NewAccount, payload: payload, newAccount: true})
	if err != nil {
		c.suspectDirectory(err)
		return Account{}, err
	}
	account, err := answer.account()
	if err != nil {
		return Account{}, err
	}
	if account.URL = answer.location(); account.URL == "" {
		return Account{}, &ServerError{Host: answer.url.Host, What: "named no URL for the account"}
	}
	account.Created = answer.status == http.StatusCreated
	c.setAccountURL(account.URL)
	return account, nil
}

// Account reads the account.
func (c *Client) Account(ctx context.Context) (Account, error) {
	return c.postAccount(ctx, actionAccount, nil)
}

// UpdateContact replaces the account's contact (RFC 8555 section 7.3.2). An
// empty list removes it.
func (c *Client) UpdateContact(ctx context.Context, contact []string) (Account, error) {
	if contact == nil {
		contact = []string{} // null would mean no change
	}
	return c.postAccount(ctx, actionUpdateAccount, struct {
		Contact []string `json:"contact"`
	}{contact})
}

func (c *Client) postAccount(ctx context.Context, action string, payload any) (Account, error) {
	accountURL := c.AccountURL()
	if accountURL == "" {
		return Account{}, ErrNoAccount
	}
	answer, err := c.post(ctx, request{action: action, url: accountURL, payload: payload})
	if err != nil {
		return Account{}, err
	}
	account, err := answer.account()
	account.URL = accountURL
	return account, err
}

func (r *response) account() (Account, error) {
	var a Account
	if err := r.decode(&a, "an account"); err != nil {
		return Account{}, err
	}
	a.Status = foreign.Word(a.Status, maxStatus)
	return a, nil
}
