package acmedns

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

const value = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"

// message returns the message of a User fault.
func message(t *testing.T, err error) string {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Class != fault.User {
		t.Fatalf("no User fault: %v", err)
	}
	return f.Message
}

// at is the record of a value for a DNS name, at the end of its CNAME record or without.
func at(name, fqdn string) dns01.Record {
	if fqdn == "" {
		fqdn = "_acme-challenge." + name + "."
	}
	return dns01.Record{DNSName: name, FQDN: fqdn, Value: value}
}

func TestAccounts(t *testing.T) {
	s := newStub(t)
	s.register("corp.example", "auth.example.org")
	full := s.accounts["corp.example"]["fulldomain"].(string)
	for name, test := range map[string]struct {
		accounts string
		record   dns01.Record
		want     string
	}{
		"the name":     {s.secret(), at("corp.example", ""), ""},
		"its alias":    {s.secret(), at("corp.example", full+"."), ""},
		"capitals":     {s.secret(), at("Corp.Example", strings.ToUpper(full)+"."), ""},
		"key":          {strings.Replace(s.secret(), "corp.example", "Corp.Example.", 1), at("corp.example", ""), ""},
		"no server":    {strings.Replace(s.secret(), `"fulldomain"`, `"unknown"`, 1), at("corp.example", "x.auth.example.org."), ""},
		"another name": {s.secret(), at("app.corp.example", ""), `account credentials not found for domain app.corp.example; secret "default/acmedns" has corp.example: register an account at URL, put it there under "app.corp.example", and make _acme-challenge.app.corp.example a CNAME record to its fulldomain`},
		"no accounts":  {`{}`, at("corp.example", ""), `account credentials not found for domain corp.example; secret "default/acmedns" has none: register an account at URL, put it there under "corp.example", and make _acme-challenge.corp.example a CNAME record to its fulldomain`},
		"another alias": {
			s.secret(), at("corp.example", "other.auth.example.org."),
			`the CNAME record at _acme-challenge.corp.example leads to other.auth.example.org, but the account for domain corp.example in secret "default/acmedns" is that of ` + full + `: correct one of them`,
		},
		"no password":         {strings.Replace(s.secret(), `"password"`, `"pass"`, 1), at("corp.example", ""), `the password of the account for domain corp.example in secret "default/acmedns" is missing`},
		"newline in password": {strings.Replace(s.secret(), password, `a\nb`, 1), at("corp.example", ""), `the password of the account for domain corp.example in secret "default/acmedns" contains a newline: store it without one (printf %s, not echo)`},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.provider(t, test.accounts).Present(t.Context(), test.record)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			want := strings.Replace(test.want, "URL", s.URL, 1)
			if diff := cmp.Diff(want, message(t, err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestZone(t *testing.T) {
	s := newStub(t)
	s.register("corp.example", "auth.example.org")
	p := s.provider(t, s.secret())
	for _, fqdn := range []string{"_acme-challenge.corp.example.", s.accounts["corp.example"]["fulldomain"].(string) + "."} {
		if zone, err := p.Zone(t.Context(), fqdn); err != nil || zone != "auth.example.org." {
			t.Errorf("zone of %s: %q, %v", fqdn, zone, err)
		}
	}
	p = s.provider(t, strings.Replace(s.secret(), `"fulldomain"`, `"unknown"`, 1))
	if zone, err := p.Zone(t.Context(), "_acme-challenge.corp.example."); err == nil {
		t.Errorf("zone without a fulldomain: %q", zone)
	}
}

// The values of a domain and of its wildcard are presented at the same name.
func TestTwoValues(t *testing.T) {
	s := newStub(t)
	s.register("corp.example", "auth.example.org")
	p := s.provider(t, s.secret())
	one, two := at("corp.example", ""), at("corp.example", "")
	two.Value = strings.Repeat("x", 43)
	for _, r := range []dns01.Record{one, two} {
		if err := p.Present(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{value, two.Value}, s.txt(t, one.FQDN)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := p.CleanUp(t.Context(), one); err != nil {
		t.Error(err)
	}
}

func TestFaults(t *testing.T) {
	now := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	const said = "the acme-dns server URL answered HTTP "
	const to = " to the update for domain corp.example"
	const html = "text/html"
	for name, test := range map[string]struct {
		status     int
		kind, body string
		secret     func(string) string
		want       *fault.Error
	}{
		"unknown account": {
			401, "application/json", `{"error":"forbidden"}`, nil,
			fault.New(fault.User, "Unauthorized", "%s", said+"401 (forbidden)"+to+`; check that the account for domain corp.example in secret "default/acmedns" was registered at this server`),
		},
		"hash of the password": {
			401, "application/json", `{"error":"forbidden"}`, func(s string) string { return strings.Replace(s, password, "$2a$10$0123456789", 1) },
			fault.New(fault.User, "Unauthorized", "%s", said+"401 (forbidden)"+to+`; the password of the account in secret "default/acmedns" is the hash from the server's database: store the password of the registration`),
		},
		"other address": {
			401, "application/json", `{"error":"forbidden"}`, func(s string) string { return strings.Replace(s, `"allowfrom":[]`, `"allowfrom":["192.0.2.0/24"]`, 1) },
			fault.New(fault.User, "Unauthorized", "%s", said+"401 (forbidden)"+to+`; the server takes updates of this account only from 192.0.2.0/24: check the address from which they come, and that the account in secret "default/acmedns" was registered at this server`),
		},
		"bad subdomain": {400, "application/json", `{"error":"bad_subdomain"}`, nil, fault.New(fault.User, "RequestRefused", "%s", said+"400 (bad_subdomain)"+to)},
		"proxy":         {404, html, `<html>not here</html>`, nil, fault.New(fault.User, "RequestRefused", "%s", said+"404"+to)},
		"redirect":      {301, html, ``, nil, fault.New(fault.User, "RequestRefused", "%s", said+"301"+to)},
		"login page": {
			200, html, `<html>log in</html>`, nil,
			fault.New(fault.Transient, "UnexpectedAnswer", "the acme-dns server URL sent an answer that it does not document to the update for domain corp.example"),
		},
		"rate limit": {429, html, `slow down`, nil, fault.Until(now.Add(2*time.Minute), "RateLimited", "%s", said+"429"+to)},
		"database":   {500, "application/json", `{"error":"db_error"}`, nil, fault.Until(now.Add(2*time.Minute), "ServerError", "%s", said+"500 (db_error)"+to)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStub(t)
			s.register("corp.example", "auth.example.org")
			s.Instead(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", test.kind)
				w.Header().Set("Retry-After", "120")
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})
			secret := s.secret()
			if test.secret != nil {
				secret = test.secret(secret)
			}
			p := s.provider(t, secret)
			p.clock = testingclock.NewFakePassiveClock(now)
			got := fault.Of(p.Present(t.Context(), at("corp.example", "")))
			if got == nil {
				t.Fatal("no error")
			}
			got.Err = nil
			test.want.Message = strings.Replace(test.want.Message, "URL", s.URL, 1)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
