package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/everleaf/everleaf/internal/foreign"
	"github.com/everleaf/everleaf/internal/lifecycle/shim"
)

const (
	// gatewayAPIInterval is how often the API server is asked which kinds of the
	// Gateway API it has.
	gatewayAPIInterval = 20 * time.Second
	// gatewayAPITimeout bounds one answer.
	gatewayAPITimeout = 10 * time.Second
)

// GatewayAPIConfig is what a GatewayAPI needs.
type GatewayAPIConfig struct {
	// Disabled says in words why the Gateway API is not used; empty if it is.
	Disabled string
	// Kinds are the kinds that are to be used, such as shim.KindGateway.
	Kinds []string
	// Namespace limits what is watched; "" means all.
	Namespace string
	// Compact is the transform of the caches.
	Compact cache.TransformFunc
	// Observe logs the errors of an informer.
	Observe func(cache.SharedIndexInformer) error
	Log     logr.Logger
	// Interval is the time between two looks at the API server; 0 is 20 s.
	Interval time.Duration
}

// GatewayAPI is the Gateway API, whose kinds an API server has only while their CRDs
// are installed. It looks which there are, and caches those that a controller watches
// for as long as they are there. CRDs may be absent, come later and be deleted at any
// time. It is safe for concurrent use.
type GatewayAPI struct {
	GatewayAPIConfig
	client rest.Interface

	mu      sync.Mutex
	offered gatewayOffer
	// silent is why the last look had no answer.
	silent string
	kinds  map[string]*gatewayKind
	// ctx ends with the process; nil until Start.
	ctx     context.Context
	running sync.WaitGroup
}

// gatewayKind is a kind of the Gateway API.
type gatewayKind struct {
	optionalKind
	resource string
	example  runtime.Object
	indexers cache.Indexers
}

// NewGatewayAPI returns a GatewayAPI that has not looked yet. scheme has its kinds.
func NewGatewayAPI(config *rest.Config, scheme *runtime.Scheme, c GatewayAPIConfig) (*GatewayAPI, error) {
	rc := rest.CopyConfig(config)
	rc.GroupVersion, rc.APIPath = &gatewayVersion, "/apis"
	rc.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(rc)
	if err != nil {
		return nil, fmt.Errorf("make a client for the Gateway API: %w", err)
	}
	if c.Interval == 0 {
		c.Interval = gatewayAPIInterval
	}
	return &GatewayAPI{GatewayAPIConfig: c, client: client, kinds: map[string]*gatewayKind{
		shim.KindGateway:     {resource: "gateways", example: &gwapi.Gateway{}, indexers: cache.Indexers{}},
		shim.KindListenerSet: {resource: "listenersets", example: &gwapi.ListenerSet{}, indexers: cache.Indexers{}},
		shim.KindHTTPRoute:   {resource: "httproutes", example: &gwapi.HTTPRoute{}, indexers: cache.Indexers{}},
	}}, nil
}

// Has reports whether a kind can be watched when the API server has it.
func (g *GatewayAPI) Has(kind string) bool { return g.kinds[kind] != nil }

// Active reports whether HTTPRoutes can be used now.
func (g *GatewayAPI) Active() bool { return g.Problem() == "" }

// Problem says why HTTPRoutes cannot be used now, in the words of cert-manager and
// more; it is "" if they can.
func (g *GatewayAPI) Problem() string {
	why := g.Disabled
	if why == "" {
		g.mu.Lock()
		defer g.mu.Unlock()
		why = g.offered.problem(shim.KindHTTPRoute)
	}
	if why == "" {
		return ""
	}
	return "gateway api is not enabled: " + why
}

// Available reports for each kind that is to be used whether the API server has it.
func (g *GatewayAPI) Available() map[string]bool {
	available := map[string]bool{}
	if g.Disabled != "" {
		return available
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, kind := range g.Kinds {
		available[kind] = g.offered.problem(kind) == ""
	}
	return available
}

// Index adds an index to the cache of a kind. It is called before Attach.
func (g *GatewayAPI) Index(kind, name string, values cache.IndexFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kinds[kind].indexers[name] = values
}

// Attach has a kind watched while it is there. attach is called with each informer
// of it; the context ends with the informer.
func (g *GatewayAPI) Attach(kind string, attach func(context.Context, cache.SharedIndexInformer) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	k := g.kinds[kind]
	g.failed(k, k.add(attach))
	g.watch()
}

// failed logs why a kind cannot be watched, if it cannot.
func (g *GatewayAPI) failed(k *gatewayKind, err error) {
	if err != nil {
		g.Log.Error(err, "Watch a kind of the Gateway API: failed", "resource", k.resource)
	}
}

// Get returns an object from the cache, not to be changed. One that is not there
// is NotFound, as all objects of a kind that is absent.
func (g *GatewayAPI) Get(kind string, key types.NamespacedName) (runtime.Object, error) {
	k := g.kinds[kind]
	if informer := g.informerOf(k); informer != nil {
		if item, ok, err := informer.GetIndexer().GetByKey(key.String()); err == nil && ok {
			return item.(runtime.Object), nil
		}
	}
	return nil, apierrors.NewNotFound(gatewayVersion.WithResource(k.resource).GroupResource(), key.Name)
}

// ByIndex returns the objects of a kind with the value of an index.
func (g *GatewayAPI) ByIndex(kind, index, value string) []any {
	informer := g.informerOf(g.kinds[kind])
	if informer == nil {
		return nil
	}
	// The index is there: it was added before the informer was made.
	items, _ := informer.GetIndexer().ByIndex(index, value)
	return items
}

func (g *GatewayAPI) informerOf(k *gatewayKind) cache.SharedIndexInformer {
	g.mu.Lock()
	defer g.mu.Unlock()
	return k.informer
}

// Start looks which kinds there are until ctx ends.
func (g *GatewayAPI) Start(ctx context.Context) error {
	if g.Disabled != "" {
		return nil
	}
	g.mu.Lock()
	g.ctx = ctx
	g.watch()
	g.mu.Unlock()
	ticker := time.NewTicker(g.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			g.running.Wait()
			return nil
		case <-ticker.C:
			g.Look(ctx)
		}
	}
}

// Look asks the API server which kinds it has. If it does not answer, what was known
// stays.
func (g *GatewayAPI) Look(ctx context.Context) {
	if g.Disabled != "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, gatewayAPITimeout)
	defer cancel()
	offered, err := g.ask(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		if why := foreign.APIServer(err); why != g.silent {
			g.silent = why
			g.Log.Error(err, "While checking if the Gateway API CRD is installed: no answer; what was known stays", "nextTry", "in "+g.Interval.String())
		}
		return
	}
	g.silent = ""
	before, now := g.offered.problems(g.Kinds), offered.problems(g.Kinds)
	g.offered = offered
	for _, problem := range now {
		if !slices.Contains(before, problem) {
			g.Log.Error(errors.New(problem), "The Gateway API, or a part of it, cannot be used. All else goes on, and this begins when the CRDs are there")
		}
	}
	if len(now) == 0 && len(before) > 0 {
		g.Log.Info("The API server has the Gateway API", "kinds", g.Kinds)
	}
	g.watch()
}

// ask asks the API server what it has of the Gateway API.
func (g *GatewayAPI) ask(ctx context.Context) (gatewayOffer, error) {
	offered := gatewayOffer{asked: true}
	resources := &metav1.APIResourceList{}
	err := g.client.Get().AbsPath("/apis", gatewayVersion.Group, gatewayVersion.Version).Do(ctx).Into(resources)
	if err == nil {
		for _, r := range resources.APIResources {
			offered.kinds = append(offered.kinds, r.Kind)
		}
		offered.served = true
		return offered, nil
	}
	if !apierrors.IsNotFound(err) {
		return offered, err
	}
	offered.answer = foreign.APIServer(err)
	group := &metav1.APIGroup{}
	if err := g.client.Get().AbsPath("/apis", gatewayVersion.Group).Do(ctx).Into(group); err != nil && !apierrors.IsNotFound(err) {
		return offered, err
	}
	for _, version := range group.Versions {
		offered.versions = append(offered.versions, version.Version)
	}
	return offered, nil
}

// watch starts and stops informers, so that there is one for each kind that is there
// and watched. g.mu is held.
func (g *GatewayAPI) watch() {
	if g.ctx == nil || g.ctx.Err() != nil {
		return
	}
	for _, kind := range slices.Sorted(maps.Keys(g.kinds)) {
		k := g.kinds[kind]
		wanted := len(k.attach) > 0 && g.offered.problem(kind) == ""
		switch {
		case wanted && k.informer == nil:
			g.begin(k)
		case !wanted:
			k.end()
		}
	}
}

// begin starts the informer of a kind.
func (g *GatewayAPI) begin(k *gatewayKind) {
	list := cache.NewListWatchFromClient(g.client, k.resource, g.Namespace, fields.Everything())
	informer := cache.NewSharedIndexInformer(list, k.example, 0, maps.Clone(k.indexers))
	// Only informers that have started refuse these.
	if err := errors.Join(informer.SetTransform(g.Compact), g.Observe(informer)); err != nil {
		g.failed(k, err)
		return
	}
	g.failed(k, k.begin(g.ctx, informer, &g.running))
}
