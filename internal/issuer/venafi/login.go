package venafi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Venafi/vcert/v5/pkg/endpoint"
	"github.com/Venafi/vcert/v5/pkg/venafi/cloud"
	"github.com/Venafi/vcert/v5/pkg/venafi/tpp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// noneOfOurs is said of an answer that has succeeded and is not the API's.
const noneOfOurs = "the answer is none of Certificate Manager: is this its URL?"

// madeNow follows the refusal of a token that the server has made in the place of another one
// that it had refused.
const madeNow = "; the server has made this token just now"

// logins makes logins.
type logins struct {
	now func() time.Time
	// observe counts a call that verifies credentials, or has a token made for them.
	observe   func(ok bool, d time.Duration)
	userAgent string
}

// login logs in, or verifies that the login of before still counts.
func (h logins) login(ctx context.Context, s *session, before login) (login, *failure) {
	x := &exchange{ctx: ctx, base: s.transport, now: h.now, userAgent: h.userAgent, secrets: append(s.settings.secrets(), before.token)}
	switch {
	case s.settings.backend == backendCloud:
		return h.cloud(x, s.settings)
	case s.settings.backend == backendNGTS && before.usable(h.now()):
		return before, nil
	case s.settings.backend == backendNGTS:
		return h.ngts(x, s.settings)
	case s.settings.accessToken != "":
		return h.verify(x, s.settings, s.settings.accessToken)
	case before.usable(h.now()):
		made, f := h.verify(x, s.settings, before.token)
		made.settles = before.settles
		switch {
		case f == nil || f.kind != refused:
			return made, f
		case h.now().Before(before.settles):
			f.text += madeNow
			s.replaces.Store(true)
			return login{}, f
		}
		s.replaces.Store(true)
	}
	return h.password(x, s.settings)
}

// ask makes a call that is about credentials, and counts it.
func (h logins) ask(x *exchange, call string, f func() error) *failure {
	began := h.now()
	x.last = answer{}
	err := guarded(f)
	h.observe(err == nil, h.now().Sub(began))
	out := x.failed(call, err, noneOfOurs)
	if out != nil && out.kind == declined && x.last.status < http.StatusInternalServerError {
		// In the words of OAuth, or of the API.
		out.kind = refused
	}
	return out
}

// connectTPP returns a connector of a self-hosted server, without a token.
func (h logins) connectTPP(s settings) (*tpp.Connector, error) {
	c, err := tpp.NewConnector(s.url, s.zone, false, nil)
	if err != nil {
		return nil, err
	}
	c.SetUserAgent(h.userAgent)
	return c, nil
}

// withToken is the login of a self-hosted server for a token.
func (h logins) withToken(s settings, token string, until time.Time) (login, *failure) {
	c, err := h.connectTPP(s)
	if err == nil {
		// Without a client this asks nobody.
		err = c.Authenticate(&endpoint.Authentication{AccessToken: token})
	}
	if err != nil {
		return login{}, misconfigured("spec.venafi.tpp.url: Invalid value: must be the URL of a server, such as https://tpp.example.com/vedsdk")
	}
	return login{token: token, until: until, connect: func(client *http.Client) endpoint.Connector {
		own := *c
		own.SetHTTPClient(client)
		return &own
	}}, nil
}

// verify asks a self-hosted server whether a token counts, and until when.
func (h logins) verify(x *exchange, s settings, token string) (login, *failure) {
	var verified tpp.OauthVerifyTokenResponse
	f := h.ask(x, "tppClient.VerifyAccessToken", func() error {
		c, err := h.connectTPP(s)
		if err != nil {
			return err
		}
		c.SetHTTPClient(x.client())
		verified, err = c.VerifyAccessToken(&endpoint.Authentication{AccessToken: token})
		return err
	})
	if f != nil {
		return login{}, f
	}
	until, err := time.Parse(time.RFC3339, verified.Expires)
	if err != nil {
		until = time.Time{}
	}
	return h.withToken(s, token, until)
}

// password has a self-hosted server make a token for a user.
func (h logins) password(x *exchange, s settings) (login, *failure) {
	var made tpp.OauthGetRefreshTokenResponse
	began := h.now()
	f := h.ask(x, "tppClient.GetRefreshToken", func() error {
		c, err := h.connectTPP(s)
		if err != nil {
			return err
		}
		c.SetHTTPClient(x.client())
		made, err = c.GetRefreshToken(&endpoint.Authentication{User: s.username, Password: s.password, ClientId: s.clientID, Scope: s.scope})
		if err == nil && made.Access_token == "" {
			err = fmt.Errorf("no token")
		}
		return err
	})
	if f != nil {
		return login{}, f
	}
	var until time.Time
	switch {
	case made.Expires > 0:
		until = time.Unix(int64(made.Expires), 0)
	case made.ExpiresIn > 0:
		until = began.Add(time.Duration(made.ExpiresIn) * time.Second)
	}
	return h.withToken(s, made.Access_token, until)
}

// cloud verifies the key of the SaaS.
func (h logins) cloud(x *exchange, s settings) (login, *failure) {
	c, err := cloud.NewConnector(s.url, s.zone, false, nil)
	if err != nil {
		return login{}, misconfigured("spec.venafi.cloud.url: Invalid value: must be the URL of a server, such as %s", cloudURL)
	}
	c.SetUserAgent(h.userAgent)
	const call = "cloudClient.Authenticate"
	who, client := &account{exchange: x}, x.client()
	client.Transport = who
	f := h.ask(x, call, func() error {
		c.SetHTTPClient(client)
		return c.Authenticate(&endpoint.Authentication{APIKey: s.apiKey})
	})
	if f != nil {
		return login{}, f
	}
	switch {
	case who.company:
		return ofCloud(c, s.apiKey, time.Time{}), nil
	case who.user:
		return login{}, &failure{kind: refused, call: call, text: noCompany}
	default:
		return login{}, &failure{kind: unavailable, call: call, text: noneOfOurs}
	}
}

// ngts has a token made for a client (RFC 6749 section 4.4).
func (h logins) ngts(x *exchange, s settings) (login, *failure) {
	var token *oauth2.Token
	f := h.ask(x, "ngtsClient.Authenticate", func() error {
		config := clientcredentials.Config{
			ClientID: s.clientID, ClientSecret: s.secret, TokenURL: s.tokenURL, Scopes: []string{s.scope}, AuthStyle: oauth2.AuthStyleInHeader,
		}
		var err error
		token, err = config.Token(context.WithValue(x.ctx, oauth2.HTTPClient, x.client()))
		if err == nil && !strings.EqualFold(token.Type(), "Bearer") {
			err = fmt.Errorf("a token of type %q", token.Type())
		}
		return err
	})
	if f != nil {
		return login{}, f
	}
	c, err := cloud.NewConnector(s.url, s.zone, false, nil)
	if err == nil {
		c.SetUserAgent(h.userAgent)
		// A token asks nobody.
		err = c.Authenticate(&endpoint.Authentication{AccessToken: token.AccessToken})
	}
	if err != nil {
		return login{}, misconfigured("spec.venafi.ngts.url: Invalid value: must be the URL of a server, such as %s", ngtsURL)
	}
	return ofCloud(c, token.AccessToken, token.Expiry), nil
}

// ofCloud is the login of a connector of the SaaS.
func ofCloud(c *cloud.Connector, token string, until time.Time) login {
	return login{token: token, until: until, connect: func(client *http.Client) endpoint.Connector {
		own := *c
		own.SetHTTPClient(client)
		return &own
	}}
}
