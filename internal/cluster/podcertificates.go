package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/foreign"
	"github.com/everleaf/everleaf/internal/lifecycle/podcertificate"
	"github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	podCertificateRequests = "podcertificaterequests"
	// podCertificatesInterval is how often the API server is asked whether it has
	// PodCertificateRequests. That changes only with its flags or its version.
	podCertificatesInterval = time.Minute
	// podCertificatesTimeout bounds one answer.
	podCertificatesTimeout = 10 * time.Second
)

// podCertificateVersions are the versions of the kind, the preferred one first. Where
// v1beta1 is still switched on, it is for kubelets of 1.35, whose requests have their key
// in a field that v1 does not have.
var podCertificateVersions = []schema.GroupVersion{certificatesv1beta1.SchemeGroupVersion, certificatesv1.SchemeGroupVersion}

// PodCertificatesConfig is what PodCertificates need.
type PodCertificatesConfig struct {
	// Observe logs the errors of an informer.
	Observe func(cache.SharedIndexInformer) error
	Log     logr.Logger
	// Interval is the time between two looks at the API server; 0 is a minute.
	Interval time.Duration
}

// PodCertificates are the PodCertificateRequests for issuers of ours. API servers have
// the kind from Kubernetes 1.35 on, as v1beta1 only if it is switched on. It is looked
// for again and again, because the API server may be changed while this process runs.
// Of requests for others, and of those that have ended, the cache holds no more than the
// name. It is safe for concurrent use.
type PodCertificates struct {
	PodCertificatesConfig
	clients map[schema.GroupVersion]rest.Interface

	mu   sync.Mutex
	kind optionalKind
	// version is the one that is watched, and requests its cache; empty for none.
	version  schema.GroupVersion
	requests store[*podcertificate.Object, signingrequest.Signer]
	// said is the last that was logged.
	said string
	// ctx ends with the process; nil until Start.
	ctx     context.Context
	running sync.WaitGroup
}

// NewPodCertificates returns PodCertificates that have not looked yet.
func NewPodCertificates(config *rest.Config, c PodCertificatesConfig) (*PodCertificates, error) {
	if c.Interval == 0 {
		c.Interval = podCertificatesInterval
	}
	p := &PodCertificates{PodCertificatesConfig: c, clients: map[schema.GroupVersion]rest.Interface{}}
	// v1beta1 has all fields of v1, so that one type is enough for both.
	scheme := runtime.NewScheme()
	for _, version := range podCertificateVersions {
		scheme.AddKnownTypeWithName(version.WithKind(podcertificate.Kind), &podcertificate.Object{})
		scheme.AddKnownTypeWithName(version.WithKind(podcertificate.Kind+"List"), &podcertificate.List{})
		metav1.AddToGroupVersion(scheme, version)
	}
	for _, version := range podCertificateVersions {
		rc := rest.CopyConfig(config)
		rc.GroupVersion, rc.APIPath = &version, "/apis"
		rc.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
		client, err := rest.RESTClientFor(rc)
		if err != nil {
			return nil, fmt.Errorf("make a client for PodCertificateRequests: %w", err)
		}
		p.clients[version] = client
	}
	return p, nil
}

// Has reports whether a kind is PodCertificateRequest.
func (*PodCertificates) Has(kind string) bool { return kind == podcertificate.Kind }

// Attach has PodCertificateRequests watched while the API server has them. attach is
// called with each informer of them; the context ends with the informer.
func (p *PodCertificates) Attach(_ string, attach func(context.Context, cache.SharedIndexInformer) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed(p.kind.add(attach))
}

func (p *PodCertificates) failed(err error) {
	if err != nil {
		p.Log.Error(err, "Watch PodCertificateRequests: failed")
	}
}

// Start looks for the kind until ctx ends.
func (p *PodCertificates) Start(ctx context.Context) error {
	p.mu.Lock()
	p.ctx = ctx
	p.mu.Unlock()
	ticker := time.NewTicker(p.Interval)
	defer ticker.Stop()
	for {
		p.Look(ctx)
		select {
		case <-ctx.Done():
			p.running.Wait()
			return nil
		case <-ticker.C:
		}
	}
}

// Look asks the API server whether it has the kind. If it does not answer, what was
// known stays. It is called after Start.
func (p *PodCertificates) Look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, podCertificatesTimeout)
	defer cancel()
	version, err := p.ask(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.ctx == nil || p.ctx.Err() != nil:
	case err != nil:
		p.say("The API server does not say whether it has PodCertificateRequests: " + foreign.APIServer(err) + "; what was known stays, and the next try is in " + p.Interval.String())
	case version.Empty():
		p.kind.end()
		p.version = version
		p.say("PodCertificateRequests are not signed: the API server does not have them. From Kubernetes 1.35 on it can, with its feature gate PodCertificateRequest and " +
			"--runtime-config=" + certificatesv1beta1.SchemeGroupVersion.String() + "/" + podCertificateRequests + "=true. All else goes on, and this begins when they are there")
	case version != p.version || p.kind.informer == nil:
		p.kind.end()
		p.begin(version)
	}
}

// say logs a text, unless it was the last one.
func (p *PodCertificates) say(text string) {
	if text != p.said {
		p.said = text
		p.Log.Info(text)
	}
}

// ask returns the version that is to be watched, empty if there is none.
func (p *PodCertificates) ask(ctx context.Context) (schema.GroupVersion, error) {
	for _, version := range podCertificateVersions {
		resources := &metav1.APIResourceList{}
		err := p.clients[version].Get().AbsPath("/apis", version.Group, version.Version).Do(ctx).Into(resources)
		if err != nil && !apierrors.IsNotFound(err) {
			return schema.GroupVersion{}, err
		}
		if slices.ContainsFunc(resources.APIResources, func(r metav1.APIResource) bool { return r.Name == podCertificateRequests }) {
			return version, nil
		}
	}
	return schema.GroupVersion{}, nil
}

// begin watches a version. p.mu is held.
func (p *PodCertificates) begin(version schema.GroupVersion) {
	list := cache.NewListWatchFromClient(p.clients[version], podCertificateRequests, metav1.NamespaceAll, fields.Everything())
	informer := cache.NewSharedIndexInformer(list, &podcertificate.Object{}, 0, cache.Indexers{})
	resource := version.WithResource(podCertificateRequests).GroupResource()
	requests, err := newStore(informer, resource, reducePodCertificate(version), indexes[*podcertificate.Object, signingrequest.Signer]{
		byIssuer: func(e *entry[*podcertificate.Object, signingrequest.Signer]) string {
			return e.facts.Namespace + "/" + e.facts.Name
		},
	})
	// Only informers that have started refuse these.
	if err = errors.Join(err, p.Observe(informer)); err != nil {
		p.failed(err)
		return
	}
	p.version, p.requests = version, requests
	p.say("PodCertificateRequests of " + version.String() + " are signed")
	p.failed(p.kind.begin(p.ctx, informer, &p.running))
}

// reducePodCertificate is the transform of a cache of PodCertificateRequests. Objects of a
// list do not say their version.
func reducePodCertificate(version schema.GroupVersion) cache.TransformFunc {
	return reduced(func(r *podcertificate.Object) (*signingrequest.Signer, bool) {
		r.SetGroupVersionKind(version.WithKind(podcertificate.Kind))
		signer, ours := signingrequest.SignerOf(r.Spec.SignerName)
		if !ours {
			return nil, false
		}
		return &signer, !podcertificate.Ended(r)
	})
}

// cached returns the cache, and whether there is one.
func (p *PodCertificates) cached() (store[*podcertificate.Object, signingrequest.Signer], bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests, p.kind.informer != nil
}

// Get returns a request and whether there is work on it; it is nil if not. The error is
// NotFound if there is no such request, as of all if the API server does not have the kind.
func (p *PodCertificates) Get(key types.NamespacedName) (*podcertificate.Object, bool, error) {
	requests, ok := p.cached()
	if !ok {
		return nil, false, apierrors.NewNotFound(certificatesv1.Resource(podCertificateRequests), key.Name)
	}
	return requests.Get(key)
}

// OpenOf returns the requests for an issuer on which there is work.
func (p *PodCertificates) OpenOf(issuer cmv1.GenericIssuer) []*podcertificate.Object {
	requests, ok := p.cached()
	if !ok {
		return nil
	}
	return requests.OpenOf(issuer)
}

// LastStoreSyncResourceVersion implements Store. A kind that is absent has nothing that
// could be newer.
func (p *PodCertificates) LastStoreSyncResourceVersion() string {
	requests, ok := p.cached()
	if !ok {
		return "18446744073709551615"
	}
	return requests.indexer.LastStoreSyncResourceVersion()
}

// GetByKey implements Store.
func (p *PodCertificates) GetByKey(key string) (any, bool, error) {
	requests, ok := p.cached()
	if !ok {
		return nil, false, nil
	}
	return requests.indexer.GetByKey(key)
}

// PodCertificateServer is a Server that knows the version of PodCertificateRequests which
// the API server has.
type PodCertificateServer struct {
	*Server
	Requests *PodCertificates
}

// UpdateStatus is Writer.UpdateStatus.
func (s PodCertificateServer) UpdateStatus(ctx context.Context, subject plan.Ref, object client.Object, manager string) error {
	s.Requests.mu.Lock()
	version := s.Requests.version
	s.Requests.mu.Unlock()
	if version.Empty() {
		// It is not there any more, and the API server says so.
		version = podCertificateVersions[0]
	}
	err := s.Requests.clients[version].Put().Namespace(object.GetNamespace()).Resource(podCertificateRequests).Name(object.GetName()).SubResource("status").
		VersionedParams(&metav1.UpdateOptions{FieldManager: manager}, metav1.ParameterCodec).Body(object).Do(ctx).Into(object)
	return s.wrote(subject, subject.Kind, object, err)
}
