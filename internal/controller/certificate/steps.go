package certificate

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/pki"
)

// carryOut takes the plan's step and brings the state up to date. The result is
// whether to go on at once; if not, an event brings the reconcile back.
func (w *work) carryOut(ctx context.Context, plan core.Plan) (bool, error) {
	switch plan.Step {
	case core.GenerateKey:
		return w.generateKey(ctx)
	case core.ReuseKey:
		return true, w.reuseKey(ctx)
	case core.StoreKey:
		return true, w.storeKey(ctx)
	case core.DeleteKeys:
		return true, w.deleteKeys(ctx, plan.Keys)
	case core.DeleteRequests:
		return true, w.deleteRequests(ctx, plan.Requests)
	case core.CreateRequest:
		return true, w.createRequest(ctx, plan)
	case core.StoreSecret:
		return true, w.storeSecret(ctx, plan)
	case core.ApplySecret:
		// Its own event goes on from here. If something else puts the metadata
		// back, there is no event, and no fight.
		return false, w.applyMetadata(ctx)
	default:
		return false, fmt.Errorf("unknown step %q", plan.Step)
	}
}

// confirm looks at the Certificate live, once per reconcile, before something
// that costs.
func (w *work) confirm(ctx context.Context) error {
	if w.fresh {
		return nil
	}
	live := &cmv1.Certificate{}
	if err := w.Live.Get(ctx, w.owner.NamespacedName, live); err != nil {
		return err
	}
	if live.UID != w.state.Object.UID || live.ResourceVersion != w.state.Object.ResourceVersion {
		return cluster.ErrStale
	}
	w.fresh = true
	return nil
}

// confirmUnlessAbsent is confirm, but where a missing Secret is the cause and the
// issuer signs at once: then the live look at the Secret is what counts. Of a
// Certificate that the cache has older than it is, the name of the request shows
// it: it is taken.
func (w *work) confirmUnlessAbsent(ctx context.Context) error {
	if w.state.SignsInline && w.state.Secret == nil && len(w.state.Keys) == 0 {
		return nil
	}
	return w.confirm(ctx)
}

// confirmSecret looks at the target Secret live.
func (w *work) confirmSecret(ctx context.Context) error {
	live, err := w.Secrets.LiveFacts(ctx, w.owner.Namespace, w.state.Object.Spec.SecretName)
	if err != nil {
		return err
	}
	was, is := "", ""
	if w.state.Secret != nil {
		was = w.state.Secret.ResourceVersion
	}
	if live != nil {
		is = live.ResourceVersion
	}
	if was != is {
		return cluster.ErrStale
	}
	w.session.absent = time.Time{}
	if live == nil {
		w.session.absent = w.Clock.Now()
	}
	return nil
}

// generateKey makes a key. RSA takes a core a tenth of a second or more, so it
// is made beside the workers.
func (w *work) generateKey(ctx context.Context) (bool, error) {
	if err := w.confirmUnlessAbsent(ctx); err != nil {
		return false, err
	}
	if w.state.Object.Spec.SecretName == "" {
		return true, w.cannotRequest(ctx, errors.New("spec.secretName is missing"))
	}
	spec := core.KeySpecOf(&w.state.Object.Spec)
	if err := spec.Validate(); err != nil {
		return true, w.cannotRequest(ctx, err)
	}
	if err := w.confirmSecret(ctx); err != nil {
		return false, err
	}
	if spec.Algorithm == pki.RSA {
		w.session.generating = true
		go w.generateAside(context.WithoutCancel(ctx), w.session, spec)
		return false, nil
	}
	key, err := w.Keys.Generate(ctx, spec)
	if err != nil {
		return false, err
	}
	w.hold(key)
	return true, nil
}

func (r *Reconciler) generateAside(ctx context.Context, s *session, spec pki.KeySpec) {
	key, err := r.Keys.Generate(ctx, spec)
	r.mu.Lock()
	s.made = &madeKey{key: key, err: err, at: r.Clock.Now()}
	r.mu.Unlock()
	r.Wait.Wake(s.name)
}

// takeKey picks up a key that was made aside.
func (w *work) takeKey() error {
	w.mu.Lock()
	made := w.session.made
	w.session.made = nil
	w.mu.Unlock()
	if made == nil {
		return nil
	}
	w.session.generating = false
	w.session.key, w.session.born = made.key, made.at
	return made.err
}

func (w *work) hold(key crypto.Signer) {
	w.session.key, w.session.born = key, w.Clock.Now()
	w.remember()
}

func (w *work) reuseKey(ctx context.Context) error {
	if err := w.confirm(ctx); err != nil {
		return err
	}
	if err := w.confirmSecret(ctx); err != nil {
		return err
	}
	key, err := w.readKey(ctx, w.state.Object.Spec.SecretName)
	if err != nil {
		return err
	}
	w.hold(key)
	return nil
}

func (w *work) readKey(ctx context.Context, name string) (crypto.Signer, error) {
	secret, err := w.Secrets.Live(ctx, w.owner.Namespace, name)
	if err != nil {
		return nil, err
	}
	if secret == nil {
		return nil, cluster.ErrStale
	}
	return pki.ParseKey(secret.Data[corev1.TLSPrivateKeyKey], w.Config.Limits)
}

// nextKeyName is the name of the Secret for the next private key, chosen before
// the Secret exists because the request names it.
func (w *work) nextKeyName() string {
	if name := w.state.Object.Status.NextPrivateKeySecretName; name != nil && *name != "" {
		return *name
	}
	if w.session.keyName == "" {
		base := w.state.Object.Name
		w.session.keyName = base[:min(len(base), 247)] + "-" + rand.String(5)
	}
	return w.session.keyName
}

func (w *work) storeKey(ctx context.Context) error {
	if err := w.confirm(ctx); err != nil {
		return err
	}
	encoded, err := pki.EncodeKey(w.session.key, pki.PKCS8)
	if err != nil {
		return err
	}
	stored, err := w.Write.CreateSecret(ctx, w.owner, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.owner.Namespace, Name: w.nextKeyName(),
			Labels: map[string]string{
				cmv1.IsNextPrivateKeySecretLabelKey:      "true",
				cmv1.PartOfCertManagerControllerLabelKey: "true",
			},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(w.state.Object, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind))},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{corev1.TLSPrivateKeyKey: encoded},
	}, managerKeys)
	if err != nil {
		return err
	}
	w.state.Keys = []*facts.Secret{facts.OfSecret(stored, w.Config.Limits)}
	w.remember()
	return nil
}

func (w *work) deleteKeys(ctx context.Context, keys []*facts.Secret) error {
	if err := w.confirm(ctx); err != nil {
		return err
	}
	gone := map[string]bool{}
	for _, k := range keys {
		if err := w.Write.DeleteSecret(ctx, w.owner, k.Namespace, k.Name, k.UID); err != nil {
			return err
		}
		gone[k.Name] = true
	}
	var left []*facts.Secret
	for _, k := range w.state.Keys {
		if !gone[k.Name] {
			left = append(left, k)
		}
	}
	w.state.Keys = left
	w.remember()
	return nil
}
