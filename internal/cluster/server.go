package cluster

import (
	"context"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/shim"
	"github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
	"github.com/everleaf/everleaf/internal/plan"
)

// Server is the API server as the driver of controllers needs it: guarded
// writes, events, and looks at what is there now.
type Server struct {
	*Writer
	*Events
	live client.Reader
	// Observe, if it is set, is called with all events, also with those that are
	// not sent because --events leaves them out.
	Observe func(object runtime.Object, e plan.Event)
}

// NewServer returns a Server. live reads from the API server, not from a cache.
func NewServer(w *Writer, e *Events, live client.Reader) *Server {
	return &Server{Writer: w, Events: e, live: live}
}

// Send sends events about an object.
func (s *Server) Send(object runtime.Object, events ...plan.Event) {
	if s.Observe != nil {
		for _, e := range events {
			s.Observe(object, e)
		}
	}
	s.Events.Send(object, events...)
}

// Live reads an object from the API server.
func (s *Server) Live(ctx context.Context, key types.NamespacedName, into client.Object) error {
	return s.live.Get(ctx, key, into)
}

// Confirm returns ErrStale if an object is not as a decision took it to be.
// It reads no more than metadata.
func (s *Server) Confirm(ctx context.Context, c plan.Confirm) error {
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(versionKind(c.Kind))
	err := s.live.Get(ctx, c.NamespacedName, found)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read %s %s: %w", c.Kind, c.NamespacedName, err)
	}
	switch {
	case err != nil && c.Version == "":
		return nil
	case err == nil && c.Version != "" && found.ResourceVersion == c.Version:
		return nil
	case err == nil && c.Version == "" && c.Owner != "" && (!controls(c.Owner, found) || found.DeletionTimestamp != nil):
		return nil
	default:
		return ErrStale
	}
}

func controls(owner types.UID, o metav1.Object) bool {
	ref := metav1.GetControllerOfNoCopy(o)
	return ref != nil && ref.UID == owner
}

// versionKind is the group, version and kind of a kind that controllers know.
func versionKind(kind string) schema.GroupVersionKind {
	switch kind {
	case plan.KindSecret:
		return corev1.SchemeGroupVersion.WithKind(kind)
	case signingrequest.Kind:
		return certificatesv1.SchemeGroupVersion.WithKind(kind)
	case acmev1.OrderKind, acmev1.ChallengeKind:
		return acmev1.SchemeGroupVersion.WithKind(kind)
	case shim.KindIngress, shim.KindGateway, shim.KindListenerSet, shim.KindHTTPRoute:
		return shim.VersionKind(kind)
	default:
		return cmv1.SchemeGroupVersion.WithKind(kind)
	}
}
