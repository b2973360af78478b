package certificate

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// TakenBy says, as "belongs to …", whose a request is that has the name of one of a
// Certificate's. It is "" if it was made for a Certificate of this name, whatever its
// owner and its revision are: such a request is left behind, and may be deleted.
func TakenBy(crt *cmv1.Certificate, r *cmv1.CertificateRequest) string {
	owner := metav1.GetControllerOf(r)
	if owner == nil && len(r.OwnerReferences) > 0 {
		owner = &r.OwnerReferences[0]
	}
	madeFor := r.Annotations[cmv1.CertificateNameKey]
	switch {
	case owner != nil && owner.Kind == cmv1.CertificateKind && groupOf(owner) != cmv1.GroupName:
		return fmt.Sprintf("belongs to %s %q of %s", owner.Kind, owner.Name, groupOf(owner))
	case owner != nil && (owner.Kind != cmv1.CertificateKind || owner.Name != crt.Name):
		return fmt.Sprintf("belongs to %s %q", owner.Kind, owner.Name)
	case owner != nil && slices.Contains([]string{"", crt.Name}, madeFor):
		return ""
	case madeFor == crt.Name:
		return ""
	case madeFor != "":
		return fmt.Sprintf("was made for Certificate %q", madeFor)
	case r.Spec.Username != "":
		return fmt.Sprintf("was created by %q", r.Spec.Username)
	default:
		return "was not made for a Certificate"
	}
}

// groupOf is the API group of an owner, whatever the version.
func groupOf(owner *metav1.OwnerReference) string {
	return schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).Group
}
