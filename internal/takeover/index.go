package takeover

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/certificate"
)

// index finds objects of a Cluster by what others refer to: what is said of one object
// costs the same however many there are.
type index struct {
	// keys are the Secrets with a next private key, by the UID of their Certificate.
	keys map[types.UID][]*facts.Secret
	// sharing are the Certificates by their spec.secretName, named by their own names,
	// and controlled by the UID of the object that they were made for.
	sharing    map[types.NamespacedName][]cmv1.Certificate
	named      map[types.NamespacedName]*cmv1.Certificate
	controlled map[types.UID][]*cmv1.Certificate
	// users are the Issuers that need a Secret, as in `Issuer "ca"`.
	users map[types.NamespacedName]string
}

func indexOf(c Cluster) index {
	x := index{
		keys: map[types.UID][]*facts.Secret{}, sharing: map[types.NamespacedName][]cmv1.Certificate{},
		named: map[types.NamespacedName]*cmv1.Certificate{}, controlled: map[types.UID][]*cmv1.Certificate{}, users: map[types.NamespacedName]string{},
	}
	for _, s := range c.Secrets {
		if s.Owner != "" && s.Labels[cmv1.IsNextPrivateKeySecretLabelKey] == "true" {
			x.keys[s.Owner] = append(x.keys[s.Owner], s)
		}
	}
	for i := range c.Certificates {
		crt := &c.Certificates[i]
		secret := types.NamespacedName{Namespace: crt.Namespace, Name: crt.Spec.SecretName}
		x.sharing[secret] = append(x.sharing[secret], *crt)
		x.named[types.NamespacedName{Namespace: crt.Namespace, Name: crt.Name}] = crt
		if owner := metav1.GetControllerOf(crt); owner != nil {
			x.controlled[owner.UID] = append(x.controlled[owner.UID], crt)
		}
	}
	for i := range c.Issuers {
		issuer := &c.Issuers[i]
		for _, name := range facts.OwnSecrets(&issuer.Spec) {
			x.users[types.NamespacedName{Namespace: issuer.Namespace, Name: name}] = fmt.Sprintf("%s %q", cmv1.IssuerKind, issuer.Name)
		}
	}
	return x
}

// otherOwner is the name of another Certificate that has a better right to the Secret of
// a Certificate, "" without one.
func (j *judge) otherOwner(crt *cmv1.Certificate) string {
	key := types.NamespacedName{Namespace: crt.Namespace, Name: crt.Spec.SecretName}
	sharing := j.sharing[key]
	if len(sharing) < 2 {
		return ""
	}
	owner := certificate.SecretOwner(sharing, j.Secrets[key])
	if owner == crt.Name {
		return ""
	}
	return owner
}
