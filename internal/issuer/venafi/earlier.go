package venafi

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

const (
	// cloudSearch finds requests at the SaaS.
	cloudSearch = cloudRequest + "search"
	// pageSize is how many requests one page of a search has.
	pageSize = 50
	// maxCompared bounds the requests of others that are remembered.
	maxCompared = 10000
	// clockSkew is how far the clock of the SaaS may be behind the API server's. In this time
	// before its own object, a request is taken for that of the object.
	clockSkew = 5 * time.Second
)

// doubt is until when objects have been created whose request may have reached the SaaS
// although nothing names it in the cluster: the connection has ended before the answer, or
// this process has begun to work in the place of another one.
type doubt struct {
	mu    sync.Mutex
	begun time.Time
	until time.Time
	// compared are the signing requests of requests at the SaaS, by their id: each is read
	// once, and not again for each object of its common name.
	compared map[string][sha256.Size]byte
}

// begin notes when this process works first.
func (d *doubt) begin(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.begun.IsZero() {
		d.begun, d.until = now, now
	}
}

// raise notes that the request of an object that was created at a time may have been taken.
func (d *doubt) raise(now, created time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range []time.Time{now, created.Add(time.Second)} {
		if t.After(d.until) {
			d.until = t
		}
	}
}

// about reports whether the request of an object that was created at a time may have been
// made before.
func (d *doubt) about(created time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return created.Before(d.until)
}

// inherited reports whether an object was created before this process began, and requests
// that another process has made may not have looked for their certificates yet.
func (d *doubt) inherited(created, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return created.Before(d.begun) && now.Before(d.begun.Add(held))
}

// note remembers the signing request of a request at the SaaS.
func (d *doubt) note(id string, csr []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.compared == nil || len(d.compared) >= maxCompared {
		d.compared = map[string][sha256.Size]byte{}
	}
	d.compared[id] = sha256.Sum256(csr)
}

// other reports whether a request at the SaaS is known to have another signing request.
func (d *doubt) other(id string, csr []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	known, found := d.compared[id]
	return found && known != sha256.Sum256(csr)
}

// earlier is the transport of a request to the SaaS. One that may have been made before it
// looks for first, and answers in the place of the SaaS, which would issue a second
// certificate.
type earlier struct {
	*exchange
	csr *x509.CertificateRequest
	// created is when the object was created that asks.
	created time.Time
	// doubt has an earlier request looked for, unless it is nil.
	doubt *doubt
	// sent reports that the request has been sent, as the last call.
	sent bool
}

// uncertain reports whether the SaaS may have taken the request that has failed.
func (e *earlier) uncertain() bool {
	status := e.last.status
	return e.sent && (e.last.err != nil || status < http.StatusMultipleChoices || status >= http.StatusInternalServerError)
}

// RoundTrip implements http.RoundTripper.
func (e *earlier) RoundTrip(req *http.Request) (*http.Response, error) {
	if !orders(req) {
		return e.exchange.RoundTrip(req)
	}
	sent, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if e.doubt != nil {
		began := e.now()
		id, f := e.find(req, sent)
		e.aside += e.now().Sub(began)
		switch {
		case f != nil:
			e.last = answer{err: f}
			return nil, f
		case id != "":
			body, err := json.Marshal(found{CertificateRequests: []foundRequest{{ID: id}}})
			e.last = answer{status: http.StatusCreated}
			return respond(req, http.StatusCreated, body), err
		}
	}
	e.sent = true
	req = req.Clone(req.Context())
	req.Body = io.NopCloser(bytes.NewReader(sent))
	return e.exchange.RoundTrip(req)
}

// found is the answer to a search.
type found struct {
	CertificateRequests []foundRequest `json:"certificateRequests"`
}

// foundRequest is a request at the SaaS. A search returns it without the signing request.
type foundRequest struct {
	ID          string `json:"id"`
	Status      string `json:"status,omitempty"`
	Application string `json:"applicationId,omitempty"`
	Template    string `json:"certificateIssuingTemplateId,omitempty"`
	Created     string `json:"creationDate,omitempty"`
	CSR         string `json:"certificateSigningRequest,omitempty"`
}

// find returns the id of the request at the SaaS that was made for the same object, empty
// if there is none. The failure is that of a SaaS that does not work now.
func (e *earlier) find(req *http.Request, sent []byte) (string, *failure) {
	var wanted foundRequest
	if err := json.Unmarshal(sent, &wanted); err != nil || e.csr.Subject.CommonName == "" {
		return "", nil
	}
	seen := map[string]bool{}
	for page := 0; ; page++ {
		var all found
		search := strings.TrimSuffix(req.URL.Path, cloudRequest) + cloudSearch
		if f := e.ask(req, http.MethodPost, search, searchOf(e.csr.Subject.CommonName, page), &all); f != nil {
			return "", f
		}
		more := false
		for _, r := range all.CertificateRequests {
			if seen[r.ID] || !e.alike(r, wanted) {
				continue
			}
			seen[r.ID], more = true, true
			if is, f := e.is(req, r.ID); is || f != nil {
				return r.ID, f
			}
		}
		// The latest come first: those of the time of the object are on the first pages.
		if !more || len(all.CertificateRequests) < pageSize {
			return "", nil
		}
	}
}

// alike reports whether a request that was found can be the one that is looked for. A
// signing request may be the same as one from before a renewal, if the key is kept: the
// certificate for that is old, or there is none.
func (e *earlier) alike(r, wanted foundRequest) bool {
	created, dated := dateOf(r.Created)
	return isID(r.ID) && !hasEnded(r.Status) && r.Application == wanted.Application && r.Template == wanted.Template &&
		(!dated || !created.Before(e.created.Add(-clockSkew)))
}

// is reports whether a request at the SaaS has the signing request of the one that is looked
// for.
func (e *earlier) is(req *http.Request, id string) (bool, *failure) {
	if e.doubt.other(id, e.csr.Raw) {
		return false, nil
	}
	var one foundRequest
	if f := e.ask(req, http.MethodGet, path.Join(req.URL.Path, id), nil, &one); f != nil {
		return false, f
	}
	block, _ := pem.Decode([]byte(one.CSR))
	if block == nil {
		return false, nil
	}
	e.doubt.note(id, block.Bytes)
	return bytes.Equal(block.Bytes, e.csr.Raw) && !hasEnded(one.Status), nil
}

// dateOf reads a date of the SaaS, whose offset has a colon or none.
func dateOf(text string) (time.Time, bool) {
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700"} {
		if t, err := time.Parse(form, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// orders reports whether a call makes a request at the SaaS.
func orders(req *http.Request) bool {
	return req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, cloudRequest) && req.Body != nil
}

// ask makes a call with the credentials of another one, and reads the answer. It fails only
// if the SaaS does not work now: what cannot be read, or is refused, is as if nothing were
// found, and does not keep the request from being made.
func (e *earlier) ask(like *http.Request, method, path string, body any, into any) *failure {
	req := like.Clone(like.Context())
	req.Method, req.URL.Path, req.URL.RawPath = method, path, ""
	req.Body, req.GetBody, req.ContentLength = nil, nil, 0
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil
		}
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	}
	// It is not an answer to the request.
	own := *e.exchange
	res, err := own.RoundTrip(req)
	switch status := own.last.status; {
	case errors.Is(err, errTooLarge), status == http.StatusNotImplemented:
		return nil
	case err != nil, status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		f := own.failed("", cmp.Or(err, errors.New("no search")), "")
		f.kind, f.at = unavailable, own.last.again
		f.text = "whether the request has been made before is not known: " + f.text
		return f
	case status == http.StatusOK:
		if text, err := io.ReadAll(res.Body); err == nil {
			_ = json.Unmarshal(text, into)
		}
	}
	return nil
}

// searchOf finds a page of the requests for a common name, the latest first.
func searchOf(name string, page int) any {
	type m = map[string]any
	return m{
		"expression": m{"operator": "AND", "operands": []any{m{"field": "subjectCN", "operator": "EQ", "value": name}}},
		"ordering":   m{"orders": []any{m{"field": "modificationDate", "direction": "DESC"}}},
		"paging":     m{"pageNumber": page, "pageSize": pageSize},
	}
}
