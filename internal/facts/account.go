package facts

import (
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
)

// Account is an issuer's account at an ACME server.
type Account struct {
	// Issuer is the ACME part of the issuer's spec.
	Issuer *acmev1.ACMEIssuer
	// Thumbprint of the account key (RFC 7638), base64url.
	Thumbprint string
	// NewOrderNotBefore is when the server allows the next new order, zero for now.
	NewOrderNotBefore time.Time
}
