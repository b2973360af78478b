package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// ErrCut is what a client reads when a fault takes its connection.
var ErrCut = errors.New("the connection is lost, as the test wants it")

// Intercept has a test decide what becomes of each call to the API server. next sends the
// request and returns the answer.
func Intercept(config *rest.Config, decide func(call Call, next func() (*http.Response, error)) (*http.Response, error)) {
	config.Wrap(func(transport http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			return decide(callOf(request), func() (*http.Response, error) { return transport.RoundTrip(request) })
		})
	})
}

// Refusal is the API server's answer of a status, with which a request has done nothing.
func Refusal(status int) *http.Response {
	reasons := map[int]metav1.StatusReason{
		http.StatusConflict:            metav1.StatusReasonConflict,
		http.StatusTooManyRequests:     metav1.StatusReasonTooManyRequests,
		http.StatusInternalServerError: metav1.StatusReasonInternalError,
	}
	body, err := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(status), Reason: reasons[status], Message: "refused, as the test wants it",
	})
	if err != nil {
		panic(err)
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if status == http.StatusTooManyRequests {
		header.Set("Retry-After", "1")
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// Lost has an answer get lost: the API server has done what it was asked.
func Lost(answer *http.Response, err error) (*http.Response, error) {
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
		err = errors.Join(err, answer.Body.Close())
	}
	return nil, errors.Join(ErrCut, err)
}

// Storm is an API server that fails at random, by a seed, while On is set. One call in
// Every has a fault: a write is refused with 409, 429 or 500, or its answer is lost; a
// read is refused with 429 or 500; a watch ends instead of an event.
type Storm struct {
	On    atomic.Bool
	Every int
	Seed  uint64

	mu     sync.Mutex
	random *rand.Rand
	faults map[string]int
}

// Record has the storm meet a configuration's clients.
func (s *Storm) Record(config *rest.Config) {
	s.random, s.faults = rand.New(rand.NewPCG(s.Seed, s.Seed)), map[string]int{}
	Intercept(config, func(call Call, next func() (*http.Response, error)) (*http.Response, error) {
		if call.Verb == "watch" {
			answer, err := next()
			if err == nil {
				answer.Body = &breaking{answer.Body, s}
			}
			return answer, err
		}
		switch fault := s.fault(call); fault {
		case "":
			return next()
		case lostAnswer:
			return Lost(next())
		default:
			return Refusal(refusals[fault]), nil
		}
	})
}

const (
	lostAnswer  = "lost answer"
	brokenWatch = "broken watch"
)

var refusals = map[string]int{"409": http.StatusConflict, "429": http.StatusTooManyRequests, "500": http.StatusInternalServerError}

func (s *Storm) fault(call Call) string {
	if call.Write() {
		return s.draw("409", "429", "500", lostAnswer)
	}
	return s.draw("429", "500")
}

// draw returns one of the faults, or "".
func (s *Storm) draw(faults ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.On.Load() || s.random.IntN(s.Every) > 0 {
		return ""
	}
	fault := faults[s.random.IntN(len(faults))]
	s.faults[fault]++
	return fault
}

// Faults are how often each fault has happened.
func (s *Storm) Faults() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.faults)
}

// breaking is the stream of a watch, which breaks in a storm.
type breaking struct {
	io.ReadCloser
	storm *Storm
}

// Read implements io.Reader.
func (b *breaking) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil && b.storm.draw(brokenWatch) != "" {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}
