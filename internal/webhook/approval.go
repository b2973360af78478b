package webhook

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/validation"
)

// Approval asks the API server who may approve and deny CertificateRequests.
type Approval interface {
	// Signer returns how a kind of issuers is served, nil if it is not.
	Signer(ctx context.Context, kind schema.GroupKind) (*Signer, error)
	// Allowed reports whether a user has the verb approve on the resource signers
	// of cert-manager.io with a name. A question that fails counts as no.
	Allowed(ctx context.Context, user authenticationv1.UserInfo, name string) bool
}

// Signer is a kind of issuers as the API server serves it.
type Signer struct {
	schema.GroupResource
	Namespaced bool
}

// names are names of signers, in the order in which they are asked for: one must be
// allowed. An issuer that is namespaced itself is in the namespace of
// the request.
func (s *Signer) names(namespace, issuer string) [2]string {
	if s.Namespaced {
		issuer = namespace + "." + issuer
	}
	return [2]string{s.String() + "/*", s.String() + "/" + issuer}
}

// mayDecide returns an error if a user may not approve or deny a request.
func mayDecide(ctx context.Context, approval Approval, cr *cmv1.CertificateRequest, user authenticationv1.UserInfo) error {
	ref := cr.Spec.IssuerRef
	kind := schema.GroupKind{Group: ref.Group, Kind: ref.Kind}
	if kind.Group == "" {
		kind.Group = cmv1.GroupName
	}
	if kind.Kind == "" {
		kind.Kind = cmv1.IssuerKind
	}
	signer, err := approval.Signer(ctx, kind)
	if err != nil {
		return fmt.Errorf("internal error: find the issuer kind %s of group %s: %w", kind.Kind, kind.Group, err)
	}
	if signer == nil {
		return validation.SignerUnknown(ref)
	}
	for _, name := range signer.names(cr.Namespace, ref.Name) {
		if approval.Allowed(ctx, user, name) {
			return nil
		}
	}
	return validation.MayNotDecide(user.Username, ref)
}
