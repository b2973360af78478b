// Package issuer says what an issuer type does for a request. Each type is a
// package of its own beneath this one.
package issuer

import (
	"context"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
)

// Request is a CertificateRequest that may be signed now: approved, and for an
// issuer that is ready.
type Request struct {
	// Object is the request; it is not to be changed.
	Object *cmv1.CertificateRequest
	// Issuer is the spec of the issuer that it refers to.
	Issuer *cmv1.IssuerSpec
	// Namespace holds the issuer's Secrets.
	Namespace string
	// Now is the time of the decision.
	Now time.Time
}

// Signer issues certificates in one call. Errors are fault.Errors: Permanent
// fails the request, all others leave it pending.
type Signer interface {
	Sign(ctx context.Context, r Request) (request.Outcome, error)
}
