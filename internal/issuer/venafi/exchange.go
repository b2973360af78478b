package venafi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/Venafi/vcert/v5/pkg/certificate"

	"github.com/everleaf/everleaf/internal/foreign"
)

const (
	// callTimeout bounds one call.
	callTimeout = 30 * time.Second
	// maxAnswer is the largest answer in bytes. A chain has some 10 kB, a policy less.
	maxAnswer = 1 << 20
	// maxSaid bounds what a server's sentence takes of a message.
	maxSaid = 400
	// rateLimitWait is the wait after a rate limit without Retry-After.
	rateLimitWait = time.Minute
)

// The calls of the API that need something that vcert does not do.
const (
	tppRequest   = "/vedsdk/certificates/request"
	tppMetadata  = "/vedsdk/metadata/get"
	cloudRequest = "/certificaterequests"
)

// exchange is the transport of what is asked of a server for one operation. vcert knows
// no context, copies whole answers into its errors, and takes 202 for an error where a
// person has to approve; so this is where they are treated. One goroutine uses it.
type exchange struct {
	ctx  context.Context
	base http.RoundTripper
	now  func() time.Time
	// observe counts what call calls.
	observe func(call string, d time.Duration)
	// userAgent is for requests that are not vcert's.
	userAgent string
	// secrets are masked in what is kept of answers.
	secrets []string
	// validity is put in the place of the validityPeriod of a request to the SaaS.
	validity string
	// fields are the custom fields that a request was made with. vcert asks afterwards
	// whether the server has stored them, and repeats it in the way of servers from before
	// 2019.
	fields []certificate.CustomField

	// last is the last answer.
	last answer
	// aside is the time that a call that is counted has spent on others.
	aside time.Duration
}

// answer is what is kept of an answer.
type answer struct {
	status int
	// said is the server's own sentence, empty if it has not answered in the words of
	// the API.
	said string
	// again is when the server wants to be asked again, zero for now or if it has not said.
	again time.Time
	// err is why there was no answer: a *failure if it was not asked for.
	err error
}

var (
	errTooLarge = errors.New("the answer is too large")
	// errPanic is the cause of what guarded makes of a panic.
	errPanic = errors.New("vcert has failed at an answer that it does not expect")
)

// client returns an HTTP client for the operation. It follows no redirect: keys and
// tokens are for the server that the issuer names.
func (x *exchange) client() *http.Client {
	return &http.Client{
		Transport: x, Timeout: callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// RoundTrip implements http.RoundTripper.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, tppMetadata) {
		return x.stored(req)
	}
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	defer context.AfterFunc(x.ctx, cancel)()
	req = req.Clone(ctx)
	if err := x.setValidity(req); err != nil {
		return nil, err
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", x.userAgent)
	}
	x.last = answer{}
	res, err := x.base.RoundTrip(req)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
		err = errors.Join(err, res.Body.Close())
		if err == nil && len(body) > maxAnswer {
			err = errTooLarge
		}
	}
	if err != nil {
		if x.ctx.Err() != nil {
			err = x.ctx.Err()
		}
		x.last.err = err
		return nil, err
	}
	status, now := res.StatusCode, x.now()
	x.last = answer{status: status, said: x.sentence(res.StatusCode, body)}
	if again := foreign.RetryAfter(res.Header, now); again.After(now) {
		x.last.again = again
	} else if status == http.StatusTooManyRequests {
		x.last.again = now.Add(rateLimitWait)
	}
	if status == http.StatusAccepted && strings.HasSuffix(req.URL.Path, tppRequest) {
		// The server has taken the request, and a person has to approve it.
		status = http.StatusOK
	}
	return respond(req, status, body), nil
}

// stored answers vcert which custom fields the server has stored: those that it was sent.
func (x *exchange) stored(req *http.Request) (*http.Response, error) {
	type item struct {
		Key   map[string]string
		Value []string
	}
	values := map[string][]string{}
	for _, f := range x.fields {
		values[f.Name] = append(values[f.Name], f.Value)
	}
	var answer struct{ Data []item }
	for name, all := range values {
		answer.Data = append(answer.Data, item{map[string]string{"Label": name}, all})
	}
	body, err := json.Marshal(answer)
	return respond(req, http.StatusOK, body), err
}

// respond is a response without the server's own words in its status line.
func respond(req *http.Request, status int, body []byte) *http.Response {
	return &http.Response{
		StatusCode: status, Status: statusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		Request: req,
	}
}

func statusText(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}

// setValidity replaces the period of validity in a request to the SaaS: vcert counts
// in hours, and the service documents days.
func (x *exchange) setValidity(req *http.Request) error {
	if x.validity == "" || !orders(req) {
		return nil
	}
	sent, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(sent, &fields); err != nil {
		return err
	}
	if fields["validityPeriod"], err = json.Marshal(x.validity); err != nil {
		return err
	}
	if sent, err = json.Marshal(fields); err != nil {
		return err
	}
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(sent)), int64(len(sent))
	req.GetBody = nil
	return nil
}

// failed is what the error of a call means, nil without one. local is the text for an
// answer that has succeeded and is not what was asked for. What is in the words of the API,
// see sentence, is its answer to the request, from 400 to 499 and with 500. All else is of a
// gateway, or of a server that does not work now: it says nothing of the request, which
// waits.
func (x *exchange) failed(call string, err error, local string) *failure {
	if err == nil {
		return nil
	}
	if f := (*failure)(nil); errors.As(x.last.err, &f) {
		return f
	}
	f := &failure{call: call, err: err, at: x.last.again}
	status := x.last.status
	switch worded := x.last.said != ""; {
	case x.last.err != nil:
		f.kind, f.err = unavailable, x.last.err
		why, _ := foreign.Unreachable(x.last.err)
		if errors.Is(x.last.err, errTooLarge) {
			why = errTooLarge.Error()
		}
		f.text = "the server cannot be reached: " + why
	case errors.Is(err, errPanic):
		f.kind, f.text = unavailable, errPanic.Error()
	case status == http.StatusUnauthorized:
		f.kind, f.at = refused, time.Time{}
	case status == http.StatusTooManyRequests, status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		f.kind = unavailable
	case status >= http.StatusMultipleChoices && (!worded || status < http.StatusBadRequest):
		f.kind, f.text = unavailable, "the server answers "+statusText(status)+notAPI
	case status >= http.StatusBadRequest:
		f.kind, f.at = declined, time.Time{}
	case worded:
		f.kind, f.text, f.at = unusable, local, time.Time{}
	default:
		f.kind, f.text = unavailable, local
	}
	if f.text == "" {
		f.text = "the server answers " + statusText(status) + said(x.last)
	}
	return f
}

// notAPI follows the status of an answer that is not in the words of the API.
const notAPI = ", and not as Certificate Manager does: check the URL, and the proxies in between"

// call calls f, which is one of the calls that are counted.
func (x *exchange) call(name string, f func() error) error {
	began := x.now()
	x.aside = 0
	defer func() { x.observe(name, x.now().Sub(began)-x.aside) }()
	return guarded(f)
}

// guarded calls f. vcert panics at some answers that it does not expect: the error is then
// errPanic.
func guarded(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errPanic, r)
		}
	}()
	return f()
}
