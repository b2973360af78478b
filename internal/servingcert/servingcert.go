// Package servingcert keeps the certificate of a TLS server of this process,
// signed by a CA that all replicas share in a Secret.
//
// Clients trust the CA only some time after it has changed. So the old CA also
// signs the new one, and servers send this certificate behind their own: clients that
// trust either CA accept them.
package servingcert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/foreign"
)

const (
	// checkPeriod is how often the certificate is checked although nothing has
	// happened: after a failure, and because a machine that was suspended has
	// stopped its timers.
	checkPeriod = 10 * time.Second
	// retryPeriod is how long after a failure to sign the next try is.
	retryPeriod = time.Second
	// storePeriod is the least time between two tries to store a CA.
	storePeriod = 2 * time.Second
)

// directInjection lets the CA be injected into webhook configurations.
const directInjection = "cert-manager.io/allow-direct-injection"

// Config says what to serve with.
type Config struct {
	// Namespace and Name are those of the Secret that holds the CA.
	Namespace, Name string
	// DNSNames are the names of the server, or IP addresses. Lifetime is that of its
	// certificate.
	DNSNames []string
	Lifetime time.Duration
	// ManagedBy is the label of a Secret that is created.
	ManagedBy string
}

// Source keeps a serving certificate.
type Source struct {
	config Config
	core   kubernetes.Interface
	clock  clock.WithTicker
	log    logr.Logger

	// stored is when this Source has last tried to store a CA, and base the version of
	// the Secret that it was to replace. Only Start uses them and the brake.
	stored time.Time
	base   string
	brake  brake

	mu sync.Mutex
	// current is what is served; nil at first.
	current *served
	err     error
	// watchErr is the last failure to watch that was logged.
	watchErr string
}

// served is a serving certificate and the CA that has signed it.
type served struct {
	cert *tls.Certificate
	by   *authority
	// signed is when the certificate was signed; it begins before.
	signed time.Time
}

// fresh reports whether it can stay. One that is not valid yet cannot: the clock was
// set back.
func (s *served) fresh(now time.Time) bool {
	return !now.Before(s.cert.Leaf.NotBefore) && now.Before(renewalOf(s.signed, s.cert.Leaf.NotAfter))
}

// signer returns the CA that has to sign a new serving certificate, nil if the
// current one, which may be nil, can stay. data is that of the Secret. The error says
// why the Secret has to get another CA.
func signer(data map[string][]byte, current *served, now time.Time) (*authority, error) {
	ca, err := authorityOf(data, now)
	if ca != nil && current != nil && current.by.cert.Equal(ca.cert) && current.fresh(now) {
		ca = nil
	}
	return ca, err
}

// New returns a Source; Start runs it.
func New(config Config, core kubernetes.Interface, c clock.WithTicker, log logr.Logger) *Source {
	return &Source{config: config, core: core, clock: c, log: log, err: errors.New("it has not been made yet")}
}

// GetCertificate fits tls.Config.
func (s *Source) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return nil, fmt.Errorf("no serving certificate: %w", s.err)
	}
	return s.current.cert, nil
}

// Start keeps the certificate until ctx ends.
func (s *Source) Start(ctx context.Context) error {
	secrets := cache.NewListWatchFromClient(s.core.CoreV1().RESTClient(), "secrets", s.config.Namespace,
		fields.OneTermEqualSelector("metadata.name", s.config.Name))
	changed := make(chan struct{}, 1)
	informer := cache.NewSharedIndexInformer(secrets, &corev1.Secret{}, 0, cache.Indexers{})
	wake := func(any) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: wake, UpdateFunc: func(_, o any) { wake(o) }, DeleteFunc: wake,
	}); err != nil {
		return err
	}
	if err := informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		if ctx.Err() == nil && !s.watchFailed(err) {
			cache.DefaultWatchErrorHandler(ctx, r, err)
		}
	}); err != nil {
		return err
	}
	go informer.RunWithContext(ctx)
	go s.ask(ctx, informer.HasSynced)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil
	}
	for {
		var secret *corev1.Secret
		if found, ok, _ := informer.GetStore().GetByKey(s.config.Namespace + "/" + s.config.Name); ok {
			secret = found.(*corev1.Secret)
		}
		wait := s.check(ctx, secret)
		timer := s.clock.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-changed:
		case <-timer.C():
		}
		timer.Stop()
	}
}

// check brings everything up to date and reports. It returns when to check again.
func (s *Source) check(ctx context.Context, secret *corev1.Secret) time.Duration {
	wait, err := s.ensure(ctx, secret)
	s.report(err, wait)
	return wait
}

// report logs an error once, not at each check.
func (s *Source) report(err error, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	values := []any{"namespace", s.config.Namespace, "secret", s.config.Name}
	var c *contested
	switch {
	case err == nil:
	case errors.As(err, &c):
		// It comes back after each try: the brake remembers it.
		if !c.loud || s.brake.told == err.Error() {
			break
		}
		s.brake.told = err.Error()
		if c.ca != nil {
			values = append(values, times(c.ca, s.clock.Now())...)
		}
		s.log.Error(err, failed, append(values, "nextTry", c.wait.Round(time.Second).String())...)
	case s.err == nil || s.err.Error() != err.Error():
		s.log.Error(err, failed, append(values, "nextTry", wait.String())...)
	}
	if err != nil || s.current != nil {
		s.err = err
	}
}

const failed = "Keep the serving certificate: failed"

// times are the values of a log line that show which clock may be wrong.
func times(ca *x509.Certificate, now time.Time) []any {
	text := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	return []any{"clock", text(now), "notBefore", text(ca.NotBefore), "notAfter", text(ca.NotAfter)}
}

// ask finds out why the Secret cannot be read, as long as known returns false: an informer
// does not say that the API server cannot be reached.
func (s *Source) ask(ctx context.Context, known func() bool) {
	for {
		timer := s.clock.NewTimer(checkPeriod)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		}
		if known() {
			return
		}
		one, cancel := context.WithTimeout(ctx, checkPeriod)
		_, err := s.core.CoreV1().Secrets(s.config.Namespace).Get(one, s.config.Name, metav1.GetOptions{})
		cancel()
		// What the API server answers, the informer says.
		if err != nil && !errors.As(err, new(apierrors.APIStatus)) && ctx.Err() == nil && !known() {
			s.watchFailed(err)
		}
	}
}

// watchFailed takes an error of the watch. It returns whether it was one: an end of the
// watch, which is normal, is none.
func (s *Source) watchFailed(err error) bool {
	if err == nil || foreign.WatchEnded(err) {
		return false
	}
	err = fmt.Errorf("watch Secret %s/%s: %s", s.config.Namespace, s.config.Name, foreign.APIServer(err))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		s.err = err
	}
	if s.watchErr != err.Error() {
		s.watchErr = err.Error()
		s.log.Error(err, failed, "namespace", s.config.Namespace, "secret", s.config.Name, "nextTry", "within a minute")
	}
	return true
}

// ensure makes what is missing or due: the CA, or the serving certificate. It returns
// when to check again.
func (s *Source) ensure(ctx context.Context, secret *corev1.Secret) (time.Duration, error) {
	now := s.clock.Now()
	if wait := storePeriod - now.Sub(s.stored).Abs(); wait > 0 && versionOf(secret) == s.base {
		// What was stored has not come back yet.
		return wait, nil
	}
	var data map[string][]byte
	if secret != nil {
		data = secret.Data
	}
	s.brake.saw(data, now)
	s.mu.Lock()
	current := s.current
	s.mu.Unlock()
	ca, why := signer(data, current, now)
	wait := checkPeriod
	if why != nil {
		if wait, why = s.replaceAuthority(ctx, secret, now, why); why == nil {
			return wait, nil
		}
	}
	// A CA that is due but stays for now can sign.
	if ca != nil {
		if err := s.sign(ca, now); err != nil {
			return retryPeriod, err
		}
	}
	return wait, why
}

// sign makes a serving certificate.
func (s *Source) sign(ca *authority, now time.Time) error {
	cert, key, err := ca.leaf(now, s.config.Lifetime, s.config.DNSNames)
	if err != nil {
		return fmt.Errorf("sign the serving certificate: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = &served{&tls.Certificate{Certificate: ca.chain(cert, now), PrivateKey: key, Leaf: cert}, ca, now}
	s.log.V(2).Info("Serving with a new certificate", "notAfter", cert.NotAfter)
	return nil
}
