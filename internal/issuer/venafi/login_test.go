package venafi

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	server "github.com/everleaf/everleaf/test/venafi"
)

// TestLogsInOnce has requests at the same time, and a token that the server does not take
// any more.
func TestLogsInOnce(t *testing.T) {
	for name, test := range map[string]struct {
		spec        func(*lab)
		credentials map[string]string
		login       string
	}{
		"password": {func(*lab) {}, map[string]string{"username": server.Username, "password": server.Password}, "/oauth"},
		"NGTS":     {func(l *lab) { l.spec.Venafi = ofNGTS(l.server) }, map[string]string{"client-id": server.NGTSClient, "client-secret": server.NGTSSecret}, "/access_token"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, ofTPP, test.credentials)
			test.spec(l)
			var all sync.WaitGroup
			for range 8 {
				r := l.usual()
				all.Go(func() {
					if _, err := l.Sign(t.Context(), r); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if n := l.server.Count(test.login); n != 1 {
				t.Errorf("%d logins for 8 requests", n)
			}
			l.server.Calls()
			l.server.Revoke()
			if _, err := l.Sign(t.Context(), l.usual()); err != nil {
				t.Error(err)
			}
			if n := l.server.Count(test.login); n != 1 {
				t.Errorf("%d logins after the token was revoked", n)
			}
			l.server.Calls()
			l.clock.SetTime(l.clock.Now().Add(time.Hour - callTimeout/2))
			if _, err := l.Sign(t.Context(), l.usual()); err != nil || l.server.Count(test.login) != 1 {
				t.Errorf("%d logins as the token expires, error %v", l.server.Count(test.login), err)
			}
		})
	}
}

// TestPasswordRests: a password that was refused is not tried again by each request and
// each check, but after a while, and at once when the Secret has changed.
func TestPasswordRests(t *testing.T) {
	l := newLab(t, ofTPP, map[string]string{"username": server.Username, "password": "hunter2"})
	tries := func(step string, want int) {
		t.Helper()
		if n := l.server.Count("/oauth"); n != want {
			t.Errorf("%s: %d logins, want %d", step, n, want)
		}
		l.server.Calls()
	}
	const message = "Failed to initialise Certificate Manager client for signing: OAuth token request failed: tppClient.GetRefreshToken: the server answers 400 Bad Request: invalid_grant: Username/password combination not valid"
	const condition = "OAuth token request failed: tppClient.GetRefreshToken: the server answers 400 Bad Request: invalid_grant: Username/password combination not valid"
	rests := func(step string, logins int) {
		t.Helper()
		for range 3 {
			_, err := l.Sign(t.Context(), l.usual())
			checkFault(t, step, err, fault.Transient, "VenafiInitError", message)
			if !errors.Is(err, issuer.ErrRefused) {
				t.Errorf("%s: the issuer is not suspected", step)
			}
			_, checked := l.check()
			checkFault(t, step, checked, fault.Transient, "AuthFailed", condition)
		}
		tries(step, logins)
	}
	start := l.clock.Now()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	rests("refused", 1)
	l.clock.SetTime(at(29 * time.Second))
	rests("before the end of the rest", 0)
	l.clock.SetTime(at(30 * time.Second))
	rests("refused again", 1)
	l.clock.SetTime(at(5*time.Minute + 30*time.Second))
	rests("refused a third time", 1)
	l.store["credentials"] = map[string]string{"username": server.Username, "password": "hunter3"}
	rests("another wrong password", 1)
	// The administrator resets the password at the server: no event tells.
	l.server.SetPassword("hunter3")
	l.clock.SetTime(at(6 * time.Minute))
	if _, err := l.check(); err != nil {
		t.Errorf("after the rest: %v", err)
	}
	l.requested(l.usual())
	tries("after the rest", 1)
	l.server.SetPassword(server.Password)
	l.server.Revoke()
	l.server.Calls()
	rests("refused after a success", 1)
	l.clock.SetTime(at(6*time.Minute + 29*time.Second))
	rests("before the end of that rest", 0)
	l.store["credentials"] = map[string]string{"username": server.Username, "password": server.Password}
	l.server.Calls()
	l.requested(l.usual())
	tries("another password", 1)
}

// behind is a store whose changes the caches do not show.
type behind struct{ store }

func (behind) Version(string, string) string { return "1" }

func (s behind) Live(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	secret, err := s.store.Live(ctx, namespace, name)
	if secret != nil {
		secret.ResourceVersion = "1"
	}
	return secret, err
}

// TestCachesBehind has a Secret with other credentials that the caches do not show yet, and
// counts how often Secrets are read.
func TestCachesBehind(t *testing.T) {
	l := newLab(t, ofTPP, map[string]string{"access-token": "old"})
	l.Type.sessions.Secrets = behind{l.store}
	_, err := l.Sign(t.Context(), l.usual())
	if !errors.Is(err, issuer.ErrRefused) {
		t.Fatal(err)
	}
	if n := l.server.Count("/verify"); n != 1 {
		t.Errorf("%d calls with a token that was refused", n)
	}
	l.store["credentials"] = map[string]string{"access-token": server.Token}
	l.requested(l.usual())
	l.store["credentials"] = errors.New("read again")
	l.requested(l.usual())
}

// TestFreshLogInRefused has a server make tokens that its API does not take. A token replaces
// the first one that is refused, and is replaced itself after a while only.
func TestFreshLogInRefused(t *testing.T) {
	const reason = "the server answers 401 Unauthorized: insufficient_scope"
	for name, test := range map[string]struct {
		spec        func(*server.Server) *cmv1.VenafiIssuer
		credentials map[string]string
		login, call string
	}{
		"password": {ofTPP, map[string]string{"username": server.Username, "password": server.Password}, "/oauth", "/checkpolicy"},
		"NGTS":     {ofNGTS, map[string]string{"client-id": server.NGTSClient, "client-secret": server.NGTSSecret}, "/access_token", "/Default Tmpl"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, test.spec, test.credentials)
			for range 30 {
				says(test.call, 401, `{"error":"insufficient_scope"}`)(l)
			}
			for _, step := range []struct {
				after  time.Duration
				logins int
			}{{0, 2}, {30 * time.Second, 0}, {5 * time.Minute, 1}, {5 * time.Minute, 1}} {
				l.clock.SetTime(l.clock.Now().Add(step.after))
				l.server.Calls()
				for range 3 {
					_, err := l.Sign(t.Context(), l.named("a-1", "web.example.com"))
					checkFault(t, name, err, fault.Transient, "VenafiInitError", "Failed to initialise Certificate Manager client for signing: OAuth token request failed: "+reason+"; the server has made this token just now")
					if !errors.Is(err, issuer.ErrRefused) {
						t.Error("the issuer is not suspected")
					}
				}
				if n := l.server.Count(test.login); n != step.logins {
					t.Errorf("%d logins after %s, want %d", n, step.after, step.logins)
				}
			}
		})
	}
}

// TestCheckOfAFreshLogIn: the check of an issuer says that a token is refused which the
// server has just made, and has no more made.
func TestCheckOfAFreshLogIn(t *testing.T) {
	l := newLab(t, ofTPP, map[string]string{"username": server.Username, "password": server.Password})
	if _, err := l.check(); err != nil {
		t.Fatal(err)
	}
	l.server.Calls()
	for range 3 {
		says("/verify", 401, `{"error":"invalid_token"}`)(l)
	}
	if _, err := l.check(); err != nil || l.server.Count("/oauth") != 1 {
		t.Errorf("%d logins, error %v", l.server.Count("/oauth"), err)
	}
	for range 2 {
		_, err := l.check()
		checkFault(t, "refused again", err, fault.Transient, "AuthFailed", "OAuth token request failed: tppClient.VerifyAccessToken: the server answers 401 Unauthorized: invalid_token; the server has made this token just now")
	}
	if n := l.server.Count("/oauth"); n != 1 {
		t.Errorf("%d logins", n)
	}
}
