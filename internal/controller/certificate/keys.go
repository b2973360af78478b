package certificate

import (
	"context"
	"crypto"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/pki"
)

func (w *work) reuseKey(ctx context.Context, a core.ReuseKey) error {
	w.begun(a.Begins)
	key, err := w.readKey(ctx, w.State.Object.Spec.SecretName)
	if err != nil {
		return err
	}
	w.note().hold(key, w.Clock.Now())
	return nil
}

func (w *work) readKey(ctx context.Context, name string) (crypto.Signer, error) {
	secret, err := w.Secrets.Live(ctx, w.subject.Namespace, name)
	if err != nil {
		return nil, err
	}
	if secret == nil {
		return nil, cluster.ErrStale
	}
	return pki.ParseKey(secret.Data[corev1.TLSPrivateKeyKey], w.config.Limits)
}

// findKeys finds the Secrets with a next private key. One that has lost our label
// is in no cache of ours: those that the status and the request name are looked
// for by name.
func (w *work) findKeys(ctx context.Context) error {
	object := w.State.Object
	for _, s := range w.Secrets.OwnedBy(object) {
		if core.IsNextKey(object, s) {
			w.State.Keys = append(w.State.Keys, s)
		}
	}
	for _, name := range core.KeyNames(w.State) {
		if slices.ContainsFunc(w.State.Keys, func(k *facts.Secret) bool { return k.Name == name }) {
			continue
		}
		s, err := w.Secrets.Facts(ctx, object.Namespace, name)
		if err != nil {
			return err
		}
		if s != nil && core.IsNextKey(object, s) {
			w.State.Keys = append(w.State.Keys, s)
		}
	}
	return nil
}

// nextKeyName is the name of the Secret for the next private key, chosen before
// the Secret exists because the request names it.
func (w *work) nextKeyName() string {
	if w.note().keyName == "" {
		w.note().keyName = ptr.Deref(w.State.Object.Status.NextPrivateKeySecretName, "")
	}
	if w.note().keyName == "" {
		w.renameKey()
	}
	return w.note().keyName
}

// renameKey chooses another name.
func (w *work) renameKey() {
	w.note().keyName = facts.CutName(w.State.Object.Name, 247) + "-" + rand.String(5)
}

func (w *work) storeKey(ctx context.Context) error {
	key, _ := w.memory.held()
	encoded, err := pki.EncodeKey(key, pki.PKCS8)
	if err != nil {
		return err
	}
	if err := w.readable(encoded); err != nil {
		return err
	}
	stored, err := w.createKey(ctx, encoded)
	if err != nil {
		return err
	}
	w.State.Keys = []*facts.Secret{facts.OfSecret(stored, w.config.Limits)}
	return nil
}

// readable returns an error if a key that was made is larger than what is read.
func (w *work) readable(encoded []byte) error {
	if _, err := pki.ParseKey(encoded, w.config.Limits); err != nil {
		return fault.New(fault.Permanent, cmv1.EventReasonRequestFailed,
			"The private key that spec.privateKey asks for cannot be read back: %v; use a smaller key, or raise --max-private-key-size", err)
	}
	return nil
}

// createKey creates the Secret with the next private key. If there is one of the
// name, it is taken if it is such a Secret, and left alone otherwise.
func (w *work) createKey(ctx context.Context, encoded []byte) (*corev1.Secret, error) {
	for {
		name := w.nextKeyName()
		stored, err := w.Server.CreateSecret(ctx, w.subject, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: w.subject.Namespace, Name: name,
				Labels: map[string]string{
					cmv1.IsNextPrivateKeySecretLabelKey:      "true",
					cmv1.PartOfCertManagerControllerLabelKey: "true",
				},
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(w.State.Object, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind))},
			},
			Type: corev1.SecretTypeOpaque,
			Data: map[string][]byte{corev1.TLSPrivateKeyKey: encoded},
		}, core.ManagerKeys)
		if !apierrors.IsAlreadyExists(err) {
			if err == nil {
				w.note().count(w.State.Object.Generation, &w.note().keys)
			}
			return stored, err
		}
		live, err := w.Secrets.Live(ctx, w.subject.Namespace, name)
		if err != nil {
			return nil, err
		}
		if live != nil && core.IsNextKey(w.State.Object, facts.OfSecret(live, w.config.Limits)) {
			return live, nil
		}
		w.renameKey()
	}
}

func (w *work) deleteKeys(ctx context.Context, keys []*facts.Secret) error {
	for _, k := range keys {
		if err := w.Server.DeleteSecret(ctx, w.subject, k.Namespace, k.Name, k.UID); err != nil {
			return err
		}
		w.State.Keys = slices.DeleteFunc(slices.Clone(w.State.Keys), func(o *facts.Secret) bool { return o.Name == k.Name })
	}
	return nil
}
