package vault

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
)

// wire sends the client library's requests.
type wire struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
//
// A node of Vault's that is not the active one may redirect to that one. One such redirect
// is followed here. Any other is the answer.
func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	answer, err := w.send(r, r.URL, body)
	if err == nil && redirects(answer.StatusCode) && answer.StatusCode != http.StatusSeeOther {
		if to, notThere := answer.Location(); notThere == nil && sameRequest(r.URL, to) {
			_ = answer.Body.Close()
			answer, err = w.send(r, to, body)
		}
	}
	if err == nil && redirects(answer.StatusCode) {
		// What cannot be read would be an error of the HTTP client's.
		if _, unreadable := answer.Location(); unreadable != nil {
			answer.Header.Del("Location")
		}
	}
	return answer, err
}

// send sends a request to a URL. The library writes with PUT, where Vault's documentation and
// cert-manager have POST. Vault takes both as the same; what filters requests before it may
// know only POST.
func (w wire) send(r *http.Request, to *url.URL, body []byte) (*http.Response, error) {
	sent := r.Clone(r.Context())
	if sent.Method == http.MethodPut {
		sent.Method = http.MethodPost
	}
	sent.URL, sent.Host = to, to.Host
	if r.Body != nil {
		sent.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		sent.Body, _ = sent.GetBody()
	}
	return w.RoundTripper.RoundTrip(sent)
}

// redirects reports whether a status is that of a redirect.
func redirects(status int) bool {
	return status >= http.StatusMultipleChoices && status < http.StatusBadRequest
}

// sameRequest reports whether a redirect asks for the same from another server, with no less
// protection.
func sameRequest(from, to *url.URL) bool {
	return to.Path == from.Path && to.RawQuery == from.RawQuery && to.User == nil &&
		(to.Scheme == "https" || to.Scheme == "http" && from.Scheme == "http")
}
