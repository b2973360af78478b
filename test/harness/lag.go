package harness

import (
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// Lag delays the events of watches, each watch by its own time between zero and
// most, as if each cache had its own slow connection.
func Lag(tb testing.TB, config *rest.Config, most time.Duration) {
	var mu sync.Mutex
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if call := callOf(req); err == nil && call.Verb == "watch" {
				lag := rand.N(most)
				mu.Lock()
				quiet{tb}.Log("watch of", call.Resource, req.URL.Query().Get("labelSelector"), "lags by", lag)
				mu.Unlock()
				resp.Body = newLaggard(resp.Body, lag)
			}
			return resp, err
		})
	})
}

// laggard is a stream that is read at once and delivered later.
type laggard struct {
	source io.ReadCloser
	lag    time.Duration
	chunks chan chunk
	closed chan struct{}
	once   sync.Once
	rest   []byte
	// err is how the stream has ended, once all before is read.
	err error
}

type chunk struct {
	data []byte
	err  error
	at   time.Time
}

func newLaggard(source io.ReadCloser, lag time.Duration) *laggard {
	l := &laggard{source: source, lag: lag, chunks: make(chan chunk, 10_000), closed: make(chan struct{})}
	go func() {
		for {
			buf := make([]byte, 32<<10)
			n, err := source.Read(buf)
			select {
			case l.chunks <- chunk{buf[:n], err, time.Now()}:
			case <-l.closed:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return l
}

// Read implements io.Reader.
func (l *laggard) Read(p []byte) (int, error) {
	if len(l.rest) > 0 {
		n := copy(p, l.rest)
		l.rest = l.rest[n:]
		return n, nil
	}
	if l.err != nil {
		return 0, l.err
	}
	select {
	case <-l.closed:
		return 0, io.ErrClosedPipe
	case c := <-l.chunks:
		timer := time.NewTimer(time.Until(c.at.Add(l.lag)))
		defer timer.Stop()
		select {
		case <-l.closed:
			return 0, io.ErrClosedPipe
		case <-timer.C:
		}
		n := copy(p, c.data)
		l.rest, l.err = c.data[n:], c.err
		return n, nil
	}
}

// Close implements io.Closer.
func (l *laggard) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.source.Close()
}
