package controller

import (
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// IssuerNews is that an issuer has to be set up again at a time: its account
// was refused.
type IssuerNews struct {
	Issuer cmv1.GenericIssuer
	At     time.Time
}
