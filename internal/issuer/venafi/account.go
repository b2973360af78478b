package venafi

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
)

// noCompany is what keeps the SaaS from issuing for the user of a key. vcert takes such a
// key at first, and says later that it has not logged in.
const noCompany = "the user of the API key belongs to no company: use the key of one that does"

// account is the transport of the call that verifies a key of the SaaS.
type account struct {
	*exchange
	// user reports that the answer is about a user, company that the user belongs to one.
	user, company bool
}

// RoundTrip implements http.RoundTripper.
func (a *account) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := a.exchange.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	details := as[map[string]json.RawMessage](body)
	has := func(key string) bool { return as[map[string]json.RawMessage](details[key]) != nil }
	a.user, a.company = has("user") || has("apiKey"), has("company")
	return res, nil
}
