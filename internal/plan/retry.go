package plan

import (
	"errors"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
)

// Backoff is a wait that doubles: Min after the first failure in a row, at most
// Max. A Min that is not positive switches it off.
type Backoff struct{ Min, Max time.Duration }

// Delay returns the wait after a number of failures in a row, 1 for the first.
func (b Backoff) Delay(failures int) time.Duration {
	if b.Min <= 0 {
		return 0
	}
	delay := b.Min
	for range failures - 1 {
		if delay >= b.Max/2 {
			return b.Max
		}
		delay *= 2
	}
	return min(delay, b.Max)
}

// DefaultIssuance is the wait after a failed issuance that Let's Encrypt asked
// the field for.
var DefaultIssuance = Backoff{Min: time.Hour, Max: 32 * time.Hour}

// The waits after transient failures, by what failed.
var (
	// APIServer is for reads and writes that the API server did not answer.
	APIServer = Backoff{Min: 200 * time.Millisecond, Max: 30 * time.Second}
	// Remote is for what CertificateRequests, issuers and Orders ask of a remote
	// server. The first retries follow soon, because a certificate waits.
	Remote = Backoff{Min: 200 * time.Millisecond, Max: 5 * time.Minute}
	// Server is for what a Challenge asks of ACME servers and DNS providers.
	Server = Backoff{Min: 5 * time.Second, Max: 30 * time.Minute}
)

// Retry is the one retry policy: when to try again after a failure with a
// number of failures in a row before it. Zero means never.
//
//   - Later: at the time that the failure names; after the back-off if that is over.
//   - User: after fault.UserRetry; usually an event of what the user changes
//     comes first.
//   - Permanent: never.
//   - Transient: after the back-off.
func Retry(err error, attempts int, transient Backoff, now time.Time) time.Time {
	switch f := fault.Of(err); f.Class {
	case fault.Later:
		if f.At.After(now) {
			return f.At
		}
		return now.Add(transient.Delay(attempts + 1))
	case fault.User:
		return now.Add(fault.UserRetry)
	case fault.Permanent:
		return time.Time{}
	default:
		return now.Add(transient.Delay(attempts + 1))
	}
}

// Unclassified reports whether a failure is not a fault.Error: the API server
// did not do what was asked. The plan keeps the status and tries again after
// the back-off.
func Unclassified[S any](f Failure, status S, now time.Time) (Plan[S], bool) {
	var classified *fault.Error
	if errors.As(f.Err, &classified) {
		return Plan[S]{}, false
	}
	return Plan[S]{Status: status, Until: Retry(f.Err, f.Attempts, APIServer, now)}, true
}
