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
	"golang.org/x/sync/semaphore"
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
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

const (
	// cacheSize is how many kinds and how many answers about users are remembered.
	cacheSize = 1024
	// absentTime is how long a group that is missing, and a kind that its group lacks, is
	// not looked for again.
	absentTime = 30 * time.Second
	// signerTime is how long a kind counts as it was found. Its CRD may be replaced by
	// one with another plural or scope.
	signerTime = 5 * time.Minute
	// answerTime is how long the answer about a user counts.
	answerTime = time.Second
	// askTime is how long one question to the API server may take.
	askTime = 10 * time.Second
	// askRate is how many questions a second the API server gets, askBurst how many at
	// once after a pause, and askAtOnce how many are under way. Everybody who reaches the
	// port can cause them: they are generous for a cluster, and bearable for its API
	// server.
	askRate   = 100
	askBurst  = 200
	askAtOnce = 50
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
	// their groups lack, and those without a name for the groups that are missing.
	// answers has a bool by the hash of the question.
	signers, absent, answers *cache.LRUExpireCache
	// calls bounds the questions that are under way.
	calls *semaphore.Weighted
}

// asker is the configuration of the client that asks the questions. It has limits of
// its own, so that they do not hold up the webhook's other calls.
func asker(rc *rest.Config) *rest.Config {
	rc = rest.CopyConfig(rc)
	rc.QPS, rc.Burst, rc.RateLimiter = askRate, askBurst, nil
	return rc
}

func newPermissions(core kubernetes.Interface, clock clock.PassiveClock, log logr.Logger) *permissions {
	remember := func() *cache.LRUExpireCache { return cache.NewLRUExpireCacheWithClock(cacheSize, clock) }
	return &permissions{
		core: core, log: log, again: askAgain, calls: semaphore.NewWeighted(askAtOnce),
		signers: remember(), absent: remember(), answers: remember(),
	}
}

// Signer implements Approval.
func (p *permissions) Signer(ctx context.Context, kind schema.GroupKind) (*Signer, error) {
	if known, ok := p.signers.Get(kind); ok {
		return known.(*Signer), nil
	}
	groupOnly := schema.GroupKind{Group: kind.Group}
	for _, key := range []schema.GroupKind{groupOnly, kind} {
		if _, ok := p.absent.Get(key); ok {
			return nil, nil
		}
	}
	// The group becomes a part of a path.
	if len(validation.IsDNS1123Subdomain(kind.Group)) > 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	group := metav1.APIGroup{}
	if found, err := p.discover(ctx, &group, kind.Group); !found {
		if err == nil {
			p.absent.Add(groupOnly, true, absentTime)
		}
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
			p.signers.Add(kind, signer, signerTime)
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
	if err := p.calls.Acquire(ctx, 1); err != nil {
		return false, err
	}
	defer p.calls.Release(1)
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
		p.log.Error(err, "Ask whether a user may approve: failed; the answer is no", "user", logged(user.Username), "signer", logged(name))
		return false
	}
	key := sha256.Sum256(encoded)
	if answer, ok := p.answers.Get(key); ok {
		return answer.(bool)
	}
	allowed, err := p.ask(ctx, question)
	if err != nil {
		p.log.Error(err, "Ask whether a user may approve: failed; the answer is no", "user", logged(user.Username), "signer", logged(name))
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
		if last = p.calls.Acquire(ctx, 1); last != nil {
			return false, nil
		}
		defer p.calls.Release(1)
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
