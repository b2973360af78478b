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
	"errors"
	"fmt"
	"maps"
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
)

const (
	// checkPeriod is how often the certificate is checked although nothing has
	// happened: after a failure, and because a machine that was suspended has
	// stopped its timers.
	checkPeriod = 10 * time.Second
	// retryPeriod is how long after a failure to sign the next try is.
	retryPeriod = time.Second
	// storePeriod is the least time between two CAs that are stored, whatever else
	// changes the Secret.
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

	// stored is when this Source has last tried to store a CA. Only Start uses it.
	stored time.Time

	mu sync.Mutex
	// current is what is served; nil at first.
	current *served
	err     error
}

// served is a serving certificate and the CA that has signed it.
type served struct {
	cert *tls.Certificate
	by   *authority
}

// fresh reports whether it can stay. One that is not valid yet cannot: the clock was
// set back.
func (s *served) fresh(now time.Time) bool {
	return !now.Before(s.cert.Leaf.NotBefore) && now.Before(renewalOf(s.cert.Leaf))
}

// signer returns the CA that has to sign a new serving certificate, nil if the
// current one, which may be nil, can stay. data is that of the Secret. The error says
// why the Secret has to get another CA.
func signer(data map[string][]byte, current *served, now time.Time) (*authority, error) {
	ca, err := authorityOf(data, now)
	if err != nil {
		return nil, err
	}
	if current != nil && current.by.cert.Equal(ca.cert) && current.fresh(now) {
		return nil, nil
	}
	return ca, nil
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
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil
	}
	for {
		var secret *corev1.Secret
		if found, ok, _ := informer.GetStore().GetByKey(s.config.Namespace + "/" + s.config.Name); ok {
			secret = found.(*corev1.Secret)
		}
		wait, err := s.ensure(ctx, secret)
		s.report(err, wait)
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

// report logs an error once, not at each check.
func (s *Source) report(err error, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && (s.err == nil || s.err.Error() != err.Error()) {
		s.log.Error(err, "Keep the serving certificate: failed", "namespace", s.config.Namespace, "secret", s.config.Name, "nextTry", wait.String())
	}
	if err != nil || s.current != nil {
		s.err = err
	}
}

// ensure makes what is missing or due: the CA, or the serving certificate. It returns
// when to check again.
func (s *Source) ensure(ctx context.Context, secret *corev1.Secret) (time.Duration, error) {
	now := s.clock.Now()
	var data map[string][]byte
	if secret != nil {
		data = secret.Data
	}
	s.mu.Lock()
	current := s.current
	s.mu.Unlock()
	ca, err := signer(data, current, now)
	if err != nil {
		return s.replaceAuthority(ctx, secret, now, err)
	}
	if ca == nil {
		return checkPeriod, nil
	}
	cert, key, err := ca.leaf(now, s.config.Lifetime, s.config.DNSNames)
	if err != nil {
		return retryPeriod, fmt.Errorf("sign the serving certificate: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = &served{&tls.Certificate{Certificate: ca.chain(cert, now), PrivateKey: key, Leaf: cert}, ca}
	s.log.V(2).Info("Serving with a new certificate", "notAfter", cert.NotAfter)
	return checkPeriod, nil
}

// replaceAuthority stores a new CA, but not again and again if something else keeps
// changing the Secret.
func (s *Source) replaceAuthority(ctx context.Context, secret *corev1.Secret, now time.Time, why error) (time.Duration, error) {
	if wait := storePeriod - now.Sub(s.stored).Abs(); !s.stored.IsZero() && wait > 0 {
		return wait, nil
	}
	s.stored = now
	err := s.storeAuthority(ctx, secret, now, why)
	if err == nil {
		return checkPeriod, nil
	}
	err = fmt.Errorf("store a CA in Secret %s/%s: %w", s.config.Namespace, s.config.Name, err)
	if errors.Is(why, errExpired) {
		err = fmt.Errorf("internal error: CA certificate has expired, try again later: %w", err)
	}
	return checkPeriod, err
}

// storeAuthority stores a new CA. Another replica may do so at the same time:
// the first wins, and its Secret is an event.
func (s *Source) storeAuthority(ctx context.Context, secret *corev1.Secret, now time.Time, why error) error {
	data, err := newAuthority(now, s.previous(secret))
	if err != nil {
		return err
	}
	secrets := s.core.CoreV1().Secrets(s.config.Namespace)
	if secret == nil {
		_, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: s.config.Namespace, Name: s.config.Name,
				Labels:      map[string]string{"app.kubernetes.io/managed-by": s.config.ManagedBy},
				Annotations: map[string]string{directInjection: "true"},
			},
			Type: corev1.SecretTypeOpaque, Data: data,
		}, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	}
	s.log.Info("The Secret gets a new CA", "namespace", s.config.Namespace, "secret", s.config.Name, "reason", why.Error())
	changed := secret.DeepCopy()
	if changed.Data == nil {
		changed.Data = map[string][]byte{}
	}
	delete(changed.Data, crossKey)
	maps.Copy(changed.Data, data)
	_, err = secrets.Update(ctx, changed, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// previous is the CA that clients trust so far: the one in the Secret, or, if it
// cannot be read, the one that this process serves with. It is nil if there is none.
func (s *Source) previous(secret *corev1.Secret) *authority {
	if secret != nil {
		if ca, err := read(secret.Data); err == nil {
			return ca
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return nil
	}
	return s.current.by
}
