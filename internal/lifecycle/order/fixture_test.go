package order

import (
	"context"
	"testing"

	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/plan"
)

const hour = lifecycletest.Hour

// The fixtures that all kinds share.
var (
	now            = lifecycletest.Now
	at             = lifecycletest.At
	key            = lifecycletest.Key
	newCertificate = lifecycletest.NewCertificate
	newRequest     = lifecycletest.NewRequest
	requestIs      = lifecycletest.RequestIs
	signed         = lifecycletest.Signed
	authorization  = lifecycletest.Authorization
	acmeIssuer     = lifecycletest.ACMEIssuer
	rfc2136        = lifecycletest.RFC2136
	deniedCond     = lifecycletest.DeniedCond
	mustOrder      = lifecycletest.MustOrder
	eachDump       = lifecycletest.EachDump
)

func samePlan[T any](t *testing.T, want, got T) {
	t.Helper()
	lifecycletest.SamePlan(t, want, got)
}

func ptr[T any](v T) *T { return lifecycletest.Ptr(v) }

// ask returns the request of an action, and classifies the answer as the
// controller does.
func ask(action plan.Action) func(*acme.Client, string) error {
	return func(c *acme.Client, base string) error {
		_, err := request(context.Background(), c, action, base)
		return acme.Classify(err, now)
	}
}

func request(ctx context.Context, c *acme.Client, action plan.Action, base string) (any, error) {
	switch action.(type) {
	case CreateOrder:
		return c.NewOrder(ctx, acme.OrderRequest{Identifiers: []acme.Identifier{{Type: "dns", Value: "a.example"}}})
	case FetchOrder:
		return c.Order(ctx, base+"/o")
	case FetchAuthorizations:
		return c.Authorization(ctx, base+"/a")
	case Finalize:
		return c.Finalize(ctx, base+"/f", []byte{1})
	default:
		return c.PreferredChain(ctx, base+"/c", "")
	}
}
