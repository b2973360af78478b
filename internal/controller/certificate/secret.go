package certificate

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/pki"
)

// storeSecret writes the issued certificate and its key into the target Secret.
func (w *work) storeSecret(ctx context.Context, plan core.Plan) error {
	request := plan.Requests[0]
	key := w.session.key
	if len(plan.Keys) == 1 {
		stored, err := w.readKey(ctx, plan.Keys[0].Name)
		if err != nil {
			return err
		}
		key = stored
	}
	encoded, err := pki.EncodeKey(key, core.EncodingOf(&w.state.Object.Spec))
	if err != nil {
		return err
	}
	chain, err := pki.ParseChain(request.Status.Certificate, w.Config.Limits)
	if err != nil {
		return err
	}
	data := map[string][]byte{
		corev1.TLSCertKey:       request.Status.Certificate,
		corev1.TLSPrivateKeyKey: encoded,
	}
	if len(request.Status.CA) > 0 {
		data[cmmeta.TLSCAKey] = request.Status.CA
	}
	live, err := w.target(ctx)
	if err != nil {
		return err
	}
	return w.apply(ctx, live, data, core.MetadataFor(w.state, pki.FactsOf(chain[0]), request.Spec.IssuerRef))
}

// absentFor is how long a Secret counts as missing that the API server has said
// to be missing, as long as a key may be in memory only.
const absentFor = 2 * time.Second

// target is the target Secret, nil if there is none. An issuance that takes a
// moment need not look twice: whatever somebody else puts there meanwhile, the
// certificate and its key replace, and a Secret of another type is refused by
// the API server.
func (w *work) target(ctx context.Context) (*corev1.Secret, error) {
	missing := w.session.absent
	w.session.absent = time.Time{}
	if w.state.Secret == nil && !missing.IsZero() && w.Clock.Since(missing) < absentFor {
		return nil, nil
	}
	return w.Secrets.Live(ctx, w.owner.Namespace, w.state.Object.Spec.SecretName)
}

// applyMetadata brings labels, annotations and owner of the target Secret up to
// date; its data stay as they are.
func (w *work) applyMetadata(ctx context.Context) error {
	if err := w.confirm(ctx); err != nil {
		return err
	}
	live, err := w.Secrets.Live(ctx, w.owner.Namespace, w.state.Object.Spec.SecretName)
	if err != nil {
		return err
	}
	if live == nil || live.ResourceVersion != w.state.Secret.ResourceVersion {
		return cluster.ErrStale
	}
	data := map[string][]byte{}
	for _, k := range append([]string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey}, w.state.Secret.Managed.Data...) {
		if v, ok := live.Data[k]; ok {
			data[k] = v
		}
	}
	return w.apply(ctx, live, data, core.PresentMetadata(w.state))
}

// apply applies the target Secret. What others have put there stays; what this
// manager wrote before and no longer wants goes.
func (w *work) apply(ctx context.Context, live *corev1.Secret, data map[string][]byte, meta core.SecretMetadata) error {
	name := w.state.Object.Spec.SecretName
	want := secretApply{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		Metadata: metadataApply{
			Name: name, Namespace: w.owner.Namespace,
			Labels: meta.Labels, Annotations: meta.Annotations, OwnerReferences: meta.OwnerReferences,
		},
		Type: corev1.SecretTypeTLS,
		Data: data,
	}
	if live != nil {
		// The type of a Secret cannot be changed.
		want.Type = live.Type
		want.Metadata.UID, want.Metadata.ResourceVersion = string(live.UID), live.ResourceVersion
	}
	encoded, err := json.Marshal(want)
	if err != nil {
		return fmt.Errorf("encode Secret %s/%s: %w", w.owner.Namespace, name, err)
	}
	applied, err := w.Write.ApplySecret(ctx, w.owner, w.owner.Namespace, name, encoded, managerIssuing)
	if err != nil {
		return err
	}
	w.state.Secret = facts.OfSecret(applied, w.Config.Limits)
	return nil
}

// secretApply is a Secret as it is applied: just what we mean to own.
type secretApply struct {
	metav1.TypeMeta `json:",inline"`

	Metadata metadataApply     `json:"metadata"`
	Type     corev1.SecretType `json:"type"`
	Data     map[string][]byte `json:"data"`
}

type metadataApply struct {
	Name            string                  `json:"name"`
	Namespace       string                  `json:"namespace"`
	UID             string                  `json:"uid,omitempty"`
	ResourceVersion string                  `json:"resourceVersion,omitempty"`
	Labels          map[string]string       `json:"labels,omitempty"`
	Annotations     map[string]string       `json:"annotations,omitempty"`
	OwnerReferences []metav1.OwnerReference `json:"ownerReferences,omitempty"`
}
