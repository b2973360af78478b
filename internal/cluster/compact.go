package cluster

import (
	corev1 "k8s.io/api/core/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
)

// CompactCertificate is the transform of the cache of Certificates: it drops
// metadata that no decision reads, and shares the strings that most Certificates
// have in common. A status is written with the result, which leaves metadata at
// the API server as it is.
func CompactCertificate(obj any) (any, error) {
	c, ok := obj.(*cmv1.Certificate)
	if !ok {
		return obj, nil
	}
	c.ManagedFields = nil
	delete(c.Annotations, corev1.LastAppliedConfigAnnotation)
	c.Namespace = facts.Shared(c.Namespace)
	ref := &c.Spec.IssuerRef
	ref.Name, ref.Kind, ref.Group = facts.Shared(ref.Name), facts.Shared(ref.Kind), facts.Shared(ref.Group)
	for i := range c.Status.Conditions {
		s := &c.Status.Conditions[i]
		s.Type, s.Status = facts.Shared(s.Type), facts.Shared(s.Status)
		s.Reason, s.Message = facts.Shared(s.Reason), facts.Shared(s.Message)
	}
	return c, nil
}
