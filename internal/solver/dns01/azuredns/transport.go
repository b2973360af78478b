package azuredns

import (
	"bytes"
	"context"
	"io"
	"net/http"
)

// transport sends the requests of the SDK's clients, and notes what comes of them.
type transport struct{ client *http.Client }

// outcome is what came of the last request of a call. The errors of azidentity have the
// texts of their causes only, and not in all cases the answer.
type outcome struct {
	status int // 0 if there was no answer
	header http.Header
	body   []byte // of a status of 300 or more
	err    error
}

type outcomeKey struct{}

// observe returns a context for a call, and where the outcome of its last request is
// noted.
func observe(ctx context.Context) (context.Context, *outcome) {
	o := &outcome{}
	return context.WithValue(ctx, outcomeKey{}, o), o
}

// Do implements policy.Transporter.
func (t transport) Do(r *http.Request) (*http.Response, error) {
	answer, err := t.client.Do(r)
	o, ok := r.Context().Value(outcomeKey{}).(*outcome)
	if !ok {
		return answer, err
	}
	*o = outcome{err: err}
	if err != nil {
		return answer, err
	}
	o.status, o.header = answer.StatusCode, answer.Header
	if answer.StatusCode < 300 {
		return answer, nil
	}
	o.body, err = io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		*o = outcome{err: err}
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(o.body))
	return answer, nil
}
