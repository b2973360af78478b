// Package certificate reconciles Certificates: it loads what decides, asks
// package lifecycle/certificate what is needed, and carries that out.
package certificate

import (
	"context"
	"crypto"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// The field managers of a Certificate's writes.
const (
	managerIssuing  = facts.SecretManager
	managerKeys     = "cert-manager-certificates-key-manager"
	managerRequests = "cert-manager-certificates-request-manager"
)

// maxSteps bounds the steps of one reconcile. An issuance has seven.
const maxSteps = 16

// Config is how Certificates are treated.
type Config struct {
	Backoff plan.Backoff
	// OwnSecrets makes Certificates the owners of their Secrets
	// (--enable-certificate-owner-ref).
	OwnSecrets bool
	// CopiedAnnotations are the prefixes of --copied-annotation-prefixes.
	CopiedAnnotations []string
	Limits            pki.Limits
}

// Reconciler keeps Certificates issued.
type Reconciler struct {
	Config   Config
	Cache    client.Reader
	Live     client.Reader
	Secrets  *cluster.Secrets
	Issuers  *cluster.Issuers
	Approval *cluster.Approval
	Write    *cluster.Writer
	Events   *cluster.Events
	Keys     *pki.KeyPool
	Wait     *controller.Wait
	Clock    clock.PassiveClock

	mu       sync.Mutex
	sessions map[types.NamespacedName]*session
}

// session is what this process knows of an issuance and does not store: a
// private key on its way into a Secret.
type session struct {
	name types.NamespacedName
	uid  types.UID
	// keyName is the name of the Secret that the key has, or will get.
	keyName    string
	key        crypto.Signer
	born       time.Time
	generating bool
	// absent is when the API server said that there is no target Secret.
	absent time.Time
	// made is guarded by the Reconciler's lock; all else belongs to the one
	// reconcile of the object that runs.
	made *madeKey
}

type madeKey struct {
	key crypto.Signer
	err error
	at  time.Time
}

var _ reconcile.Reconciler = (*Reconciler)(nil)

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	owner := cluster.Owner{Kind: cluster.Certificate, NamespacedName: req.NamespacedName}
	if kind := r.Write.Behind(owner); kind != "" {
		logr.FromContextOrDiscard(ctx).V(5).Info("Waiting for a cache to show own writes", "kind", kind)
		return reconcile.Result{RequeueAfter: controller.StaleRetry}, nil
	}
	object := &cmv1.Certificate{}
	if err := r.Cache.Get(ctx, req.NamespacedName, object); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.NamespacedName)
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, err
	}
	if object.DeletionTimestamp != nil {
		r.forget(req.NamespacedName)
		return reconcile.Result{}, nil
	}
	w := &work{Reconciler: r, owner: owner, session: r.sessionOf(req.NamespacedName, object.UID)}
	if err := w.load(ctx, object); err != nil {
		return reconcile.Result{}, err
	}
	until, err := w.run(ctx)
	r.drop(w.session)
	return r.Wait.Finish(ctx, req.NamespacedName, until, err)
}

func (r *Reconciler) sessionOf(key types.NamespacedName, uid types.UID) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions == nil {
		r.sessions = map[types.NamespacedName]*session{}
	}
	s := r.sessions[key]
	if s == nil || s.uid != uid {
		s = &session{name: key, uid: uid}
		r.sessions[key] = s
	}
	return s
}

// drop forgets a session that holds nothing.
func (r *Reconciler) drop(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.key == nil && s.keyName == "" && !s.generating && s.made == nil {
		delete(r.sessions, s.name)
	}
}

func (r *Reconciler) forget(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, key)
	r.Wait.Forget(key)
}

// work is one reconcile of one Certificate.
type work struct {
	*Reconciler
	owner   cluster.Owner
	session *session
	state   core.State
	// fresh says that state.Object came from the API server, not from a cache.
	fresh bool
}

// load collects what decides.
func (w *work) load(ctx context.Context, object *cmv1.Certificate) error {
	w.state = core.State{
		Object: object, Backoff: w.Config.Backoff, OwnSecret: w.Config.OwnSecrets, Limits: w.Config.Limits,
	}
	err := w.takeKey()
	if err != nil {
		return err
	}
	if w.state.Secret, err = w.Secrets.Facts(ctx, object.Namespace, object.Spec.SecretName); err != nil {
		return err
	}
	if w.state.Secret == nil && object.Status.NotAfter != nil && object.Spec.SecretName != "" {
		// It was there. One whose label changes is in neither cache for a moment.
		if w.state.Secret, err = w.Secrets.LiveFacts(ctx, object.Namespace, object.Spec.SecretName); err != nil {
			return err
		}
	}
	if w.state.Requests, err = w.requests(ctx, object); err != nil {
		return err
	}
	for _, s := range w.Secrets.OwnedBy(object.UID) {
		if s.Labels[cmv1.IsNextPrivateKeySecretLabelKey] == "true" {
			w.state.Keys = append(w.state.Keys, s)
		}
	}
	if w.state.SecretOwnedBy, err = w.rival(ctx, object); err != nil {
		return err
	}
	if w.state.SignsInline, err = w.shortCut(ctx, object); err != nil {
		return err
	}
	w.remember()
	return nil
}

func (w *work) requests(ctx context.Context, object *cmv1.Certificate) ([]*cmv1.CertificateRequest, error) {
	list := &cmv1.CertificateRequestList{}
	if err := w.Cache.List(ctx, list, client.InNamespace(object.Namespace), cluster.ControlledBy(object)); err != nil {
		return nil, err
	}
	requests := make([]*cmv1.CertificateRequest, len(list.Items))
	for i := range list.Items {
		requests[i] = &list.Items[i]
	}
	return requests, nil
}

// rival is another Certificate that has a better right to spec.secretName.
func (w *work) rival(ctx context.Context, object *cmv1.Certificate) (string, error) {
	list := &cmv1.CertificateList{}
	err := w.Cache.List(ctx, list, client.InNamespace(object.Namespace),
		client.MatchingFields{cluster.IndexSecretName: object.Spec.SecretName})
	if err != nil || len(list.Items) < 2 {
		return "", err
	}
	owner := core.SecretOwner(list.Items, w.state.Secret)
	if owner == object.Name {
		return "", nil
	}
	return owner, nil
}

// shortCut reports whether the issuer signs in this process and needs no stored
// key, and whether its requests are ours to approve.
func (w *work) shortCut(ctx context.Context, object *cmv1.Certificate) (bool, error) {
	issuer, err := w.Issuers.Get(ctx, object.Namespace, object.Spec.IssuerRef)
	if err != nil || issuer == nil || issuer.GetSpec().CA == nil || !cluster.IssuerReady(issuer) {
		return false, err
	}
	may, err := w.Approval.May(ctx, object.Namespace, object.Spec.IssuerRef)
	if err != nil {
		logr.FromContextOrDiscard(ctx).V(4).Info("Storing the key, as it is unknown whether the request may be approved here", "error", err.Error())
	}
	return may && err == nil, nil
}

// remember tells the state of a key that is in memory only. One that the spec
// no longer wants is dropped.
func (w *work) remember() {
	w.state.Memory = nil
	if w.session.key != nil {
		if have, ok := pki.SpecOf(w.session.key.Public()); !ok || len(core.KeySpecOf(&w.state.Object.Spec).Mismatches(have)) > 0 {
			w.session.key = nil
		}
	}
	if len(w.state.Keys) == 0 && w.session.key != nil {
		w.state.Memory = &core.MemoryKey{
			Digest: pki.DigestOf(w.session.key.Public()), CreatedAt: w.session.born,
		}
	}
}

// run takes steps until there is nothing left but to wait.
func (w *work) run(ctx context.Context) (time.Time, error) {
	log := logr.FromContextOrDiscard(ctx)
	for range maxSteps {
		p := core.Next(w.state, w.Clock.Now())
		if !p.Issuing {
			w.session.key, w.session.keyName = nil, ""
		}
		if p.Persist == plan.Before || (p.Step == core.Wait && p.Persist == plan.AtEnd) {
			if err := w.storeStatus(ctx, p); err != nil {
				return time.Time{}, err
			}
		}
		if p.Step == core.Wait {
			return p.Until, nil
		}
		if controller.Stopping(ctx) {
			return time.Time{}, nil
		}
		if p.Step == core.GenerateKey && w.session.generating {
			// It has been announced; the key wakes the Certificate.
			return p.Until, nil
		}
		log.V(4).Info("Next step", "step", p.Step)
		done, err := w.carryOut(ctx, p)
		if err != nil {
			w.tellRefusal(p.Step, err)
			return time.Time{}, err
		}
		if p.Persist != plan.Before {
			w.Events.Send(w.state.Object, p.Events...)
		}
		if !done {
			return p.Until, nil
		}
	}
	return w.Clock.Now().Add(time.Second), nil
}

// storeStatus writes the status if it differs, and then sends the events that
// tell of the change.
func (w *work) storeStatus(ctx context.Context, plan core.Plan) error {
	if equality.Semantic.DeepEqual(w.state.Object.Status, plan.Status) {
		return nil
	}
	changed := w.state.Object.DeepCopy()
	changed.Status = plan.Status
	if err := w.Write.UpdateStatus(ctx, w.owner, cluster.Certificate, changed, managerIssuing); err != nil {
		return err
	}
	w.state.Object, w.fresh = changed, true
	w.Events.Send(changed, plan.Events...)
	return nil
}

// copied reports whether an annotation is copied from a Certificate to its
// request: by the last prefix that matches, "-" excluding and "*" matching all.
func copied(prefixes []string, key string) bool {
	take := false
	for _, p := range prefixes {
		exclude := strings.HasPrefix(p, "-")
		p = strings.TrimPrefix(p, "-")
		if p == "*" || strings.HasPrefix(key, p) {
			take = !exclude
		}
	}
	return take
}
