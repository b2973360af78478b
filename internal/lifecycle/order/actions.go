package order

import (
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
)

// The actions of an Order.
type (
	// CreateOrder creates the order at the ACME server.
	CreateOrder struct{ Request acme.OrderRequest }
	// FetchOrder fetches the order at URL.
	FetchOrder struct{ URL string }
	// FetchAuthorizations fetches the authorizations at URLs.
	FetchAuthorizations struct{ URLs []string }
	// CreateChallenges creates Challenges.
	CreateChallenges struct{ Specs []acmev1.ChallengeSpec }
	// DeleteChallenges deletes Challenges.
	DeleteChallenges struct{ Challenges []*acmev1.Challenge }
	// Override gives the Order annotations for the HTTP-01 solver, in the place of those
	// that it has.
	Override struct{ Annotations map[string]string }
	// Finalize sends the signing request, in DER, to the order's finalize URL.
	Finalize struct {
		URL string
		CSR []byte
	}
	// Download downloads the certificate at URL, with the chain whose topmost
	// certificate has an issuer of the preferred name, if there is one.
	Download struct{ URL, PreferredChain string }
	// SuspectAccount takes the account out of use, which the server refused, with
	// the words of Cause, in an action that began at Began.
	SuspectAccount struct {
		Began time.Time
		Cause string
	}
	// HoldBack keeps the Order from asking the server until a time, and all Orders
	// of the account from asking for new orders until Gate, zero for none. Cause is
	// the server's.
	HoldBack struct {
		Until, Gate time.Time
		Cause       string
	}
)

func (CreateOrder) String() string         { return "create the order at the server" }
func (FetchOrder) String() string          { return "fetch the order" }
func (FetchAuthorizations) String() string { return "fetch the authorizations" }
func (CreateChallenges) String() string    { return "create Challenges" }
func (DeleteChallenges) String() string    { return "delete Challenges" }
func (Override) String() string            { return "take over the annotations for the HTTP-01 solver" }
func (Finalize) String() string            { return "finalize the order" }
func (Download) String() string            { return "download the certificate" }
func (SuspectAccount) String() string      { return "suspect the account" }
func (HoldBack) String() string            { return "hold back new orders" }

// Local implements plan.Local.
func (SuspectAccount) Local() {}

// Local implements plan.Local.
func (HoldBack) Local() {}
