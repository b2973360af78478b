package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/component"
)

const (
	maxHeader     = 1 << 20
	headerTimeout = 32 * time.Second
	// bodyTimeout is how long an API server may send one request.
	bodyTimeout = 30 * time.Second
	// answerTimeout is longer than the API server waits (30 s at most).
	answerTimeout = 60 * time.Second
	// idleTimeout is longer than that of API servers (90 s), so that they close
	// idle connections, and never use one that closes at this moment.
	idleTimeout = 2 * time.Minute
	// drainTime is how long requests that were accepted may go on. Together with
	// defaultGrace it is less than Kubernetes' 30 s.
	drainTime = 20 * time.Second
)

// server serves admission requests, and probes that say whether it does.
type server struct {
	certificate component.Certificate
	https, http *http.Server
	grace       time.Duration
	clock       clock.Clock
	log         logr.Logger
	stopping    atomic.Bool
}

func newServer(certificate component.Certificate, config *tls.Config, handler http.Handler, grace time.Duration, clock clock.Clock, log logr.Logger) *server {
	s := &server{certificate: certificate, grace: grace, clock: clock, log: log}
	errorLog := slog.NewLogLogger(logr.ToSlogHandler(log), slog.LevelInfo)
	s.https = &http.Server{
		Handler: s.moving(handler), TLSConfig: config, ErrorLog: errorLog,
		MaxHeaderBytes: maxHeader, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
	}
	s.http = &http.Server{Handler: s.probes(), ErrorLog: errorLog, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout}
	return s
}

// moving has clients connect anew, to another replica, while this one stops. In
// HTTP/2 the header becomes a GOAWAY, which loses no request.
func (s *server) moving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

func (s *server) probes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "ok") })
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.ready(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprint(w, "ok")
	})
	return mux
}

func (s *server) ready() error {
	if s.stopping.Load() {
		return errors.New("the webhook is stopping")
	}
	cert, err := s.certificate.GetCertificate(nil)
	if err == nil && cert == nil {
		err = errors.New("no serving certificate has been loaded yet")
	}
	return err
}

// serve serves until ctx ends and everything that was accepted is answered. probes
// may be nil. On the way out, /healthz fails at once, so that no new connections come;
// those that come nevertheless are served for a while.
func (s *server) serve(ctx context.Context, admission, probes net.Listener) error {
	failed := make(chan error, 2)
	go func() { failed <- s.https.ServeTLS(admission, "", "") }()
	if probes != nil {
		go func() { failed <- s.http.Serve(probes) }()
		defer s.http.Close()
	}
	select {
	case err := <-failed:
		_ = s.https.Close()
		return err
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	s.log.Info("Stopping: answering requests until clients have found another replica", "grace", s.grace.String())
	select {
	case err := <-failed:
		_ = s.https.Close()
		return err
	case <-s.clock.After(s.grace):
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := s.https.Shutdown(drain); err != nil {
		_ = s.https.Close()
		return fmt.Errorf("requests were still not answered after %s: %w", drainTime, err)
	}
	return nil
}
