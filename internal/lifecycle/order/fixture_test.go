package order

import (
	"context"
	"testing"

	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
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

func must[T any](v T, err error) T { return lifecycletest.Must(v, err) }

// orderRequests are the requests of an Order's steps.
var orderRequests = map[Step]func(*acme.Client, string) error{
	Create: func(c *acme.Client, _ string) error {
		_, err := c.NewOrder(context.Background(), acme.OrderRequest{Identifiers: []acme.Identifier{{Type: "dns", Value: "a.example"}}})
		return err
	},
	Fetch: func(c *acme.Client, base string) error {
		_, err := c.Order(context.Background(), base+"/o")
		return err
	},
	Authorize: func(c *acme.Client, base string) error {
		_, err := c.Authorization(context.Background(), base+"/a")
		return err
	},
	Finalize: func(c *acme.Client, base string) error {
		_, err := c.Finalize(context.Background(), base+"/f", []byte{1})
		return err
	},
	Download: func(c *acme.Client, base string) error {
		_, err := c.PreferredChain(context.Background(), base+"/c", "")
		return err
	},
}
