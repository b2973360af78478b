package solverwebhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/cert"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// lastRequests is how long the server waits for accepted requests when it ends: as
// long as Kubernetes gives a pod by default, less a little.
const lastRequests = 25 * time.Second

// certificates keep the serving certificate.
type certificates interface {
	GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
	Start(ctx context.Context) error
}

type server struct {
	listener     net.Listener
	http         *http.Server
	client       kubernetes.Interface
	trust        *trust
	certificates certificates
	ending       atomic.Bool
}

// newServer makes a server for o.Listener, which its run closes.
func newServer(o Options, client kubernetes.Interface, solvers []Solver) (*server, error) {
	s := &server{listener: o.Listener, client: client}
	var err error
	if s.trust, err = newTrust(client); err != nil {
		return nil, err
	}
	if s.certificates, err = servingCertificate(o); err != nil {
		return nil, err
	}
	version, suites, err := o.tlsVersions()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", healthy)
	mux.HandleFunc("/livez", healthy)
	mux.HandleFunc("/readyz", s.ready)
	mux.Handle("/", &gate{trust: s.trust, authenticate: s.trust.authenticator(), client: s.client, next: newAPI(o.GroupName, solvers)})
	s.http = &http.Server{
		Handler: mux,
		TLSConfig: &tls.Config{
			MinVersion: version, CipherSuites: suites,
			GetCertificate: s.certificates.GetCertificate,
			// Certificates of clients are checked per request, with the authority of
			// that time.
			ClientAuth: tls.RequestClientCert,
		},
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       90 * time.Second,
		// Probes and scanners cause handshake errors all the time.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	return s, nil
}

// run serves until ctx ends, and then finishes the requests that it has accepted.
func (s *server) run(ctx context.Context) error {
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go s.trust.run(working, s.client)
	go func() {
		if err := s.certificates.Start(working); err != nil {
			klog.ErrorS(err, "The serving certificate is not read again when it changes")
		}
	}()
	served := make(chan error, 1)
	go func() { served <- s.http.ServeTLS(s.listener, "", "") }()
	klog.InfoS("Serving", "address", s.listener.Addr().String())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	s.ending.Store(true)
	klog.InfoS("Ending: finishing the accepted requests")
	last, cancel := context.WithTimeout(working, lastRequests)
	defer cancel()
	if err := s.http.Shutdown(last); err != nil {
		return fmt.Errorf("requests were cut off: %w", errors.Join(err, s.http.Close()))
	}
	return nil
}

func healthy(w http.ResponseWriter, _ *http.Request) {
	// An error here is the client's.
	_, _ = io.WriteString(w, "ok\n")
}

func (s *server) ready(w http.ResponseWriter, _ *http.Request) {
	why := s.trust.ready()
	if s.ending.Load() {
		why = "ending"
	}
	if why != "" {
		http.Error(w, "not ready: "+why, http.StatusServiceUnavailable)
		return
	}
	healthy(w, nil)
}

// servingCertificate returns the certificate of the files, or one that the process has
// made itself.
func servingCertificate(o Options) (certificates, error) {
	if o.CertFile != "" {
		watcher, err := certwatcher.New(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("serving certificate: %w", err)
		}
		return watcher, nil
	}
	certPEM, keyPEM, err := cert.GenerateSelfSignedCertKey("localhost", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	klog.InfoS("Serving with a certificate that this process has made, which only an APIService with insecureSkipTLSVerify accepts; set --tls-cert-file and --tls-private-key-file")
	return (*fixed)(&pair), nil
}

// fixed is a certificate that does not change.
type fixed tls.Certificate

func (f *fixed) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return (*tls.Certificate)(f), nil
}

func (f *fixed) Start(context.Context) error { return nil }
