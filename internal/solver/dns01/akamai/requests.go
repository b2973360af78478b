package akamai

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"github.com/akamai/AkamaiOPEN-edgegrid-golang/v12/pkg/log"
	"github.com/akamai/AkamaiOPEN-edgegrid-golang/v12/pkg/session"

	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
)

const zonesPath = "/config-dns/v2/zones"

// recordSet is a set of TXT records.
// https://techdocs.akamai.com/edge-dns/reference/get-zone-name-type
type recordSet struct {
	Name  string   `json:"name"`
	Type  string   `json:"type"`
	TTL   int      `json:"ttl"`
	Rdata []string `json:"rdata"`
}

// zoneList is what of a list of zones is read.
// https://techdocs.akamai.com/edge-dns/reference/get-zones
type zoneList struct {
	Zones []struct {
		Zone string `json:"zone"`
		Type string `json:"type"`
	} `json:"zones"`
}

// problem is an error of the API.
type problem struct {
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

// setPath is the path of the TXT records at a name.
func setPath(zone, name string) string {
	return zonesPath + "/" + url.PathEscape(zone) + "/names/" + url.PathEscape(name) + "/types/TXT"
}

// sameHost is a RoundTripper whose answers do not redirect: the SDK would sign the request for
// any other host.
type sameHost struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s sameHost) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := s.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Header.Del("Location")
	}
	return answer, err
}

// do sends a request with a body, if it is not nil, and reads the answer into another. It
// returns the fault, and the status of the answer, 0 if there was none.
func (p *Provider) do(ctx context.Context, method, path, doing string, body, into any) (status int, err error) {
	failure := vendorapi.Failure{Vendor: "the Edge DNS API", Doing: doing}
	fail := func(err error) (int, error) {
		failure.Err = err
		failure.Advice = p.advice(failure.Status)
		return failure.Status, vendorapi.Prefixed(prefix, failure.Fault(p.clock.Now()))
	}
	// A session changes its client with each request.
	s, err := session.New(session.WithClient(vendorapi.Client(sameHost{p.http})), session.WithSigner(p.signer),
		session.WithUserAgent("everleaf"), session.WithLog(log.NOPLogger()))
	if err != nil {
		return fail(err)
	}
	request, err := http.NewRequestWithContext(ctx, method, p.endpoint+path, nil)
	if err != nil {
		return fail(err)
	}
	var in []any
	if body != nil {
		in = append(in, body)
	}
	answer, err := s.Exec(request, nil, in...)
	if err != nil {
		return fail(err)
	}
	defer session.CloseResponseBody(answer)
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return fail(err)
	}
	failure.Status, failure.Header = answer.StatusCode, answer.Header
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		failure.Text = said(text)
		return fail(nil)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			return fail(err)
		}
	}
	return answer.StatusCode, nil
}
