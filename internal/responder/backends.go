package responder

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/everleaf/everleaf/internal/foreign"
)

// PortName is the name of the responder's port in its Service.
const PortName = "http"

// Backends are where responders answer, for the EndpointSlices of challenges.
type Backends interface {
	// Ready returns the addresses of the responders that are ready, in order, and their
	// port. Without addresses the port is 0.
	Ready() (addresses []netip.Addr, port int32)
	// Subscribe has a function called after each change of what Ready returns. It
	// must not block.
	Subscribe(func())
	// Obstacle says why Ready may know less than there is, as the end of a sentence;
	// "" if it knows all.
	Obstacle() string
}

// Fixed are Backends that do not change. Addresses are of one port.
type Fixed []netip.AddrPort

// Ready implements Backends.
func (f Fixed) Ready() (addresses []netip.Addr, port int32) {
	for _, a := range f {
		addresses, port = append(addresses, a.Addr()), int32(a.Port())
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses), port
}

// Subscribe implements Backends.
func (Fixed) Subscribe(func()) {}

// Obstacle implements Backends.
func (Fixed) Obstacle() string { return "" }

// Service are the Backends behind a Service: the ready addresses in its EndpointSlices.
type Service struct {
	name     types.NamespacedName
	informer cache.SharedIndexInformer
	log      logr.Logger
	// failure is the text of the last error of the informer.
	failure atomic.Pointer[string]

	mu          sync.Mutex
	addresses   []netip.Addr
	port        int32
	subscribers []func()
}

// NewService returns the Backends of a Service; Start begins to watch. It reads the
// EndpointSlices of the Service's namespace that have its label.
func NewService(core kubernetes.Interface, name types.NamespacedName, log logr.Logger) (*Service, error) {
	s := &Service{name: name, log: log}
	factory := informers.NewSharedInformerFactoryWithOptions(core, 0, informers.WithNamespace(name.Namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = discoveryv1.LabelServiceName + "=" + name.Name }))
	s.informer = factory.Discovery().V1().EndpointSlices().Informer()
	if err := s.informer.SetWatchErrorHandlerWithContext(s.failed); err != nil {
		return nil, err
	}
	changed := func(any) { s.refresh() }
	_, err := s.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: changed, UpdateFunc: func(_, _ any) { s.refresh() }, DeleteFunc: changed,
	})
	return s, err
}

// Start watches until ctx ends.
func (s *Service) Start(ctx context.Context) error {
	s.informer.RunWithContext(ctx)
	return nil
}

// Ready implements Backends.
func (s *Service) Ready() ([]netip.Addr, int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.addresses), s.port
}

// Subscribe implements Backends.
func (s *Service) Subscribe(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribers = append(s.subscribers, f)
}

// Obstacle implements Backends.
func (s *Service) Obstacle() string {
	if s.informer.HasSynced() {
		return ""
	}
	text := fmt.Sprintf("the EndpointSlices of Service %s have not been read yet", s.name)
	if failure := s.failure.Load(); failure != nil {
		text += ": " + *failure
	}
	return text
}

// failed logs each cause once: the informer tries again within a minute, for ever.
func (s *Service) failed(ctx context.Context, r *cache.Reflector, err error) {
	if ctx.Err() != nil || foreign.WatchEnded(err) {
		cache.DefaultWatchErrorHandler(ctx, r, err)
		return
	}
	text := foreign.APIServer(err)
	if last := s.failure.Swap(&text); last == nil || *last != text {
		s.log.Error(err, "Watch the EndpointSlices of the HTTP-01 responder's Service: failed; the next try is within a minute", "service", s.name.String())
	}
}

// refresh follows a change of the EndpointSlices.
func (s *Service) refresh() {
	var found []*discoveryv1.EndpointSlice
	for _, object := range s.informer.GetStore().List() {
		if slice, ok := object.(*discoveryv1.EndpointSlice); ok {
			found = append(found, slice)
		}
	}
	addresses, port := ready(found)
	s.mu.Lock()
	same := port == s.port && slices.Equal(addresses, s.addresses)
	s.addresses, s.port = addresses, port
	subscribers := slices.Clone(s.subscribers)
	s.mu.Unlock()
	if same {
		return
	}
	for _, f := range subscribers {
		f()
	}
}

// ready returns the addresses that are ready in the EndpointSlices of a Service, in order.
// While an upgrade changes the port of pods there are two ports; an EndpointSlice of a
// challenge has one, so it is that of most addresses, and of equally many the least.
func ready(all []*discoveryv1.EndpointSlice) (addresses []netip.Addr, port int32) {
	byPort := map[int32][]netip.Addr{}
	for _, slice := range all {
		number := portOf(slice)
		if number == 0 {
			continue
		}
		for _, endpoint := range slice.Endpoints {
			// Unknown counts as ready (see the API).
			if endpoint.Conditions.Ready != nil && !*endpoint.Conditions.Ready {
				continue
			}
			for _, text := range endpoint.Addresses {
				if address, err := netip.ParseAddr(text); err == nil {
					byPort[number] = append(byPort[number], address)
				}
			}
		}
	}
	for number, found := range byPort {
		slices.SortFunc(found, netip.Addr.Compare)
		found = slices.Compact(found)
		if order := cmp.Compare(len(found), len(addresses)); order > 0 || order == 0 && number < port {
			addresses, port = found, number
		}
	}
	return addresses, port
}

// portOf returns the port of the responder in an EndpointSlice: the one of its name, or
// the only one; 0 if there is none.
func portOf(slice *discoveryv1.EndpointSlice) int32 {
	for _, p := range slice.Ports {
		if p.Port != nil && (len(slice.Ports) == 1 || p.Name != nil && *p.Name == PortName) {
			return *p.Port
		}
	}
	return 0
}
