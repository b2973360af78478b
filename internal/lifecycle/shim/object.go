package shim

import (
	"maps"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/plan"
)

// The kinds of objects that Certificates are made for.
const (
	KindIngress     = "Ingress"
	KindGateway     = "Gateway"
	KindListenerSet = "ListenerSet"
	KindHTTPRoute   = "HTTPRoute"
)

// SecretNameAnnotation names the Secret for the hostnames of an HTTPRoute; without it,
// that is the name of the HTTPRoute with routeSuffix.
const SecretNameAnnotation = "everleaf.io/secret-name"

const routeSuffix = "-tls"

// VersionKind is the group, version and kind of a kind of objects that Certificates
// are made for.
func VersionKind(kind string) schema.GroupVersionKind {
	if kind == KindIngress {
		return networkingv1.SchemeGroupVersion.WithKind(kind)
	}
	return schema.GroupVersion{Group: gwapi.GroupName, Version: "v1"}.WithKind(kind)
}

// ManagerOf is the field manager of the Certificates that are made for a kind of
// objects, and the source of the events about these objects.
func ManagerOf(kind string) string {
	switch kind {
	case KindGateway:
		return "cert-manager-gateway-shim"
	case KindListenerSet:
		return "cert-manager-listenerset"
	case KindHTTPRoute:
		return "everleaf-httproute-shim"
	default:
		return "cert-manager-ingress-shim"
	}
}

// Object is what decides about the Certificates of an Ingress, a Gateway, a
// ListenerSet or an HTTPRoute. Its maps and slices are those of the API's object, and are not to
// be changed.
type Object struct {
	Kind string
	types.NamespacedName
	UID types.UID
	// Version is the resourceVersion.
	Version             string
	Labels, Annotations map[string]string
	// Ignored reports that nothing is to be done: the object is being deleted, or
	// the Gateway of a ListenerSet does not exist or is being deleted.
	Ignored bool
	// TLS are the entries of an Ingress, or one for the hostnames of an HTTPRoute.
	TLS []networkingv1.IngressTLS
	// Listeners are those of a Gateway or a ListenerSet.
	Listeners []Listener
	// Parent is the Gateway of a ListenerSet, or the first one of an HTTPRoute.
	Parent types.NamespacedName
	// ParentVersion is the resourceVersion of the Gateway that a ListenerSet inherits from.
	ParentVersion string
}

// Listener is what decides about a listener's Certificates.
type Listener struct {
	Name     gwapi.SectionName
	Hostname *gwapi.Hostname
	Protocol gwapi.ProtocolType
	TLS      *gwapi.ListenerTLSConfig
}

// OfIngress is what decides about the Certificates of an Ingress.
func OfIngress(i *networkingv1.Ingress) Object {
	o := objectOf(KindIngress, &i.ObjectMeta)
	o.TLS = i.Spec.TLS
	return o
}

// OfGateway is what decides about the Certificates of a Gateway.
func OfGateway(g *gwapi.Gateway) Object {
	o := objectOf(KindGateway, &g.ObjectMeta)
	for _, l := range g.Spec.Listeners {
		o.Listeners = append(o.Listeners, Listener{l.Name, l.Hostname, l.Protocol, l.TLS})
	}
	return o
}

// OfListenerSet is what decides about the Certificates of a ListenerSet whose
// Gateway is parent, nil if there is none. The ListenerSet inherits the issuer.
func OfListenerSet(s *gwapi.ListenerSet, parent *gwapi.Gateway) Object {
	o := objectOf(KindListenerSet, &s.ObjectMeta)
	for _, l := range s.Spec.Listeners {
		o.Listeners = append(o.Listeners, Listener{l.Name, l.Hostname, l.Protocol, l.TLS})
	}
	o.Parent = ParentOf(s)
	if o.Parent.Name == "" || parent == nil || leaving(&parent.ObjectMeta) {
		o.Ignored = true
		return o
	}
	o.Annotations, o.ParentVersion = inherit(s.Annotations, parent.Annotations), parent.ResourceVersion
	return o
}

// OfHTTPRoute is what decides about the Certificate of an HTTPRoute: one for all its
// hostnames.
func OfHTTPRoute(r *gwapi.HTTPRoute) Object {
	o := objectOf(KindHTTPRoute, &r.ObjectMeta)
	entry := networkingv1.IngressTLS{SecretName: r.Annotations[SecretNameAnnotation]}
	if entry.SecretName == "" {
		entry.SecretName = r.Name + routeSuffix
	}
	for _, host := range r.Spec.Hostnames {
		entry.Hosts = append(entry.Hosts, string(host))
	}
	o.TLS = []networkingv1.IngressTLS{entry}
	for _, ref := range r.Spec.ParentRefs {
		if (ref.Kind != nil && *ref.Kind != KindGateway) || (ref.Group != nil && *ref.Group != gwapi.GroupName) {
			continue
		}
		o.Parent = types.NamespacedName{Namespace: r.Namespace, Name: string(ref.Name)}
		if ref.Namespace != nil {
			o.Parent.Namespace = string(*ref.Namespace)
		}
		break
	}
	return o
}

// ParentOf is the Gateway that a ListenerSet names.
func ParentOf(s *gwapi.ListenerSet) types.NamespacedName {
	parent := types.NamespacedName{Namespace: s.Namespace, Name: string(s.Spec.ParentRef.Name)}
	if ns := s.Spec.ParentRef.Namespace; ns != nil && *ns != "" {
		parent.Namespace = string(*ns)
	}
	return parent
}

// inherit returns the annotations of a ListenerSet with what it takes over from
// its Gateway: the issuer, if it names none itself, together with its kind and
// group.
func inherit(own, parent map[string]string) map[string]string {
	keys := []string{cmv1.IssuerKindAnnotationKey, cmv1.IssuerGroupAnnotationKey}
	if !namesIssuer(own) {
		keys = append(keys, cmv1.IngressIssuerNameAnnotationKey, cmv1.IngressClusterIssuerNameAnnotationKey)
	}
	inherited := maps.Clone(own)
	if inherited == nil {
		inherited = map[string]string{}
	}
	for _, key := range keys {
		if value, ok := parent[key]; ok {
			inherited[key] = value
		}
	}
	return inherited
}

func objectOf(kind string, m *metav1.ObjectMeta) Object {
	return Object{
		Kind: kind, NamespacedName: types.NamespacedName{Namespace: m.Namespace, Name: m.Name}, UID: m.UID, Version: m.ResourceVersion,
		Labels: m.Labels, Annotations: m.Annotations, Ignored: leaving(m),
	}
}

// leaving reports whether an object is being deleted.
func leaving(m *metav1.ObjectMeta) bool {
	return m.DeletionTimestamp != nil || slices.Contains(m.Finalizers, metav1.FinalizerDeleteDependents)
}

// asSeen confirms that the object, and what it inherits from, are at the API server as they
// were when it was decided on. The cache of a new leader may have an older version than
// that of the Certificates: by it, a Certificate would lose a name, or be issued for nothing.
// The object is read once for all writes of a reconcile; a read of one object by its name is
// little beside what a Certificate costs that is made or changed.
func (o Object) asSeen() []plan.Confirm {
	seen := []plan.Confirm{{Ref: plan.Ref{Kind: o.Kind, NamespacedName: o.NamespacedName}, Version: o.Version}}
	if o.ParentVersion != "" {
		seen = append(seen, plan.Confirm{Ref: plan.Ref{Kind: KindGateway, NamespacedName: o.Parent}, Version: o.ParentVersion})
	}
	return seen
}

// references are the names of all Secrets that the object refers to, in any
// entry or listener.
func (o Object) references() map[string]bool {
	names := map[string]bool{}
	for _, entry := range o.TLS {
		names[entry.SecretName] = true
	}
	for _, l := range o.Listeners {
		if l.TLS == nil {
			continue
		}
		for _, ref := range l.TLS.CertificateRefs {
			names[string(ref.Name)] = true
		}
	}
	return names
}

// SecretNames are the names of the Secrets that the object refers to, sorted: a
// Certificate of such a name can concern the object.
func (o Object) SecretNames() []string { return slices.Sorted(maps.Keys(o.references())) }
