package responder

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"k8s.io/utils/clock"
)

// Port is the port of cert-manager's solver, which Services, routes and NetworkPolicies name.
const Port = 8089

const (
	// maxConnections is how many connections are open at most. Each takes some 20 kB,
	// with TLS 50 kB.
	maxConnections = 512
	// maxHeader is more than a CA and the proxies on its way send, in bytes.
	maxHeader = 16 << 10
	// requestTime is how long a client may take to send a request, TLS included, and
	// to read the answer. A CA waits 10 s.
	requestTime = 10 * time.Second
	// maxStreams is how many requests an HTTP/2 connection may have at once.
	maxStreams = 16
	// StopTime is how long a server that stops waits for the requests that have begun.
	StopTime = 5 * time.Second
)

// Serve answers on a listener until ctx ends, and returns when the requests that have
// begun are answered, at most StopTime later. It speaks HTTP/1.1, HTTP/2 without TLS,
// and HTTP/1.1 with TLS, all on the one port, and closes a connection after its answer.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, clock clock.PassiveClock) error {
	config, err := newTLS(clock.Now())
	if err != nil {
		listener.Close()
		return err
	}
	server := &http.Server{
		Handler: handler, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: requestTime, ReadTimeout: requestTime, WriteTimeout: requestTime, IdleTimeout: requestTime,
		Protocols: protocols(), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		// Foreigners decide how many errors there are.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	server.SetKeepAlivesEnabled(false)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(newConnections(listener, config, maxConnections)) }()
	select {
	case err := <-failed:
		_ = server.Close()
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), StopTime)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		// Somebody who sends slowly is no failure.
		_ = server.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func protocols() *http.Protocols {
	p := &http.Protocols{}
	p.SetHTTP1(true)
	// An Ingress may say that all its backends speak gRPC.
	p.SetUnencryptedHTTP2(true)
	return p
}
