package request

import (
	"testing"

	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
)

const day = lifecycletest.Day

// The fixtures that all kinds share.
var (
	now            = lifecycletest.Now
	born           = lifecycletest.Born
	at             = lifecycletest.At
	key            = lifecycletest.Key
	newCertificate = lifecycletest.NewCertificate
	newRequest     = lifecycletest.NewRequest
	signed         = lifecycletest.Signed
	issuerOf       = lifecycletest.IssuerOf
	caIssuer       = lifecycletest.CAIssuer
	acmeIssuer     = lifecycletest.ACMEIssuer
	requestCond    = lifecycletest.RequestCond
	approvedCond   = lifecycletest.ApprovedCond
	deniedCond     = lifecycletest.DeniedCond
	invalidCond    = lifecycletest.InvalidCond
	readyCond      = lifecycletest.ReadyCond
	mustOrder      = lifecycletest.MustOrder
	eachDump       = lifecycletest.EachDump
)

func samePlan[T any](t *testing.T, want, got T) {
	t.Helper()
	lifecycletest.SamePlan(t, want, got)
}
