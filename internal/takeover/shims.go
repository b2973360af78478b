package takeover

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/shim"
	"github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
)

// gateways judges the objects of the Gateway API, which are served only with a flag.
func (j *judge) gateways() {
	byName := make(map[types.NamespacedName]*gwapi.Gateway, len(j.Gateways))
	for i := range j.Gateways {
		g := &j.Gateways[i]
		byName[types.NamespacedName{Namespace: g.Namespace, Name: g.Name}] = g
		if j.shimmed(shim.OfGateway(g), g, ", if it runs with --enable-gateway-api") {
			j.report.Gateways++
		}
	}
	for i := range j.ListenerSets {
		s := &j.ListenerSets[i]
		if j.shimmed(shim.OfListenerSet(s, byName[shim.ParentOf(s)]), s, ", if it runs with --enable-gateway-api-listenerset") {
			j.report.Gateways++
		}
	}
}

// shimmed judges an object that Certificates are made for, and reports whether it asks for
// any. condition is under what everleaf would write, "" for always.
func (j *judge) shimmed(object shim.Object, o metav1.Object, condition string) bool {
	wanted := shim.Want(object, j.settings.Shim)
	if !wanted.Asked {
		return false
	}
	if of, found := j.unservedType(object.Namespace, wanted.Issuer); wanted.Valid && found {
		j.find(object.Kind, o, Unserved, "it asks for certificates of %s %q, which %s",
			wanted.Issuer.WithDefaults().Kind, wanted.Issuer.Name, notHere(of))
		return true
	}
	state := shim.State{Object: object, Wanted: wanted, Certificates: j.certificatesOf(object, wanted), Memory: &shim.Memory{}}
	next := state.Next(j.now)
	if tell, ok := next.Do.(shim.Tell); ok {
		for _, event := range next.Events {
			j.find(object.Kind, o, Touched, "the Warning event %s says%s: %s", event.Reason, condition, event.Message)
		}
		state.Tell(tell)
		next = state.Next(j.now)
	}
	if next.Do != nil {
		j.find(object.Kind, o, Touched, "everleaf would %s%s", next.Do, condition)
	}
	return true
}

// certificatesOf are the Certificates that an object controls, and those that have a name
// that it wants.
func (j *judge) certificatesOf(object shim.Object, wanted shim.Wanted) []*cmv1.Certificate {
	found := slices.Clone(j.controlled[object.UID])
	for _, w := range wanted.Certificates {
		crt := j.named[types.NamespacedName{Namespace: object.Namespace, Name: w.Name}]
		if crt != nil && !slices.Contains(found, crt) {
			found = append(found, crt)
		}
	}
	return found
}

// signingRequest judges a CertificateSigningRequest of Kubernetes that has no answer.
func (j *judge) signingRequest(r *signingrequest.Object) {
	signer, ours := signingrequest.SignerOf(r.Spec.SignerName)
	if !ours || signingrequest.Ended(r) {
		return
	}
	j.report.SigningRequests++
	switch of, found := j.unservedType(signer.Namespace, signer.Ref()); {
	case found:
		j.find(signingrequest.Kind, r, Unserved, "%s %q %s: it is not signed", signer.Kind, signer.Name, notHere(of))
	case signingrequest.Approved(r):
		j.find(signingrequest.Kind, r, Touched, "it would be signed by %s %q, if everleaf runs with --feature-gates=ExperimentalCertificateSigningRequestControllers=true", signer.Kind, signer.Name)
	}
}
