package vault

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign/authn"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/pki"
)

const (
	pathRole = "/v1/auth/approle/login"
	pathSign = "/v1/pki/sign/web"
)

// byRole is a lab whose issuer logs in with a role, for answers with more about the token.
func byRole(t *testing.T, more string) *lab {
	s := newServer(t, plain)
	s.tokensOf(pathRole, more)
	s.signs(pathSign, newSigner(t))
	l := newLab(t, s)
	l.spec.Auth = appRole()
	return l
}

// signs signs a number of times.
func (l *lab) signs(times int) {
	l.t.Helper()
	for range times {
		if _, err := l.sign(); err != nil {
			l.t.Fatal(err)
		}
	}
}

func TestTokenIsKept(t *testing.T) {
	const login, sign1, sign2 = "POST " + pathRole, "POST " + pathSign + " token=t1", "POST " + pathSign + " token=t2"
	const check1 = "POST /v1/sys/capabilities-self token=t1"
	for name, test := range map[string]struct {
		more string
		// do is what is done after a first signature.
		do   func(*lab)
		want []string
	}{
		"within its lease":       {`,"lease_duration":600`, func(l *lab) { l.clock.SetTime(now.Add(569 * time.Second)); l.signs(2) }, []string{sign1, sign1}},
		"at the end of it":       {`,"lease_duration":600`, func(l *lab) { l.clock.SetTime(now.Add(570 * time.Second)); l.signs(2) }, []string{login, sign2, sign2}},
		"short lease":            {`,"lease_duration":10`, func(l *lab) { l.clock.SetTime(now.Add(9 * time.Second)); l.signs(1) }, []string{login, sign2}},
		"without a lease":        {`,"lease_duration":0`, func(l *lab) { l.clock.SetTime(now.Add(20 * time.Hour)); l.signs(1) }, []string{sign1}},
		"says nothing":           {``, func(l *lab) { l.signs(1) }, []string{sign1}},
		"two uses":               {`,"lease_duration":600,"num_uses":2`, func(l *lab) { l.signs(2) }, []string{sign1, login, sign2}},
		"one use":                {`,"lease_duration":600,"num_uses":1`, func(l *lab) { l.signs(1) }, []string{login, sign2}},
		"check":                  {`,"lease_duration":600`, func(l *lab) { l.checks(); l.signs(1) }, []string{"GET /v1/sys/health", check1, sign1}},
		"check of a limited one": {`,"lease_duration":600,"num_uses":2`, func(l *lab) { l.checks(); l.signs(1) }, []string{"GET /v1/sys/health", sign1}},
		"Secret, same content": {`,"lease_duration":600`, func(l *lab) {
			l.secrets.put("vault", map[string]string{"secret-id": "the-secret-id\n", "other": "x"})
			l.signs(1)
		}, []string{sign1}},
		"Secret, other content": {`,"lease_duration":600`, func(l *lab) {
			l.secrets.put("vault", map[string]string{"secret-id": "another"})
			l.signs(1)
		}, []string{login, sign2}},
		"other spec":     {`,"lease_duration":600`, func(l *lab) { l.spec.Auth.AppRole.RoleId = "x"; l.signs(1) }, []string{login, sign2}},
		"forgotten":      {`,"lease_duration":600`, func(l *lab) { l.Forget("other"); l.signs(1); l.Forget("uid"); l.signs(1) }, []string{sign1, login, sign2}},
		"issuer refused": {`,"lease_duration":600`, func(l *lab) { l.spec.Path = ""; _, _ = l.check(); l.spec.Path = "pki/sign/web"; l.signs(1) }, []string{login, sign2}},
	} {
		t.Run(name, func(t *testing.T) {
			l := byRole(t, test.more)
			l.signs(1)
			same(t, "first requests", []string{login, sign1}, l.server.took())
			test.do(l)
			same(t, "requests", test.want, l.server.took())
			same(t, "log-in", map[string]any{"role_id": strings.TrimSpace(l.spec.Auth.AppRole.RoleId), "secret_id": l.secret("secret-id")}, l.server.bodies[pathRole])
		})
	}
}

func (l *lab) secret(key string) string {
	return strings.TrimSpace(string(l.secrets.stored["vault"].Data[key]))
}

// checks has the issuer checked, with success.
func (l *lab) checks() {
	l.t.Helper()
	got, err := l.check()
	if err != nil {
		l.t.Fatal(err)
	}
	same(l.t, "status", issuer.Status{Reason: "VaultVerified", Message: "Vault verified"}, got)
}

// refuses has a path refuse tokens.
func (s *server) refuses(path, text string, by *signer, refused ...string) {
	s.answer(path, func(r *http.Request) reply {
		for _, token := range refused {
			if r.Header.Get("X-Vault-Token") == token {
				return reply{status: 403, body: `{"errors":["` + text + `"]}`}
			}
		}
		if by == nil {
			return reply{status: 200, body: `{"data":{"capabilities":["update"]}}`}
		}
		s.mu.Lock()
		csr, _ := s.bodies[path]["csr"].(string)
		s.mu.Unlock()
		return reply{status: 200, body: by.answer(by.leaf(s.t, csr, valid(false)), "")}
	})
}

const (
	saysDenied  = `1 error occurred:\n\t* permission denied\n\n`
	saysInvalid = `2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n`
)

// TestRefusedToken: a token that Vault refuses is replaced once for a request.
func TestRefusedToken(t *testing.T) {
	by := newSigner(t)
	const login = "POST " + pathRole
	at := func(token string) string { return "POST " + pathSign + " token=" + token }
	l := byRole(t, `,"lease_duration":600`)
	l.server.refuses(pathSign, saysDenied, by, "t1")
	l.signs(1)
	same(t, "of an old Vault", []string{login, at("t1"), login, at("t2")}, l.server.took())

	// The second token is new: that it is refused has another reason.
	l.server.refuses(pathSign, saysDenied, by, "t2", "t3")
	_, err := l.sign()
	begins(t, err, fault.Transient, "SigningError", "Vault failed to sign certificate: failed to sign certificate by vault: "+host(l.server.URL)+" answered HTTP 403 to /v1/pki/sign/web: permission denied")
	same(t, "without permission", []string{at("t2")}, l.server.took())

	l.server.refuses(pathSign, saysInvalid, by, "t2")
	_, err = l.sign()
	if !errors.Is(err, issuer.ErrRefused) {
		t.Errorf("invalid, and new: %v", err)
	}
	same(t, "invalid, and new", []string{at("t2")}, l.server.took())
	l.clock.SetTime(now.Add(authn.Settling))
	l.signs(1)
	same(t, "invalid", []string{at("t2"), login, at("t3")}, l.server.took())

	// A standby that does not know the new one yet either: the request waits, and the next
	// attempt begins with the token that there is.
	l.clock.SetTime(now.Add(2 * authn.Settling))
	l.server.refuses(pathSign, saysInvalid, by, "t3", "t4")
	_, err = l.sign()
	same(t, "of a node that is behind", verdict{
		Class: fault.Transient, Reason: "VaultInitError", Message: "Failed to initialise vault client for signing: " + host(l.server.URL) +
			" answered HTTP 403 to /v1/pki/sign/web: permission denied; invalid token; it has issued this token just now: a node that is behind its cluster knows it later",
	}, verdictOf(err))
	l.server.refuses(pathSign, saysInvalid, by, "t3")
	l.signs(1)
	same(t, "behind", []string{at("t3"), login, at("t4"), at("t4")}, l.server.took())

	l.server.refuses("/v1/sys/capabilities-self", saysInvalid, nil, "t4")
	l.checks()
	l.signs(1)
	same(t, "invalid when checked", []string{
		"GET /v1/sys/health", "POST /v1/sys/capabilities-self token=t4", login, "POST /v1/sys/capabilities-self token=t5", at("t5"),
	}, l.server.took())
}

// TestRefusedStaticToken: for the token in a Secret there is no other one but that of the
// Secret as it is by now.
func TestRefusedStaticToken(t *testing.T) {
	by := newSigner(t)
	s := newServer(t, plain)
	l := newLab(t, s)
	s.refuses(pathSign, saysInvalid, by, "s.token")
	_, err := l.sign()
	begins(t, err, fault.Transient, "VaultInitError", "Failed to initialise vault client for signing: "+host(s.URL)+
		" answered HTTP 403 to /v1/pki/sign/web: permission denied; invalid token; the token in secret 'ns/vault' is not valid, or has expired: store a valid one")
	same(t, "requests", []string{"POST " + pathSign + " token=s.token"}, s.took())

	// The caches do not show it yet.
	l.secrets.put("vault", map[string]string{"token": "s.new"})
	l.secrets.cached = map[string]string{"vault": "1"}
	l.signs(1)
	same(t, "requests with the new one", []string{"POST " + pathSign + " token=s.token", "POST " + pathSign + " token=s.new"}, s.took())

	// Nor is that one valid.
	l.secrets.put("vault", map[string]string{"token": "s.other"})
	l.secrets.cached = map[string]string{"vault": "2"}
	s.refuses(pathSign, saysInvalid, by, "s.new", "s.other")
	_, err = l.sign()
	begins(t, err, fault.Transient, "VaultInitError", "Failed to initialise vault client for signing: "+host(s.URL)+
		" answered HTTP 403 to /v1/pki/sign/web: permission denied; invalid token; the token in secret 'ns/vault' is not valid, or has expired")
	same(t, "requests with a third one", []string{"POST " + pathSign + " token=s.new", "POST " + pathSign + " token=s.other"}, s.took())
}

// TestRefusedLogIn: a log-in that Vault refuses leaves requests pending, and is not tried
// again for each of them.
func TestRefusedLogIn(t *testing.T) {
	l := byRole(t, "")
	l.server.set(pathRole, 400, `{"errors":["invalid role or secret ID the-secret-id"]}`)
	const text = "error logging in to Vault server: HOST answered HTTP 400 to /v1/auth/approle/login: invalid role or secret ID <secret>; check appRole.roleId, and key \"secret-id\" of secret 'ns/vault', which may have been used up or have expired"
	text2 := strings.ReplaceAll(text, "HOST", host(l.server.URL))
	for range 3 {
		_, err := l.sign()
		same(t, "fault", verdict{Class: fault.Transient, Reason: "VaultInitError", Message: "Failed to initialise vault client for signing: " + text2}, verdictOf(err))
	}
	same(t, "requests", []string{"POST " + pathRole}, l.server.took())
	_, err := l.check()
	same(t, "fault of the issuer", verdict{Class: fault.Transient, Reason: "VaultError", Message: "Failed to initialize Vault client: " + text2}, verdictOf(err))
	same(t, "requests of the check", []string(nil), l.server.took())
	// Vault would lock out who fails more often than four times in a quarter of an hour.
	for at := time.Duration(0); at < time.Hour; at += time.Second {
		l.clock.SetTime(now.Add(at))
		_, _ = l.check()
	}
	if got := len(l.server.took()); got != 12 {
		t.Errorf("%d log-ins in an hour", got)
	}
	// Other credentials are tried at once.
	l.secrets.put("vault", map[string]string{"secret-id": "better"})
	l.server.tokensOf(pathRole, "")
	l.signs(1)
	same(t, "later", []string{"POST " + pathRole, "POST " + pathSign + " token=t1"}, l.server.took())
}

// TestBusyVault: a log-in that Vault puts off is put off for all requests.
func TestBusyVault(t *testing.T) {
	l := byRole(t, "")
	l.server.answer(pathRole, func(*http.Request) reply {
		return reply{status: 429, body: `{"errors":["slow"]}`, header: http.Header{"Retry-After": {"40"}}}
	})
	for _, at := range []time.Duration{0, time.Second, 39 * time.Second} {
		l.clock.SetTime(now.Add(at))
		_, err := l.sign()
		same(t, "fault", verdict{
			Class: fault.Later, Reason: "VaultInitError", At: now.Add(40 * time.Second),
			Message: "Failed to initialise vault client for signing: error logging in to Vault server: " + host(l.server.URL) + " answered HTTP 429 to /v1/auth/approle/login: slow",
		}, verdictOf(err))
	}
	same(t, "requests", []string{"POST " + pathRole}, l.server.took())
	l.clock.SetTime(now.Add(40 * time.Second))
	l.server.tokensOf(pathRole, "")
	l.signs(1)
	same(t, "later", []string{"POST " + pathRole, "POST " + pathSign + " token=t1"}, l.server.took())
}

// TestSlowLogIn: a token whose lease is over once it is there serves the request that has
// got it.
func TestSlowLogIn(t *testing.T) {
	l := byRole(t, "")
	l.server.answer(pathRole, func(*http.Request) reply {
		l.clock.SetTime(l.clock.Now().Add(10 * time.Second))
		return reply{status: 200, body: `{"auth":{"client_token":"t1","lease_duration":10}}`}
	})
	l.signs(2)
	const login, sign = "POST " + pathRole, "POST " + pathSign + " token=t1"
	same(t, "requests", []string{login, sign, login, sign}, l.server.took())
}

// TestOneLogIn: workers that begin at once log in once, also if the one that does it stops
// waiting.
func TestOneLogIn(t *testing.T) {
	l := byRole(t, `,"lease_duration":600`)
	first := make(chan struct{})
	go1 := make(chan struct{})
	l.server.answer(pathRole, func(r *http.Request) reply {
		select {
		case first <- struct{}{}:
			<-r.Context().Done()
		default:
			<-go1
		}
		return reply{status: 200, body: `{"auth":{"client_token":"t1","lease_duration":600}}`}
	})
	impatient, stop := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := l.Sign(impatient, l.request(pki.Template{CommonName: "x"}))
		failed <- err
	}()
	<-first
	var all sync.WaitGroup
	for range 16 {
		r := l.request(pki.Template{CommonName: "x"})
		all.Go(func() {
			if _, err := l.Sign(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	stop()
	if err := <-failed; err == nil {
		t.Error("signed without a token")
	}
	close(go1)
	all.Wait()
	logins := 0
	for _, line := range l.server.took() {
		if line == "POST "+pathRole {
			logins++
		}
	}
	if logins != 2 {
		t.Errorf("%d log-ins", logins)
	}
}
