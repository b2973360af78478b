package facts

import (
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
)

// Account is an issuer's account at an ACME server.
type Account struct {
	// Issuer is the ACME part of the issuer's spec.
	Issuer *acmev1.ACMEIssuer
	// URL identifies the account at the server.
	URL string
	// Thumbprint of the account key (RFC 7638), base64url.
	Thumbprint string
	// Unsupported says for each of Issuer.Solvers why this build cannot use it,
	// as the end of a sentence that begins with the solver, or "" if it can. A
	// solver that has no entry can be used.
	Unsupported []string
	// NewOrderNotBefore is when the server allows the next new order, zero for now.
	NewOrderNotBefore time.Time
	// NewOrdersLimited is why new orders wait until then, in the server's words.
	NewOrdersLimited string
}
