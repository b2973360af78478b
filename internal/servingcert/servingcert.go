// Package servingcert keeps the certificate of a TLS server of this process,
// signed by a CA that all replicas share in a Secret.
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

// checkPeriod is how often the certificate is checked although nothing has
// happened: after a failure, and because a machine that was suspended has
// stopped its timers.
const checkPeriod = 10 * time.Second

// directInjection lets the CA be injected into webhook configurations.
const directInjection = "cert-manager.io/allow-direct-injection"

// Config says what to serve with.
type Config struct {
	// Namespace and Name are those of the Secret that holds the CA.
	Namespace, Name string
	// DNSNames are the names of the server, Lifetime is that of its certificate.
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

	mu      sync.Mutex
	serving *tls.Certificate
	// issuer is the CA that has signed it, in DER.
	issuer string
	err    error
}

// New returns a Source; Start runs it.
func New(config Config, core kubernetes.Interface, c clock.WithTicker, log logr.Logger) *Source {
	return &Source{config: config, core: core, clock: c, log: log, err: errors.New("it has not been made yet")}
}

// GetCertificate fits tls.Config.
func (s *Source) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving == nil {
		return nil, fmt.Errorf("no serving certificate: %w", s.err)
	}
	return s.serving, nil
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
	ticker := s.clock.NewTicker(checkPeriod)
	defer ticker.Stop()
	for {
		var secret *corev1.Secret
		if found, ok, _ := informer.GetStore().GetByKey(s.config.Namespace + "/" + s.config.Name); ok {
			secret = found.(*corev1.Secret)
		}
		s.report(s.ensure(ctx, secret))
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-ticker.C():
		}
	}
}

// report logs an error once, not at each check.
func (s *Source) report(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && (s.err == nil || s.err.Error() != err.Error()) {
		s.log.Error(err, "Keep the serving certificate: failed; next try in 10 s", "namespace", s.config.Namespace, "secret", s.config.Name)
	}
	s.err = err
}

// ensure makes what is missing or due: the CA, or the serving certificate.
func (s *Source) ensure(ctx context.Context, secret *corev1.Secret) error {
	now := s.clock.Now()
	var data map[string][]byte
	if secret != nil {
		data = secret.Data
	}
	ca, err := authorityOf(data, now)
	if err != nil {
		return s.storeAuthority(ctx, secret, now, err)
	}
	s.mu.Lock()
	current, issuer := s.serving, s.issuer
	s.mu.Unlock()
	if current != nil && issuer == string(ca.cert.Raw) && now.Before(renewalOf(current.Leaf)) {
		return nil
	}
	cert, key, err := ca.leaf(now, s.config.Lifetime, s.config.DNSNames)
	if err != nil {
		return fmt.Errorf("sign the serving certificate: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving = &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
	s.issuer = string(ca.cert.Raw)
	s.log.V(2).Info("Serving with a new certificate", "notAfter", cert.NotAfter)
	return nil
}

// storeAuthority stores a new CA. Another replica may do so at the same time:
// the first wins, and its Secret is an event.
func (s *Source) storeAuthority(ctx context.Context, secret *corev1.Secret, now time.Time, why error) error {
	data, err := newAuthority(now)
	if err != nil {
		return fmt.Errorf("make a CA: %w", err)
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
	} else {
		s.log.Info("The Secret gets a new CA", "namespace", s.config.Namespace, "secret", s.config.Name, "reason", why.Error())
		changed := secret.DeepCopy()
		if changed.Data == nil {
			changed.Data = map[string][]byte{}
		}
		maps.Copy(changed.Data, data)
		_, err = secrets.Update(ctx, changed, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("store the CA in Secret %s/%s: %w", s.config.Namespace, s.config.Name, err)
	}
	return nil
}
