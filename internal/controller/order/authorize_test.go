package order

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/test/faultproxy"
	"github.com/everleaf/everleaf/test/pebble"
)

// TestSecondLookAtAuthorization has a server that deactivates an authorization after
// the first look at it, and an API server that does not take what that look has found.
// This process needs no second look, and another one takes its answer for what it is.
func TestSecondLookAtAuthorization(t *testing.T) {
	var looks atomic.Int32
	proxy := faultproxy.Start(t, pebble.Start(t, pebble.Options{Env: []string{"PEBBLE_WFE_NONCEREJECT=0"}}), "")
	proxy.Fail(faultproxy.Authorization, faultproxy.Fault{Rewrite: func(a map[string]any) {
		if looks.Add(1) > 1 {
			a["status"] = acme.StatusDeactivated
		}
	}})
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	transport, err := acme.HTTPClient(acme.TransportOptions{CABundle: proxy.CABundle})
	if err != nil {
		t.Fatal(err)
	}
	from := request(t, "a.example")
	object := orderFor(t, from)
	s := start(t, from, object)
	s.cache(t, from, object)
	asked := acme.New(acme.Config{
		DirectoryURL: proxy.DirectoryURL, Key: key, HTTPClient: transport, Clock: clock.RealClock{},
		Observe: func(action, _, _, _ string, _ int, _ time.Duration) {
			if action == "get_authorization" {
				s.refuse = errors.New("no answer")
			}
		},
	})
	if _, err := asked.Register(t.Context(), acme.AccountRequest{TermsAgreed: true}); err != nil {
		t.Fatal(err)
	}
	stored := func(s *started) acmev1.OrderStatus {
		t.Helper()
		o := &acmev1.Order{}
		if err := s.objects.Get(t.Context(), client.ObjectKeyFromObject(object), o); err != nil {
			t.Fatal(err)
		}
		return o.Status
	}
	if result := s.reconcile(t, asked, object); result.RequeueAfter == 0 || looks.Load() != 1 || stored(s).Authorizations[0].Identifier != "" {
		t.Fatalf("%d looks, comes back after %s, status %+v", looks.Load(), result.RequeueAfter, stored(s))
	}
	status := stored(s)
	s.refuse = nil
	s.cache(t, object)
	s.reconcile(t, asked, object)
	if got := stored(s).Authorizations[0]; looks.Load() != 1 || got.Identifier != "a.example" || got.InitialState != acmev1.Pending {
		t.Errorf("%d looks, authorization %+v", looks.Load(), got)
	}

	again := orderFor(t, from, func(o *acmev1.Order) { o.Status = status })
	s = start(t, from, again)
	s.cache(t, from, again)
	s.reconcile(t, asked, again)
	s.refuse = nil
	s.reconcile(t, asked, again)
	if got := stored(s); looks.Load() != 2 || got.State != acmev1.Expired {
		t.Errorf("another process: %d looks, status %+v", looks.Load(), got)
	}
}
