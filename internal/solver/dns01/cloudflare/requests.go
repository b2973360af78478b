package cloudflare

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/cloudflare/cloudflare-go"
)

const (
	zonesPerPage   = 50  // the most that Cloudflare documents
	recordsPerPage = 100 // the default
	// maxPages bounds the pages of one list.
	maxPages = 100
)

// listedZone is what of a zone is read.
// https://developers.cloudflare.com/api/resources/zones/methods/list/
type listedZone struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"`
}

// txtRecord is a TXT record.
// https://developers.cloudflare.com/api/resources/dns/subresources/records/
type txtRecord struct {
	ID      string `json:"id,omitempty"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Content string `json:"content"`
	TTL     int    `json:"ttl"`
}

// recorder keeps the answers that are errors: the SDK's errors have no headers and, for
// some codes, no text. It reads these answers whole, because the SDK does not close them.
type recorder struct{ http.RoundTripper }

// answerKey is the key of a context for where the answer goes.
type answerKey struct{}

// maxError bounds an answer that is an error.
const maxError = 64 << 10

// RoundTrip implements http.RoundTripper.
func (r recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	answer, err := r.RoundTripper.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	kept := &http.Response{StatusCode: answer.StatusCode, Header: answer.Header, Body: http.NoBody}
	if answer.StatusCode >= http.StatusBadRequest {
		body, err := io.ReadAll(io.LimitReader(answer.Body, maxError))
		if closed := answer.Body.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return nil, err
		}
		kept.Body, answer.Body = io.NopCloser(bytes.NewReader(body)), io.NopCloser(bytes.NewReader(body))
	}
	if into, ok := q.Context().Value(answerKey{}).(**http.Response); ok {
		*into = kept
	}
	return answer, nil
}

// do sends a request, and reads the result of the answer if into is not nil. missing is
// true if the answer is 404.
func (p *Provider) do(ctx context.Context, q query, path string, body, into any) (raw cloudflare.RawResponse, missing bool, err error) {
	var answer *http.Response
	raw, err = p.api.Raw(context.WithValue(ctx, answerKey{}, &answer), q.method, path, body, nil)
	if err != nil {
		return raw, answer != nil && answer.StatusCode == http.StatusNotFound, p.failed(q, answer, err)
	}
	if into != nil && (len(raw.Result) == 0 || json.Unmarshal(raw.Result, into) != nil) {
		return raw, false, p.unreadable(q, answer)
	}
	return raw, false, nil
}

// list returns the items of all pages.
func list[T any](ctx context.Context, p *Provider, q query, path string, filter url.Values, perPage int) ([]T, error) {
	filter.Set("per_page", strconv.Itoa(perPage))
	var items []T
	for page := 1; page <= maxPages; page++ {
		filter.Set("page", strconv.Itoa(page))
		var got []T
		raw, _, err := p.do(ctx, q, path+"?"+filter.Encode(), nil, &got)
		if err != nil {
			return nil, err
		}
		items = append(items, got...)
		if len(got) == 0 || raw.ResultInfo == nil || len(got) < raw.ResultInfo.PerPage || raw.ResultInfo.PerPage <= 0 {
			break
		}
	}
	return items, nil
}
