package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

const (
	// cacheSize is how many kinds and how many answers about users are remembered.
	cacheSize = 1024
	// absentTime is how long a kind that its group lacks is not looked for again.
	absentTime = 30 * time.Second
	// answerTime is how long the answer about a user counts.
	answerTime = time.Second
	// askTime is how long one question to the API server may take.
	askTime = 10 * time.Second
)

// askAgain is cert-manager's.
var askAgain = wait.Backoff{Duration: time.Second, Factor: 2, Steps: 2}

// permissions is an Approval.
type permissions struct {
	core kubernetes.Interface
	log  logr.Logger
	// again is when a question about a user that failed is asked again.
	again wait.Backoff
	// signers has each *Signer by its schema.GroupKind, absent has the kinds that
	// their groups lack, and answers has a bool by the hash of the question.
	signers         *lru.Cache
	absent, answers *cache.LRUExpireCache
}

func newPermissions(core kubernetes.Interface, clock clock.PassiveClock, log logr.Logger) *permissions {
	return &permissions{
		core: core, log: log, again: askAgain,
		signers: lru.New(cacheSize), absent: cache.NewLRUExpireCacheWithClock(cacheSize, clock), answers: cache.NewLRUExpireCacheWithClock(cacheSize, clock),
	}
}

// Signer implements Approval.
func (p *permissions) Signer(ctx context.Context, kind schema.GroupKind) (*Signer, error) {
	if known, ok := p.signers.Get(kind); ok {
		return known.(*Signer), nil
	}
	if _, ok := p.absent.Get(kind); ok {
		return nil, nil
	}
	// The group becomes a part of a path.
	if len(validation.IsDNS1123Subdomain(kind.Group)) > 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	group := metav1.APIGroup{}
	if found, err := p.discover(ctx, &group, kind.Group); !found {
		return nil, err
	}
	var failed error
	for _, version := range group.Versions {
		resources := metav1.APIResourceList{}
		if found, err := p.discover(ctx, &resources, kind.Group, version.Version); !found {
			failed = errors.Join(failed, err)
			continue
		}
		i := slices.IndexFunc(resources.APIResources, func(r metav1.APIResource) bool {
			return r.Kind == kind.Kind && !strings.Contains(r.Name, "/")
		})
		if i >= 0 {
			r := resources.APIResources[i]
			signer := &Signer{schema.GroupResource{Group: kind.Group, Resource: r.Name}, r.Namespaced}
			p.signers.Add(kind, signer)
			return signer, nil
		}
	}
	if failed == nil {
		p.absent.Add(kind, true, absentTime)
	}
	return nil, failed
}

// discover gets what the API server says about a group, or a version of it.
func (p *permissions) discover(ctx context.Context, into runtime.Object, path ...string) (found bool, err error) {
	err = p.core.Discovery().RESTClient().Get().AbsPath(append([]string{"/apis"}, path...)...).Do(ctx).Into(into)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// Allowed implements Approval.
func (p *permissions) Allowed(ctx context.Context, user authenticationv1.UserInfo, name string) bool {
	question := question(user, name)
	encoded, err := json.Marshal(question)
	if err != nil {
		p.log.Error(err, "Ask whether a user may approve: failed; the answer is no", "user", user.Username, "signer", name)
		return false
	}
	key := sha256.Sum256(encoded)
	if answer, ok := p.answers.Get(key); ok {
		return answer.(bool)
	}
	allowed, err := p.ask(ctx, question)
	if err != nil {
		p.log.Error(err, "Ask whether a user may approve: failed; the answer is no", "user", user.Username, "signer", name)
		return false
	}
	p.answers.Add(key, allowed, answerTime)
	return allowed
}

// question has no namespace: the permission is one of the whole cluster.
func question(user authenticationv1.UserInfo, name string) authorizationv1.SubjectAccessReviewSpec {
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for key, values := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	return authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "approve", Group: cmv1.GroupName, Version: "*", Resource: "signers", Name: name,
		},
	}
}

func (p *permissions) ask(ctx context.Context, question authorizationv1.SubjectAccessReviewSpec) (allowed bool, err error) {
	var last error
	err = wait.ExponentialBackoffWithContext(ctx, p.again, func(ctx context.Context) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		review := &authorizationv1.SubjectAccessReview{Spec: question}
		answer, err := p.core.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if last = err; err == nil {
			allowed = answer.Status.Allowed
			return true, nil
		}
		if !passes(err) {
			return false, err
		}
		return false, nil
	})
	if err != nil && last != nil {
		return false, last
	}
	return allowed, err
}

// passes reports whether an error of the API server may pass by itself.
func passes(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return true
	}
	code := status.Status().Code
	return code >= http.StatusInternalServerError || code == http.StatusTooManyRequests
}
