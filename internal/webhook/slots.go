package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

const (
	// requestTime is how long a request may take. An API server waits 30 s at most.
	requestTime = 30 * time.Second
	// slotsPerCPU is how many requests each CPU works on at once. The rest waits, so
	// that each of those that are worked on has an answer in time.
	slotsPerCPU = 4
	// maxLogged is how much of a text from a request is logged, in bytes.
	maxLogged = 1024
)

// slots bound how many requests are worked on at once. A nil *slots has no bound.
type slots struct{ free *semaphore.Weighted }

func newSlots() *slots {
	return &slots{semaphore.NewWeighted(int64(slotsPerCPU * runtime.GOMAXPROCS(0)))}
}

// do works as soon as there is a slot. It returns an error if ctx ends before, and
// has done nothing then.
func (s *slots) do(ctx context.Context, work func()) error {
	err := ctx.Err()
	if err == nil && s != nil {
		if err = s.free.Acquire(ctx, 1); err == nil {
			defer s.free.Release(1)
		}
	}
	if err != nil {
		return busyError{err}
	}
	work()
	return nil
}

// bound is a handler that works in slots.
func (s *slots) bound(next admission.Handler) admission.Handler {
	return admission.HandlerFunc(func(ctx context.Context, req admission.Request) (response admission.Response) {
		if err := s.do(ctx, func() { response = next.Handle(ctx, req) }); err != nil {
			return refusal(err)
		}
		return response
	})
}

// busyError is that a request could not be worked on in time.
type busyError struct{ error }

// Error implements error.
func (e busyError) Error() string {
	return fmt.Sprintf("the webhook has too many requests, and this one was not looked at in time (%v); try again later", e.error)
}

// refusal is the answer to a request that was not checked.
func refusal(err error) admission.Response {
	code := http.StatusBadRequest
	if errors.As(err, new(busyError)) {
		code = http.StatusServiceUnavailable
	}
	return admission.Errored(int32(code), err)
}

// logged is a text from a request as a log may have it.
func logged(text string) string {
	if len(text) <= maxLogged {
		return text
	}
	return strings.ToValidUTF8(text[:maxLogged], "") + "..."
}
