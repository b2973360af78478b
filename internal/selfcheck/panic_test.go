package selfcheck

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// hostile is a context that panics, as a reader of hostile data may.
type hostile struct{ context.Context }

func (hostile) Deadline() (time.Time, bool) { panic("hostile data") }

// TestPanicIsAFailure holds that a server whose answer makes a reader panic costs no more
// than its own answer.
func TestPanicIsAFailure(t *testing.T) {
	w := &world{t: t}
	w.named("www A "+v4, "www AAAA "+v6, "other A "+v4)
	w.http(v6, solves)
	w.http(v4, redirects("https://other.example.test/"))
	got := w.check("www.example.test", func(c *Config) {
		c.Proxy = func(u *url.URL) (*url.URL, error) {
			if u.Hostname() == "other.example.test" {
				panic("hostile data")
			}
			return nil, nil
		}
	})
	want := []Answer{
		{Address: v6, Status: 200, Content: RightKey},
		{Address: v4, Failure: Malformed, Redirects: []Redirect{{To: "https://other.example.test", Foreign: true}}},
	}
	if diff := cmp.Diff(want, got.Answers, timeless); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	checker, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	found, lookups := checker.lookUp(hostile{t.Context()}, "www.example.test.")
	if diff := cmp.Diff([]Lookup{{Type: AAAA, Failure: OtherFailure}, {Type: A, Failure: OtherFailure}}, lookups); diff != "" || len(found) > 0 {
		t.Errorf("found %v, -want +got:\n%s", found, diff)
	}

	f := fetch{checker: checker, answer: Answer{Redirects: []Redirect{{To: "https://www.example.test"}}}}
	if err := f.inspect(tls.ConnectionState{PeerCertificates: []*x509.Certificate{nil}}); err != nil {
		t.Errorf("the handshake ends: %v", err)
	}
}
