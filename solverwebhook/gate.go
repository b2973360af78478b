package solverwebhook

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
)

// gate lets requests through whose sender is known and allowed.
type gate struct {
	trust        *trust
	authenticate authenticator.Request
	client       kubernetes.Interface
	next         http.Handler
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if why := g.trust.ready(); why != "" {
		writeStatus(w, http.StatusServiceUnavailable, "the solver webhook is not ready: "+why)
		return
	}
	who, known, err := g.authenticate.AuthenticateRequest(r)
	if err != nil || !known {
		writeStatus(w, http.StatusUnauthorized, unauthenticated(r, err))
		return
	}
	asked := reviewOf(r, who.User)
	allowed, err := g.allowed(r.Context(), asked)
	switch {
	case err != nil:
		klog.ErrorS(err, "The API server does not say whether a request is allowed; bind the ClusterRole system:auth-delegator to the service account of this process", "user", who.User.GetName())
		writeStatus(w, http.StatusInternalServerError, fmt.Sprintf("the solver webhook cannot check whether %q may ask it: %v", who.User.GetName(), err))
	case !allowed:
		writeStatus(w, http.StatusForbidden, forbidden(asked))
	default:
		g.next.ServeHTTP(w, r)
	}
}

// unauthenticated says why it is not known who has sent a request.
func unauthenticated(r *http.Request, err error) string {
	switch {
	case err != nil:
		return fmt.Sprintf("the sender of the request is not known: %v", err)
	case r.TLS == nil || len(r.TLS.PeerCertificates) == 0:
		return "the request does not come through the API server: it has no certificate of its proxy"
	default:
		return "the request has a certificate, but no headers that say who asks"
	}
}

// allowed asks the API server whether somebody may do something. It does not ask for
// the API server's own group, which may do everything: so the APIService becomes
// available before the rights are given.
func (g *gate) allowed(ctx context.Context, asked authorizationv1.SubjectAccessReviewSpec) (bool, error) {
	if slices.Contains(asked.Groups, user.SystemPrivilegedGroup) {
		return true, nil
	}
	review, err := g.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: asked}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}

func forbidden(asked authorizationv1.SubjectAccessReviewSpec) string {
	if a := asked.ResourceAttributes; a != nil {
		return fmt.Sprintf("User %q cannot %s resource %q in API group %q", asked.User, a.Verb, a.Resource, a.Group)
	}
	return fmt.Sprintf("User %q cannot %s path %q", asked.User, asked.NonResourceAttributes.Verb, asked.NonResourceAttributes.Path)
}

// reviewOf is a request in the words of roles.
func reviewOf(r *http.Request, who user.Info) authorizationv1.SubjectAccessReviewSpec {
	asked := authorizationv1.SubjectAccessReviewSpec{User: who.GetName(), Groups: who.GetGroups(), UID: who.GetUID(), Extra: map[string]authorizationv1.ExtraValue{}}
	for key, values := range who.GetExtra() {
		asked.Extra[key] = values
	}
	parts := strings.SplitN(strings.Trim(r.URL.Path, "/"), "/", 5)
	if len(parts) < 4 || parts[0] != "apis" {
		asked.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: r.URL.Path, Verb: strings.ToLower(r.Method)}
		return asked
	}
	asked.ResourceAttributes = &authorizationv1.ResourceAttributes{Group: parts[1], Version: parts[2], Resource: parts[3], Verb: verbs[r.Method]}
	if len(parts) == 5 {
		asked.ResourceAttributes.Name = parts[4]
	}
	return asked
}

// verbs are the verbs of roles for the methods of HTTP.
var verbs = map[string]string{
	http.MethodPost: "create", http.MethodGet: "get", http.MethodHead: "get",
	http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
}
