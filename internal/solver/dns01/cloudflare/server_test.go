package cloudflare

import (
	"testing"

	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/solver/dns01/cloudflare/cloudflaretest"
)

const (
	goodToken = cloudflaretest.Token
	readToken = cloudflaretest.ReadToken
	badToken  = cloudflaretest.WrongToken
	goodKey   = cloudflaretest.Key
	email     = cloudflaretest.Email
)

// object is a JSON object.
type object = cloudflaretest.Object

// stub makes Providers that ask a stub of the API.
type stub struct{ *cloudflaretest.Server }

func newStub(t *testing.T) stub { return stub{cloudflaretest.New(t)} }

func (s stub) provider(t *testing.T, c Config) *Provider {
	t.Helper()
	c.Clock, c.HTTP, c.SecretName = clock.RealClock{}, s.Transport, "default/cloudflare"
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
