package cluster

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// Identity is who this process is to the API server. A CertificateRequest that
// names its requester already needs no mutation at admission, which costs the
// API server more than the comparison does.
type Identity struct {
	core  kubernetes.Interface
	clock clock.PassiveClock

	// mu is not held while the API server is asked.
	mu   sync.Mutex
	user *authenticationv1.UserInfo
	// asking reports that a caller is asking the API server.
	asking bool
	// notBefore is when the API server may be asked again after an error.
	notBefore time.Time
	// unknown reports that the API server does not answer the question.
	unknown bool
}

// identityRetry is the wait before the API server is asked again for the
// identity after an error. Requests can be created without the identity.
const identityRetry = time.Minute

// NewIdentity returns an Identity.
func NewIdentity(core kubernetes.Interface, c clock.PassiveClock) *Identity {
	return &Identity{core: core, clock: c}
}

// Sign writes the identity into a request before it is created. Without an
// answer from the API server, and while another caller waits for the answer, it
// leaves the request as it is.
func (i *Identity) Sign(ctx context.Context, spec *cmv1.CertificateRequestSpec) {
	user := i.get(ctx)
	if user == nil {
		return
	}
	spec.Username, spec.UID, spec.Groups = user.Username, user.UID, slices.Clone(user.Groups)
	spec.Extra = nil
	if len(user.Extra) > 0 {
		spec.Extra = make(map[string][]string, len(user.Extra))
		for k, v := range user.Extra {
			spec.Extra[k] = slices.Clone(v)
		}
	}
}

// Check compares the identity with a request that the API server has created,
// and forgets the identity if it has changed: a token was replaced.
func (i *Identity) Check(spec *cmv1.CertificateRequestSpec) {
	i.mu.Lock()
	defer i.mu.Unlock()
	u := i.user
	if u == nil || spec.Username == u.Username && spec.UID == u.UID && slices.Equal(spec.Groups, u.Groups) &&
		maps.EqualFunc(spec.Extra, u.Extra, func(a []string, b authenticationv1.ExtraValue) bool { return slices.Equal(a, b) }) {
		return
	}
	i.user = nil
}

// Refused forgets the identity if the API server has refused to create a request
// with an error that an outdated identity can cause.
func (i *Identity) Refused(err error) {
	if refused := apierrors.IsForbidden(err) || apierrors.IsInvalid(err); !refused || Terminating(err) {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.user = nil
}

// get returns the identity, nil if it is not known and cannot be asked for now.
func (i *Identity) get(ctx context.Context) *authenticationv1.UserInfo {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.user != nil || i.unknown || i.asking || i.clock.Now().Before(i.notBefore) {
		return i.user
	}
	i.asking = true
	review, err := i.ask(ctx)
	i.asking = false
	if err != nil {
		i.notBefore = i.clock.Now().Add(identityRetry)
		i.unknown = apierrors.IsNotFound(err) || apierrors.IsForbidden(err)
		return nil
	}
	i.user = &review.Status.UserInfo
	return i.user
}

// ask asks the API server, without the lock that it is called with.
func (i *Identity) ask(ctx context.Context) (*authenticationv1.SelfSubjectReview, error) {
	i.mu.Unlock()
	defer i.mu.Lock()
	return i.core.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
}
