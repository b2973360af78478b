package certificate

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/pki"
)

// storeSecret writes the issued certificate and its key into the target Secret.
func (w *work) storeSecret(ctx context.Context, a core.StoreSecret) error {
	key, encoded, err := w.keyFor(ctx, a.Key)
	if err != nil {
		return err
	}
	answer, err := w.answer(ctx, a.Request)
	if err != nil {
		return err
	}
	chain, err := pki.ParseChain(answer.Chain, w.config.Limits)
	if err != nil {
		return err
	}
	if !pki.PublicKeysEqual(chain[0].PublicKey, key.Public()) {
		// The key in memory was replaced since the plan was made.
		return cluster.ErrStale
	}
	material := core.Material{Chain: answer.Chain, Key: encoded, CA: answer.CA}
	if err := w.replace(ctx, a.Absent, material, core.MetadataFor(w.State, pki.FactsOf(chain[0]), a.Request.IssuerRef)); err != nil {
		return err
	}
	w.rememberIssuances(w.State.Known(a.Request, w.Clock.Now()))
	return nil
}

// storeTemporary signs a certificate and writes it and its key into the target
// Secret.
func (w *work) storeTemporary(ctx context.Context, a core.StoreTemporary) error {
	key, encoded, err := w.keyFor(ctx, a.Key)
	if err != nil {
		return err
	}
	cert, err := pki.Temporary(core.TemplateOf(&w.State.Object.Spec), key, w.Clock.Now(), w.config.Limits)
	if err != nil {
		return err
	}
	chain, err := pki.ParseChain(cert, w.config.Limits)
	if err != nil {
		return err
	}
	w.note().count(w.State.Object.Generation, &w.note().temporaries)
	return w.replace(ctx, a.Absent, core.Material{Chain: cert, Key: encoded}, core.TemporaryMetadata(w.State, pki.FactsOf(chain[0])))
}

// keyFor is the next private key, taken from a Secret, or from memory if stored is
// nil, and as it is encoded in the target Secret.
func (w *work) keyFor(ctx context.Context, stored *facts.Secret) (key crypto.Signer, encoded []byte, err error) {
	if key, _ = w.memory.held(); stored != nil {
		if key, err = w.readKey(ctx, stored.Name); err != nil {
			return nil, nil, err
		}
	}
	if encoded, err = pki.EncodeKey(key, core.EncodingOf(&w.State.Object.Spec)); err != nil {
		return nil, nil, err
	}
	return key, encoded, w.readable(encoded)
}

// replace applies the target Secret as it is now, or creates it if it is absent.
func (w *work) replace(ctx context.Context, absent bool, material core.Material, meta core.SecretMetadata) error {
	var live *corev1.Secret
	if !absent {
		var err error
		if live, err = w.Secrets.Live(ctx, w.subject.Namespace, w.State.Object.Spec.SecretName); err != nil {
			return err
		}
	}
	if w.memory != nil {
		w.memory.absentAt = time.Time{}
	}
	return w.apply(ctx, live, material, nil, meta, false)
}

// answer is the certificate of a request, from the controller that has stored it
// or from the API server.
func (w *work) answer(ctx context.Context, r *facts.Request) (cluster.Answer, error) {
	answer, ok := w.Answers.Take(r.UID)
	if ok && sha256.Sum256(answer.Chain) == r.Answer.Digest {
		return answer, nil
	}
	live := &cmv1.CertificateRequest{}
	if err := w.Server.Live(ctx, types.NamespacedName{Namespace: r.Namespace, Name: r.Name}, live); err != nil {
		return answer, err
	}
	if sha256.Sum256(live.Status.Certificate) != r.Answer.Digest {
		return answer, cluster.ErrStale
	}
	return cluster.Answer{Chain: live.Status.Certificate, CA: live.Status.CA}, nil
}

// repair brings the target Secret up to date, with its certificate and its key.
func (w *work) repair(ctx context.Context, a core.RepairSecret) error {
	w.Applied = true
	logr.FromContextOrDiscard(ctx).V(2).Info("Repairing the Secret", "reason", a.Why.Reason, "message", a.Why.Message)
	live, err := w.asDecided(ctx)
	if err != nil {
		return err
	}
	material := w.State.Present(live.Data)
	if a.CA != nil {
		answer, err := w.answer(ctx, a.CA)
		if err != nil {
			return err
		}
		material.CA = answer.CA
	}
	return w.apply(ctx, live, material, live.Data, core.PresentMetadata(w.State), a.KeepLocked)
}

// asDecided is the target Secret as it was decided on.
func (w *work) asDecided(ctx context.Context) (*corev1.Secret, error) {
	live, err := w.Secrets.Live(ctx, w.subject.Namespace, w.State.Object.Spec.SecretName)
	if err != nil {
		return nil, err
	}
	if live == nil || live.ResourceVersion != w.State.Secret.ResourceVersion {
		return nil, cluster.ErrStale
	}
	return live, nil
}

// apply applies the target Secret. What others have put there stays; what this
// manager wrote before and no longer wants goes. Keystores among present stay if they
// fit, and those whose passwords cannot be had if keepLocked says so.
func (w *work) apply(ctx context.Context, live *corev1.Secret, material core.Material, present map[string][]byte, meta core.SecretMetadata, keepLocked bool) error {
	name := w.State.Object.Spec.SecretName
	passwords, locked, err := w.passwords(ctx)
	if err != nil {
		return err
	}
	if len(locked) > 0 && !keepLocked {
		return locked[0].Why
	}
	data, err := core.Data(&w.State.Object.Spec, material, passwords, present, w.config.Limits, w.Clock.Now())
	if err != nil {
		return err
	}
	// Only what we mean to own is in it: empty fields are not encoded.
	want := corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: w.subject.Namespace,
			Labels: meta.Labels, Annotations: meta.Annotations, OwnerReferences: meta.OwnerReferences,
		},
		Type: corev1.SecretTypeTLS,
		Data: data,
	}
	if live != nil {
		// The type of a Secret cannot be changed.
		want.Type = live.Type
		want.UID, want.ResourceVersion = live.UID, live.ResourceVersion
	}
	encoded, err := json.Marshal(want)
	if err != nil {
		return fmt.Errorf("encode Secret %s/%s: %w", w.subject.Namespace, name, err)
	}
	applied, err := w.Server.ApplySecret(ctx, w.subject, w.subject.Namespace, name, encoded, core.ManagerIssuing)
	if err != nil {
		return err
	}
	w.State.Secret = facts.OfSecret(applied, w.config.Limits)
	if len(passwords) > 0 || len(locked) > 0 {
		w.remember(w.State.StoredKeystores(passwords, locked))
	}
	return nil
}
