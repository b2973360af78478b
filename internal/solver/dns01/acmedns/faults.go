package acmedns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/nrdcg/goacmedns"

	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
)

var errNotJSON = errors.New("the answer is not JSON")

// recorder tells of the headers of an answer, which the SDK does not.
type recorder struct{ http.RoundTripper }

// answerKey is the key of a context for where the answer goes.
type answerKey struct{}

func record(ctx context.Context, into **http.Response) context.Context {
	return context.WithValue(ctx, answerKey{}, into)
}

// RoundTrip implements http.RoundTripper.
func (r recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	q = q.Clone(q.Context())
	q.Header.Set("User-Agent", "everleaf")
	answer, err := r.RoundTripper.RoundTrip(q)
	if into, ok := q.Context().Value(answerKey{}).(**http.Response); ok && err == nil {
		*into = answer
	}
	return answer, err
}

func isJSON(answer *http.Response) bool {
	return strings.Contains(answer.Header.Get("Content-Type"), "json")
}

// failed is the fault for an update that the server has not taken.
func (p *Provider) failed(a account, name string, answer *http.Response, err error) error {
	failure := vendorapi.Failure{Vendor: "the acme-dns server " + p.host, Doing: "the update for domain " + name, Err: err}
	if answer != nil {
		failure.Status, failure.Header = answer.StatusCode, answer.Header
	}
	var refused *goacmedns.ClientError
	if errors.As(err, &refused) && answer != nil && isJSON(answer) {
		var body struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(refused.Body, &body) == nil {
			failure.Code = body.Error
		}
	}
	failure.Advice = p.advice(a, name)
	return failure.Fault(p.clock.Now())
}

// advice is what to do if the server refuses the account.
func (p *Provider) advice(a account, name string) string {
	switch {
	case strings.HasPrefix(a.Password, "$2a$"), strings.HasPrefix(a.Password, "$2b$"): // bcrypt
		return fmt.Sprintf("the password of the account in %s is the hash from the server's database: store the password of the registration", p.secret)
	case len(a.AllowFrom) > 0:
		return fmt.Sprintf("the server takes updates of this account only from %s: check the address from which they come, and that the account in %s was registered at this server",
			strings.Join(a.AllowFrom, ", "), p.secret)
	default:
		return fmt.Sprintf("check that the account for domain %s in %s was registered at this server", name, p.secret)
	}
}
