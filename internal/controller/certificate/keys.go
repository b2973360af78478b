package certificate

import (
	"context"
	"crypto"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/facts"
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

// nextKeyName is the name of the Secret for the next private key, chosen before
// the Secret exists because the request names it.
func (w *work) nextKeyName() string {
	if name := w.State.Object.Status.NextPrivateKeySecretName; name != nil && *name != "" {
		return *name
	}
	if w.note().keyName == "" {
		base := w.State.Object.Name
		w.note().keyName = base[:min(len(base), 247)] + "-" + rand.String(5)
	}
	return w.note().keyName
}

func (w *work) storeKey(ctx context.Context) error {
	key, _, _ := w.memory.held()
	encoded, err := pki.EncodeKey(key, pki.PKCS8)
	if err != nil {
		return err
	}
	stored, err := w.Server.CreateSecret(ctx, w.subject, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.subject.Namespace, Name: w.nextKeyName(),
			Labels: map[string]string{
				cmv1.IsNextPrivateKeySecretLabelKey:      "true",
				cmv1.PartOfCertManagerControllerLabelKey: "true",
			},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(w.State.Object, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind))},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{corev1.TLSPrivateKeyKey: encoded},
	}, core.ManagerKeys)
	if err != nil {
		return err
	}
	w.State.Keys = []*facts.Secret{facts.OfSecret(stored, w.config.Limits)}
	return nil
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
