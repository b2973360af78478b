package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	kjson "k8s.io/apimachinery/pkg/util/json"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// Watches are the watches of cert-manager's namespaced kinds. The decoder of
// client-go scans an event nine times until its object is decoded, which was a
// seventh of the controllers' CPU; this one scans it four times.
type Watches struct {
	clients   map[schema.GroupVersion]rest.Interface
	namespace string
	// pause is the wait between two tries to open a watch.
	pause time.Duration
}

// watchTries is how often a watch whose connection breaks is opened.
const watchTries = 11

// NewWatches returns the Watches of a namespace; all namespaces if it is empty.
func NewWatches(config *rest.Config, scheme *runtime.Scheme, namespace string) (*Watches, error) {
	w := &Watches{clients: map[schema.GroupVersion]rest.Interface{}, namespace: namespace, pause: time.Second}
	for _, version := range []schema.GroupVersion{cmv1.SchemeGroupVersion, acmev1.SchemeGroupVersion} {
		c := rest.CopyConfig(config)
		c.GroupVersion, c.APIPath = &version, "/apis"
		c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
		client, err := rest.RESTClientFor(c)
		if err != nil {
			return nil, fmt.Errorf("make a client for watches: %w", err)
		}
		w.clients[version] = client
	}
	return w, nil
}

// watched are the kinds whose watches are decoded here.
var watched = map[reflect.Type]schema.GroupVersionResource{
	reflect.TypeFor[*cmv1.Certificate]():        cmv1.SchemeGroupVersion.WithResource("certificates"),
	reflect.TypeFor[*cmv1.CertificateRequest](): cmv1.SchemeGroupVersion.WithResource(cmv1.CertificateRequestResource),
	reflect.TypeFor[*acmev1.Order]():            acmev1.SchemeGroupVersion.WithResource(acmev1.OrderResource),
	reflect.TypeFor[*acmev1.Challenge]():        acmev1.SchemeGroupVersion.WithResource("challenges"),
}

// NewInformer makes an informer that lists by lw. It fits cache.Options of
// controller-runtime; watches know the namespace, and none of its other selectors.
func (w *Watches) NewInformer(lw cache.ListerWatcher, object runtime.Object, resync time.Duration, indexers cache.Indexers) cache.SharedIndexInformer {
	kind := reflect.TypeOf(object)
	resource, ok := watched[kind]
	if !ok {
		return cache.NewSharedIndexInformer(lw, object, resync, indexers)
	}
	client, empty := w.clients[resource.GroupVersion()], func() runtime.Object { return reflect.New(kind.Elem()).Interface().(runtime.Object) }
	return cache.NewSharedIndexInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return cache.ToListerWatcherWithContext(lw).ListWithContext(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.Watch, o.AllowWatchBookmarks = true, true
			body, err := w.open(ctx, func() *rest.Request {
				return client.Get().NamespaceIfScoped(w.namespace, w.namespace != "").Resource(resource.Resource).
					VersionedParams(&o, metav1.ParameterCodec)
			})
			if body == nil || err != nil {
				return watch.NewEmptyWatch(), err
			}
			return watch.NewStreamWatcherWithLogger(klog.FromContext(ctx), newDecoder(body, empty),
				apierrors.NewClientErrorReporter(http.StatusInternalServerError, http.MethodGet, "ClientWatchDecoding")), nil
		},
	}, object, resync, indexers)
}

// open sends a request for a watch. If the connection breaks, as while an API server
// restarts, it tries again as rest.Request.Watch does, because an informer lists
// everything anew after an error. It returns nil if that does not help.
func (w *Watches) open(ctx context.Context, request func() *rest.Request) (io.ReadCloser, error) {
	for range watchTries {
		body, err := request().Stream(ctx)
		if broken := utilnet.IsProbableEOF(err) || utilnet.IsTimeout(err); !broken {
			return body, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(w.pause):
		}
	}
	return nil, nil
}

// decoder decodes the events of a watch.
type decoder struct {
	body  io.Closer
	json  *json.Decoder
	empty func() runtime.Object
}

var _ watch.Decoder = (*decoder)(nil)

func newDecoder(body io.ReadCloser, empty func() runtime.Object) *decoder {
	return &decoder{body: body, json: json.NewDecoder(body), empty: empty}
}

// Decode implements watch.Decoder.
func (d *decoder) Decode() (watch.EventType, runtime.Object, error) {
	var event struct {
		Type   watch.EventType `json:"type"`
		Object json.RawMessage `json:"object"`
	}
	if err := d.json.Decode(&event); err != nil {
		return "", nil, err
	}
	var object runtime.Object
	switch event.Type {
	case watch.Added, watch.Modified, watch.Deleted, watch.Bookmark:
		object = d.empty()
	case watch.Error:
		object = &metav1.Status{}
	default:
		return "", nil, fmt.Errorf("the watch has an event of the unknown type %q", event.Type)
	}
	return event.Type, object, kjson.Unmarshal(event.Object, object)
}

// Close implements watch.Decoder.
func (d *decoder) Close() { _ = d.body.Close() }
