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
