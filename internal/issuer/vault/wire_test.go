package vault

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/everleaf/everleaf/internal/fault"
)

// TestRedirects: the token and the request go where a node of Vault's that is not the active
// one sends them, and nowhere else.
func TestRedirects(t *testing.T) {
	secured := secure(tls.NoClientCert)
	for name, test := range map[string]struct {
		// node and other start the two servers.
		node, other func(*httptest.Server)
		status      int
		// to is where the node redirects to, below the other server's URL.
		to string
		// follows says that the other server gets the request.
		follows bool
	}{
		"active node":  {plain, plain, 307, pathSign, true},
		"moved":        {plain, plain, 301, pathSign, true},
		"found":        {plain, plain, 302, pathSign, true},
		"from http":    {plain, secured, 307, pathSign, true},
		"over https":   {secured, secured, 307, pathSign, true},
		"to http":      {secured, plain, 307, pathSign, false},
		"another path": {plain, plain, 302, "/login", false},
		"below a path": {plain, plain, 307, "/vault" + pathSign, false},
		"with a query": {plain, plain, 302, pathSign + "?next=1", false},
		"permanent":    {plain, plain, 308, pathSign, true},
		"see other":    {plain, plain, 303, pathSign, false},
	} {
		t.Run(name, func(t *testing.T) {
			node, other := newServer(t, test.node), newServer(t, test.other)
			node.answer(pathSign, func(*http.Request) reply {
				return reply{status: test.status, body: "<a>moved</a>", header: http.Header{"Location": {other.URL + test.to}}}
			})
			other.signs(pathSign, newSigner(t))
			l := newLab(t, node)
			for _, s := range []*server{node, other} {
				if s.TLS != nil {
					l.spec.CABundle = append(l.spec.CABundle, s.bundle()...)
				}
			}
			_, err := l.sign()
			const request = "POST " + pathSign + " token=s.token"
			same(t, "requests of the node", []string{request}, node.took())
			if test.follows {
				same(t, "fault", verdict{}, verdictOf(err))
				same(t, "requests of the other server", []string{request}, other.took())
				same(t, "bodies", node.bodies[pathSign], other.bodies[pathSign])
				return
			}
			begins(t, err, fault.Transient, "SigningError", "Vault failed to sign certificate: failed to sign certificate by vault: "+host(node.URL)+
				" answered HTTP "+strconv.Itoa(test.status)+" to /v1/pki/sign/web, and redirects elsewhere, which is not followed: check spec.vault.server")
			same(t, "requests of the other server", []string(nil), other.took())
		})
	}
}

// TestOneRedirect: two servers that redirect to each other get one request each.
func TestOneRedirect(t *testing.T) {
	a, b := newServer(t, plain), newServer(t, plain)
	for from, to := range map[*server]*server{a: b, b: a} {
		from.answer("/v1/sys/health", func(*http.Request) reply {
			return reply{status: 307, header: http.Header{"Location": {to.URL + "/v1/sys/health"}}}
		})
	}
	_, err := newLab(t, a).check()
	same(t, "fault", verdict{
		Class: fault.Transient, Reason: "VaultError", Message: "Failed to verify Vault is initialized and unsealed: error calling Vault /v1/sys/health: " + host(a.URL) +
			" answered HTTP 307 to /v1/sys/health, and redirects elsewhere, which is not followed: check spec.vault.server",
	}, verdictOf(err))
	same(t, "requests", []string{"GET /v1/sys/health", "GET /v1/sys/health"}, append(a.took(), b.took()...))
}

// TestPrefixLost: what stands before Vault takes a path off, and a node that is not the
// active one redirects without it. The redirect is not followed, and the message names it.
func TestPrefixLost(t *testing.T) {
	gateway, node := newServer(t, plain), newServer(t, plain)
	for _, path := range []string{pathSign, "/v1/sys/health"} {
		gateway.answer("/vault"+path, func(*http.Request) reply {
			return reply{status: 307, header: http.Header{"Location": {node.URL + path}}}
		})
	}
	l := newLab(t, gateway)
	l.spec.Server += "/vault"
	lost := func(path string) string {
		return host(gateway.URL) + " answered HTTP 307 to " + path + ", and redirects to a path without the /vault of spec.vault.server, which is not followed: " +
			"a node of Vault that is not the active one does not know that path; set spec.vault.server to the address of a node, or have what is before Vault ask the active one"
	}
	_, err := l.sign()
	same(t, "fault of the request", verdict{
		Class: fault.Transient, Reason: "SigningError", Message: "Vault failed to sign certificate: failed to sign certificate by vault: " + lost(pathSign),
	}, verdictOf(err))
	_, err = l.check()
	same(t, "fault of the issuer", verdict{
		Class: fault.Transient, Reason: "VaultError",
		Message: "Failed to verify Vault is initialized and unsealed: error calling Vault /v1/sys/health: " + lost("/v1/sys/health"),
	}, verdictOf(err))
	same(t, "requests of the node", []string(nil), node.took())
}
