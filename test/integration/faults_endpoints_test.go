package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/test/faultproxy"
	"github.com/everleaf/everleaf/test/harness"
)

// faultPatience is enough for all cases at once to recover: the slowest repeat
// a step two times, 5 and 10 s apart, and the machine may be busy.
const faultPatience = 4 * time.Minute

// words are how an endpoint is called in names.
var words = map[faultproxy.Endpoint]string{
	faultproxy.Directory: "directory", faultproxy.NewNonce: "nonce", faultproxy.NewAccount: "account",
	faultproxy.NewOrder: "neworder", faultproxy.Order: "order", faultproxy.Authorization: "authz",
	faultproxy.Challenge: "challenge", faultproxy.Finalize: "finalize", faultproxy.Certificate: "cert",
}

// faultCase is one endpoint with one fault.
type faultCase struct {
	name     string
	endpoint faultproxy.Endpoint
	fault    faultproxy.Fault
	proxy    *faultproxy.Proxy
	// ready, waits or failed is how it ends; says is what the user reads.
	ends string
	says []string
}

const (
	endsReady  = "ready"
	endsWaits  = "waits"
	endsFailed = "failed"
)

// start makes the objects of a case.
func (c *faultCase) start(t *testing.T, f *faultLab) {
	t.Helper()
	c.proxy = f.issuerWith(t, c.name, func(p *faultproxy.Proxy) {
		p.Fail(c.endpoint, c.fault)
		if c.endpoint == faultproxy.Order {
			// Else there may be no need to look at the order again.
			p.Fail(faultproxy.Finalize, faultproxy.Fault{Rewrite: processing})
		}
	})
	f.Apply(t, f.ns, harness.CertificateManifest(c.name, c.name, c.name+".example.com"))
}

func processing(order map[string]any) {
	if order["status"] == "valid" {
		order["status"] = "processing"
		delete(order, "certificate")
	}
}

func (c *faultCase) end(t *testing.T, f *faultLab) {
	t.Helper()
	switch c.ends {
	case endsReady:
		f.Ready(t, f.ns, c.name, faultPatience)
	case endsFailed:
		f.failed(t, c.name, faultPatience, c.says...)
	case endsWaits:
		f.waits(t, c.name, faultPatience, c.says...)
	}
}

// transient are faults that go away by themselves.
var transient = map[string]faultproxy.Fault{
	"ratelimited": {Status: 429, Type: "rateLimited", Detail: "too many requests", RetryAfter: 2},
	"503":         {Status: 503, RetryAfter: 2},
	"500":         {Status: 500},
	"internal":    {Status: 500, Type: "serverInternal", Detail: "internal error"},
	"badnonce":    {Status: 400, Type: "badNonce", Detail: "bad nonce"},
	"html":        {Status: 502},
	"dropped":     {Drop: true},
	"lost":        {Late: true},
}

func TestFaultsThatPass(t *testing.T) {
	f := newFaultLabAlone(t, harness.QuickOptions{})
	var cases []*faultCase
	for _, endpoint := range faultproxy.Endpoints {
		for kind, fault := range transient {
			fault.Times = 2
			c := &faultCase{name: words[endpoint] + "-" + kind, endpoint: endpoint, fault: fault, ends: endsReady}
			cases = append(cases, c)
			c.start(t, f)
		}
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.end(t, f)
			requests := c.proxy.Requests(c.endpoint)
			// What reached the server is looked at, and need not be repeated.
			if len(requests) == 0 || (len(requests) < 3 && !c.fault.Late) {
				t.Errorf("only %d requests: the fault was not met", len(requests))
			}
			// An issuance needs at most 5 nonces and 3 looks at an
			// authorization; a lost answer may cost another order.
			if len(requests) > 15 {
				t.Errorf("%d requests, which is too many", len(requests))
			}
			if wait := time.Duration(c.fault.RetryAfter) * time.Second; wait > 0 {
				for i := range c.fault.Times {
					if got := requests[i+1].Sub(requests[i]); got < wait {
						t.Errorf("repeated after %s, with a Retry-After of %s", got, wait)
					}
				}
			}
		})
	}
	f.silence(t)
}

// silence fails the test if the canary appears anywhere.
func (f *faultLab) silence(t *testing.T) {
	t.Helper()
	if f.log.N() == 0 {
		t.Error("nothing was logged")
	}
	if found := f.log.With(canary); len(found) > 0 {
		t.Errorf("the canary is in the log: %s", found[0])
	}
	f.WantNowhere(t, f.ns, canary)
}

// lasting are faults that do not go away.
func lasting() []*faultCase {
	problem := func(status int, kind string) faultproxy.Fault {
		return faultproxy.Fault{Status: status, Type: kind, Detail: "told by the CA about " + kind}
	}
	malformed, unauthorized := problem(400, "malformed"), problem(403, "unauthorized")
	missing, action := problem(400, "accountDoesNotExist"), problem(403, "userActionRequired")
	gone := problem(404, "malformed")
	cases := []*faultCase{
		{endpoint: faultproxy.NewAccount, fault: malformed, ends: endsWaits},
		{endpoint: faultproxy.NewAccount, fault: unauthorized, ends: endsWaits},
		{endpoint: faultproxy.NewAccount, fault: action, ends: endsWaits},
		{endpoint: faultproxy.NewOrder, fault: malformed, ends: endsFailed},
		{endpoint: faultproxy.NewOrder, fault: problem(400, "rejectedIdentifier"), ends: endsFailed},
		{endpoint: faultproxy.NewOrder, fault: unauthorized, ends: endsFailed},
		{endpoint: faultproxy.Certificate, fault: malformed, ends: endsFailed},
		{endpoint: faultproxy.Certificate, fault: unauthorized, ends: endsWaits},
		{endpoint: faultproxy.Certificate, fault: gone, ends: endsWaits},
		{endpoint: faultproxy.Finalize, fault: problem(400, "badCSR"), ends: endsFailed},
		{endpoint: faultproxy.Finalize, fault: problem(403, "orderNotReady"), ends: endsWaits},
		{endpoint: faultproxy.Finalize, fault: problem(403, "caa"), ends: endsFailed},
	}
	for _, e := range []faultproxy.Endpoint{
		faultproxy.Authorization, faultproxy.Challenge, faultproxy.Finalize, faultproxy.Order,
	} {
		cases = append(cases,
			&faultCase{endpoint: e, fault: malformed, ends: endsFailed},
			&faultCase{endpoint: e, fault: unauthorized, ends: endsFailed},
			&faultCase{endpoint: e, fault: gone, ends: endsFailed})
	}
	for _, e := range []faultproxy.Endpoint{
		faultproxy.NewOrder, faultproxy.Authorization, faultproxy.Challenge, faultproxy.Finalize, faultproxy.Order, faultproxy.Certificate,
	} {
		cases = append(cases,
			&faultCase{endpoint: e, fault: missing, ends: endsWaits},
			&faultCase{endpoint: e, fault: action, ends: endsWaits})
	}
	for _, c := range cases {
		c.name = fmt.Sprintf("%s-%s-%d", words[c.endpoint], strings.ToLower(c.fault.Type), c.fault.Status)
		c.says = []string{fmt.Sprintf("%d urn:ietf:params:acme:error:%s: %s", c.fault.Status, c.fault.Type, c.fault.Detail)}
	}
	return cases
}

func TestFaultsThatLast(t *testing.T) {
	f := newFaultLab(t, harness.QuickOptions{Pebble: reusing}, func(o *operator.Options) {
		// An issuance that has failed is not begun again meanwhile: what is counted is one.
		o.Backoff = plan.DefaultIssuance
	})
	cases := lasting()
	began := time.Now()
	for _, c := range cases {
		c.start(t, f)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.end(t, f) })
	}
	// What fails is repeated seldom: 3 times for orders that went away, every 5 s
	// at most for an order that the server reports as ready.
	const observed = 30 * time.Second
	wait, cancel := context.WithDeadline(t.Context(), began.Add(observed))
	defer cancel()
	<-wait.Done()
	most := 30 + int(time.Since(began)/(5*time.Second))
	for _, c := range cases {
		t.Run("requests/"+c.name, func(t *testing.T) {
			for _, e := range faultproxy.Endpoints {
				if n := len(c.proxy.Requests(e)); n > most {
					t.Errorf("%d requests to %s in %s", n, words[e], time.Since(began).Round(time.Second))
				}
			}
			want := 4
			if c.endpoint == faultproxy.Certificate {
				// A certificate that is not there yet is waited for.
				want = 1
			}
			if n := len(c.proxy.Requests(faultproxy.NewOrder)); c.fault.Status == 404 && n != want {
				t.Errorf("%d newOrders, want %d: an order that is gone is replaced 3 times", n, want)
			}
			if len(c.proxy.Requests(c.endpoint)) == 0 {
				t.Error("the fault was not met")
			}
		})
	}
	f.silence(t)
}
