package vault

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/pki"
)

func TestSign(t *testing.T) {
	s := newServer(t, plain)
	s.signs("/v1/pki/sign/web", newSigner(t))
	l := newLab(t, s)
	l.spec.Namespace = "admin/platform"
	r := l.request(pki.Template{
		CommonName: "web.example.com", DNSNames: []string{"web.example.com", "*.web.example.com"},
		IPAddresses: []string{"10.0.0.1", "2001:db8::1"}, URIs: []string{"spiffe://example.com/web"}, EmailAddresses: []string{"a@example.com"},
	})
	o, err := l.Sign(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "chain", []string{"web.example.com", "middle"}, names(t, o.Chain))
	same(t, "CA", []string{"root"}, names(t, o.CA))
	same(t, "requests", []string{"POST /v1/pki/sign/web token=s.token namespace=admin/platform"}, s.took())
	same(t, "body", map[string]any{
		"common_name": "web.example.com", "alt_names": "web.example.com,*.web.example.com", "ip_sans": "10.0.0.1,2001:db8::1",
		"uri_sans": "spiffe://example.com/web", "ttl": "2160h0m0s", "csr": string(r.CSR), "exclude_cn_from_sans": "true",
	}, s.bodies["/v1/pki/sign/web"])
	r.Duration = 90 * time.Minute
	if _, err := l.Sign(t.Context(), r); err != nil || s.bodies["/v1/pki/sign/web"]["ttl"] != "1h30m0s" {
		t.Errorf("ttl %v, error %v", s.bodies["/v1/pki/sign/web"]["ttl"], err)
	}
	if l.secrets.reads != 1 {
		t.Errorf("%d reads of Secrets", l.secrets.reads)
	}
}

// TestNotCA has Vault issue what is not the CA that was asked for.
func TestNotCA(t *testing.T) {
	by := newSigner(t)
	for name, test := range map[string]struct {
		asks, is bool
		want     [2]string
	}{
		"leaf":              {false, false, [2]string{}},
		"leaf, and no CA":   {true, false, [2]string{"NotCA", `isCA is set, but the certificate that Vault has issued is not a CA: the role at path "pki/sign/web" decides`}},
		"CA":                {true, true, [2]string{}},
		"CA, and not asked": {false, true, [2]string{}},
	} {
		s := newServer(t, plain)
		const path = "/v1/pki/sign/web"
		s.answer(path, func(*http.Request) reply {
			return reply{status: 200, body: by.answer(by.leaf(t, s.bodies[path]["csr"].(string), valid(test.is)), "")}
		})
		l := newLab(t, s)
		r := l.request(pki.Template{CommonName: "web.example.com"})
		r.IsCA = test.asks
		o, err := l.Sign(t.Context(), r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		same(t, name, test.want, [2]string{o.WarningReason, o.Warning})
	}
}

// TestSignPaths holds the URL of each form of a path and of a server.
func TestSignPaths(t *testing.T) {
	for _, test := range []struct{ server, path, want string }{
		{"", "pki/sign/web", "/v1/pki/sign/web"},
		{"/", "/pki/sign/web", "/v1/pki/sign/web"},
		{"/vault/", "v1/pki/sign/web", "/vault/v1/pki/sign/web"},
		{"/vault", "/v1/pki/sign/web/", "/vault/v1/pki/sign/web"},
		{"", "pki/issuer/root-2026/sign/web", "/v1/pki/issuer/root-2026/sign/web"},
		{"", "pki/sign-verbatim/web", "/v1/pki/sign-verbatim/web"},
		{"", "team a/sign/web?x=1#y", "/v1/team a/sign/web?x=1#y"},
	} {
		t.Run(test.server+" "+test.path, func(t *testing.T) {
			s := newServer(t, plain)
			s.signs(test.want, newSigner(t))
			l := newLab(t, s)
			l.spec.Server, l.spec.Path = s.URL+test.server, test.path
			if _, err := l.sign(); err != nil {
				t.Error(err)
			}
			same(t, "requests", []string{"POST " + test.want + " token=s.token"}, s.took())
		})
	}
}

// TestRefusals holds what becomes of a request by what the server answers.
func TestRefusals(t *testing.T) {
	at := func(s *server) string { return strings.TrimPrefix(s.URL, "http://") }
	const signing, failed = "SigningError", "Vault failed to sign certificate: failed to sign certificate by vault: HOST answered HTTP "
	for name, test := range map[string]struct {
		reply reply
		want  verdict
	}{
		"name that the role does not allow": {
			reply{status: 400, body: `{"errors":["subject alternate name a.other.example not allowed by this role"]}`},
			verdict{Class: fault.Permanent, Reason: signing, Message: failed + "400 to /v1/pki/sign/web: subject alternate name a.other.example not allowed by this role"},
		},
		"several": {
			reply{status: 400, body: `{"errors":["2 errors occurred:\n\t* one thing\n\t* another\n\n","one thing"]}`},
			verdict{Class: fault.Permanent, Reason: signing, Message: failed + "400 to /v1/pki/sign/web: one thing; another"},
		},
		"no permission": {
			reply{status: 403, body: `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`},
			verdict{Class: fault.Transient, Reason: signing, Message: failed + `403 to /v1/pki/sign/web: permission denied; the token needs a policy with path "pki/sign/web" { capabilities = ["create", "update"] }; spec.vault.path is MOUNT/sign/ROLE`},
		},
		"no such path": {
			reply{status: 404, body: `{"errors":["no handler for route \"pki/sign/web\". route entry not found."]}`},
			verdict{Class: fault.Permanent, Reason: signing, Message: failed + `404 to /v1/pki/sign/web: no handler for route "pki/sign/web". route entry not found.; check spec.vault.path, which is that of a sign endpoint such as pki/sign/my-role, and spec.vault.namespace`},
		},
		"default backend": {
			reply{status: 404, body: `<html>the root password is hunter2</html>`},
			verdict{Class: fault.Transient, Reason: signing, Message: failed + "404 to /v1/pki/sign/web, and not as Vault does: check spec.vault.server"},
		},
		"page": {
			reply{status: 200, body: `<html>the root password is hunter2</html>`},
			verdict{Class: fault.Transient, Reason: signing, Message: failed + "200 to /v1/pki/sign/web, and not as Vault does: check spec.vault.server"},
		},
		"firewall": {
			reply{status: 403, body: `<html>the root password is hunter2</html>`},
			verdict{Class: fault.Transient, Reason: signing, Message: failed + "403 to /v1/pki/sign/web, and not as Vault does: check spec.vault.server"},
		},
		"TLS is spoken": {
			reply{status: 400, body: "Client sent an HTTP request to an HTTPS server.\n"},
			verdict{Class: fault.Transient, Reason: signing, Message: failed + "400 to /v1/pki/sign/web, and not as Vault does: if this port speaks TLS, spec.vault.server must begin with https://"},
		},
		"gateway that answers in JSON": {
			reply{status: 403, body: `{"message":"the root password is hunter2"}`},
			verdict{Class: fault.Transient, Reason: signing, Message: failed + "403 to /v1/pki/sign/web, and not as Vault does: check spec.vault.server"},
		},
		"page in JSON": {
			reply{status: 200, body: `{"message":"the root password is hunter2"}`},
			verdict{Class: fault.Transient, Reason: signing, Message: failed + "200 to /v1/pki/sign/web, and not as Vault does: check spec.vault.server"},
		},
		"page in JSON with other data": {
			reply{status: 200, body: `{"data":"hunter2"}`},
			verdict{Class: fault.Transient, Reason: signing, Message: failed + "200 to /v1/pki/sign/web, and not as Vault does: check spec.vault.server"},
		},
		"path of another engine": {
			reply{status: 204},
			verdict{Class: fault.Permanent, Reason: signing, Message: "Vault failed to sign certificate: failed to parse certificate chain from vault: the answer has no certificate" + checkPath},
		},
		"nothing said": {
			reply{status: 404, body: `{"errors":[]}`},
			verdict{Class: fault.Permanent, Reason: signing, Message: failed + "404 to /v1/pki/sign/web; check spec.vault.path, which is that of a sign endpoint such as pki/sign/my-role, and spec.vault.namespace"},
		},
		"redirect to no place": {
			reply{status: 308, body: `x`},
			verdict{Class: fault.Transient, Reason: signing, Message: failed + "308 to /v1/pki/sign/web, and redirects elsewhere, which is not followed: check spec.vault.server"},
		},
		"sealed": {
			reply{status: 503, body: `{"errors":["Vault is sealed"]}`},
			verdict{Class: fault.Transient, Reason: signing, Message: failed + `503 to /v1/pki/sign/web: Vault is sealed; unseal it ("vault operator unseal")`},
		},
		"behind its cluster": {
			reply{status: 412, body: `{"errors":["required index state not present"]}`},
			verdict{Class: fault.Transient, Reason: signing, Message: failed + "412 to /v1/pki/sign/web: required index state not present"},
		},
		"rate limit": {
			reply{status: 429, body: `{"errors":["request path \"pki/sign/web\": rate limit quota exceeded"]}`, header: http.Header{"Retry-After": {"7"}}},
			verdict{Class: fault.Later, Reason: signing, Message: failed + `429 to /v1/pki/sign/web: request path "pki/sign/web": rate limit quota exceeded`, At: now.Add(7 * time.Second)},
		},
		"rate limit without an end": {
			reply{status: 429, body: `{"errors":["slow down"]}`},
			verdict{Class: fault.Later, Reason: signing, Message: failed + "429 to /v1/pki/sign/web: slow down", At: now.Add(time.Minute)},
		},
		"too long": {
			reply{status: 200, body: `{"data":{"certificate":"` + strings.Repeat("x", 5<<20) + `"}}`},
			verdict{Class: fault.Transient, Reason: signing, Message: "Vault failed to sign certificate: failed to sign certificate by vault: HOST: the connection failed"},
		},
		"the token in a text": {
			reply{status: 400, body: `{"errors":["no s.token here"]}`},
			verdict{Class: fault.Permanent, Reason: signing, Message: failed + "400 to /v1/pki/sign/web: no <secret> here"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, plain)
			s.answer("/v1/pki/sign/web", func(*http.Request) reply { return test.reply })
			_, err := newLab(t, s).sign()
			test.want.Message = strings.ReplaceAll(test.want.Message, "HOST", at(s))
			same(t, "fault", test.want, verdictOf(err))
			if text := fmt.Sprintf("%v %v", err, errors.Unwrap(err)); strings.Contains(text, "hunter2") || strings.Contains(text, "s.token") {
				t.Errorf("shows too much: %s", text)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	s := newServer(t, plain)
	l := newLab(t, s)
	s.Close()
	_, err := l.sign()
	same(t, "fault", verdict{
		Class: fault.Transient, Reason: "SigningError",
		Message: "Vault failed to sign certificate: failed to sign certificate by vault: " + strings.TrimPrefix(s.URL, "http://") + ": connection refused",
	}, verdictOf(err))
}

// TestWrongCertificates: what Vault issues is stored only if it can be used.
func TestWrongCertificates(t *testing.T) {
	by := newSigner(t)
	other := issue(t, pki.Template{CommonName: "web.example.com"}, newKey(t), by.middle, by.middleKey, valid(false))
	const failed = "Vault failed to sign certificate: "
	for name, test := range map[string]struct {
		path   string
		answer func(csr string) string
		want   string
	}{
		"key of Vault's": {
			"pki_int/sign/web", func(string) string {
				return by.answer(other, `,"private_key":"-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----"`)
			},
			"failed to sign certificate by vault: the public key of the certificate that Vault has issued is not that of the request",
		},
		"other key": {
			"pki/sign/web", func(string) string { return by.answer(other, "") },
			"failed to sign certificate by vault: the public key of the certificate that Vault has issued is not that of the request",
		},
		"expired": {
			"pki/sign/web", func(csr string) string {
				return by.answer(by.leaf(t, csr, pki.SignOptions{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(-time.Second)}), "")
			},
			"failed to sign certificate by vault: the certificate that Vault has issued has expired on 2026-11-27T08:59:59Z already; renew the CA at Vault, which cuts certificates to its own life",
		},
		"no certificate": {
			"pki/sign/web", func(string) string { return `{"data":{}}` },
			"failed to parse certificate chain from vault: the answer has no certificate" + checkPath,
		},
		"nothing": {
			"secret/sign/web", func(string) string { return `{"request_id":"1","lease_id":"","data":null,"warnings":null}` },
			"failed to parse certificate chain from vault: the answer has no certificate" + checkPath,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, plain)
			path := "/v1/" + test.path
			s.answer(path, func(*http.Request) reply {
				return reply{status: 200, body: test.answer(s.bodies[path]["csr"].(string))}
			})
			l := newLab(t, s)
			l.spec.Path = test.path
			_, err := l.sign()
			same(t, "fault", verdict{Class: fault.Permanent, Reason: "SigningError", Message: failed + test.want}, verdictOf(err))
			if got := s.took(); len(got) != 1 {
				t.Errorf("requests: %q", got)
			}
		})
	}
	l := newLab(t, newServer(t, plain))
	r := l.request(pki.Template{CommonName: "x"})
	r.CSR = []byte("nonsense")
	_, err := l.Sign(t.Context(), r)
	if got := verdictOf(err); got.Class != fault.Permanent || !strings.HasPrefix(got.Message, failed+"failed to decode CSR for signing: ") {
		t.Errorf("nonsense: %+v", got)
	}
}
