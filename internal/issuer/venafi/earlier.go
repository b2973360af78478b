package venafi

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
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
	// maxFound is how many requests one search returns, and maxAlike how many of them are
	// compared with the one that is looked for. Those of one common name in a few minutes
	// are one or two.
	maxFound = 50
	maxAlike = 5
	// clockSkew is how far the clock of the SaaS may be behind the API server's.
	clockSkew = time.Minute
)

// doubt is until when objects have been created whose request may have reached the SaaS
// although nothing names it in the cluster: the connection has ended before the answer, or
// this process has begun to work in the place of another one.
type doubt struct {
	mu    sync.Mutex
	begun bool
	until time.Time
}

// begin notes when this process works first.
func (d *doubt) begin(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.begun {
		d.begun, d.until = true, now
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

// earlier is the transport of a request to the SaaS. One that may have been made before it
// looks for first, and answers in the place of the SaaS, which would issue a second
// certificate.
type earlier struct {
	*exchange
	csr *x509.CertificateRequest
	// created is when the object was created that asks.
	created time.Time
	// look has an earlier request looked for.
	look bool
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
	if e.look {
		id, failed, err := e.find(req, sent)
		switch {
		case err != nil:
			return nil, err
		case failed != nil:
			return failed, nil
		case id != "":
			body, err := json.Marshal(found{CertificateRequests: []foundRequest{{ID: id}}})
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
	Application string `json:"applicationId,omitempty"`
	Template    string `json:"certificateIssuingTemplateId,omitempty"`
	Created     string `json:"creationDate,omitempty"`
	CSR         string `json:"certificateSigningRequest,omitempty"`
}

// find returns the id of the request at the SaaS that was made for the same object, empty
// if there is none. failed is an answer of a SaaS that does not work now. One that refuses
// the search, or does not know it, does not keep the request from being made.
func (e *earlier) find(req *http.Request, sent []byte) (id string, failed *http.Response, err error) {
	var wanted foundRequest
	if err := json.Unmarshal(sent, &wanted); err != nil {
		return "", nil, err
	}
	if e.csr.Subject.CommonName == "" {
		return "", nil, nil
	}
	var all found
	search := strings.TrimSuffix(req.URL.Path, cloudRequest) + cloudSearch
	if failed, err := e.ask(req, http.MethodPost, search, searchOf(e.csr.Subject.CommonName), &all); failed != nil || err != nil {
		return "", failed, err
	}
	alike := 0
	for _, r := range all.CertificateRequests {
		if !e.alike(r, wanted) {
			continue
		}
		if alike++; alike > maxAlike {
			break
		}
		var one foundRequest
		if failed, err := e.ask(req, http.MethodGet, path.Join(req.URL.Path, r.ID), nil, &one); failed != nil || err != nil {
			return "", failed, err
		}
		if block, _ := pem.Decode([]byte(one.CSR)); block != nil && bytes.Equal(block.Bytes, e.csr.Raw) {
			return r.ID, nil, nil
		}
	}
	return "", nil, nil
}

// alike reports whether a request that was found can be the one that is looked for. A
// signing request may be the same as one from before a renewal, if the key is kept: the
// certificate for that is old.
func (e *earlier) alike(r, wanted foundRequest) bool {
	created, err := time.Parse(time.RFC3339, r.Created)
	return err == nil && !created.Before(e.created.Add(-clockSkew)) && r.Application == wanted.Application && r.Template == wanted.Template && isID(r.ID)
}

// orders reports whether a call makes a request at the SaaS.
func orders(req *http.Request) bool {
	return req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, cloudRequest) && req.Body != nil
}

// ask makes a call with the credentials of another one, and reads the answer.
func (e *earlier) ask(like *http.Request, method, path string, body any, into any) (failed *http.Response, err error) {
	req := like.Clone(like.Context())
	req.Method, req.URL.Path, req.URL.RawPath = method, path, ""
	req.Body, req.GetBody, req.ContentLength = nil, nil, 0
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	}
	res, err := e.exchange.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	switch status := res.StatusCode; {
	case status == http.StatusOK:
		text, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		// What cannot be read is as if nothing were found.
		_ = json.Unmarshal(text, into)
		return nil, nil
	case status == http.StatusUnauthorized, status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return res, nil
	default:
		return nil, nil
	}
}

// searchOf finds the requests for a common name, the latest first.
func searchOf(name string) any {
	type m = map[string]any
	return m{
		"expression": m{"operator": "AND", "operands": []any{m{"field": "subjectCN", "operator": "EQ", "value": name}}},
		"ordering":   m{"orders": []any{m{"field": "modificationDate", "direction": "DESC"}}},
		"paging":     m{"pageNumber": 0, "pageSize": maxFound},
	}
}
