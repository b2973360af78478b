// Package facts holds what decisions know of objects that they do not decide
// about: Secrets, issuers and ACME accounts.
package facts

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

// SecretManager is the field manager that owns what we write into an issued
// Secret, and through which a later owner recognises it.
const SecretManager = "cert-manager-certificates-issuing"

// Secret is what decisions need to know of a Secret. It never holds a
// private key, and cannot be written back by mistake.
type Secret struct {
	Namespace, Name   string
	UID               types.UID
	ResourceVersion   string
	CreationTimestamp time.Time
	Type              corev1.SecretType
	Labels            map[string]string
	Annotations       map[string]string
	// Owner is the controller's UID, empty without one.
	Owner types.UID
	// OwnerReferences of any kind.
	OwnerReferences []metav1.OwnerReference
	// Digests are SHA-256 sums by data key.
	Digests map[string][sha256.Size]byte
	// Key and KeyDigest describe the public key of tls.key; KeyError says why
	// it cannot be read.
	Key       pki.KeySpec
	KeyDigest pki.KeyDigest
	KeyError  string
	// Leaf is the first certificate of tls.crt; LeafError says why it cannot
	// be read.
	Leaf      *pki.LeafFacts
	LeafError string
	// IssuerNotAfter is the earliest end of the issuers' certificates in
	// tls.crt and ca.crt, zero if there are none but the leaf itself.
	IssuerNotAfter time.Time
	// Managed are the fields that SecretManager owns.
	Managed ManagedFields
}

// ManagedFields are the keys that a field manager owns.
type ManagedFields struct {
	Labels, Annotations, Data []string
	// Owners are the UIDs of owner references.
	Owners []types.UID
}

// OfSecret derives the facts of a Secret.
func OfSecret(s *corev1.Secret, limits pki.Limits) *Secret {
	f := &Secret{
		Namespace: s.Namespace, Name: s.Name, UID: s.UID, ResourceVersion: s.ResourceVersion,
		CreationTimestamp: s.CreationTimestamp.Time,
		Type:              s.Type, Labels: s.Labels, Annotations: withoutData(s.Annotations),
		OwnerReferences: s.OwnerReferences,
		Digests:         make(map[string][sha256.Size]byte, len(s.Data)),
		Managed:         managedBy(s.ManagedFields),
	}
	if owner := metav1.GetControllerOf(s); owner != nil {
		f.Owner = owner.UID
	}
	for k, v := range s.Data {
		f.Digests[k] = sha256.Sum256(v)
	}
	f.readKey(s.Data[corev1.TLSPrivateKeyKey], limits)
	f.readChain(s.Data[corev1.TLSCertKey], limits)
	if issuers, err := pki.ParseBundle(s.Data[cmmeta.TLSCAKey], limits); err == nil {
		f.issuedBy(issuers)
	}
	return f
}

// withoutData leaves out what kubectl apply keeps beside a Secret: all of its
// data, the private key too.
func withoutData(annotations map[string]string) map[string]string {
	if _, ok := annotations[corev1.LastAppliedConfigAnnotation]; !ok {
		return annotations
	}
	kept := maps.Clone(annotations)
	delete(kept, corev1.LastAppliedConfigAnnotation)
	return kept
}

func (f *Secret) readKey(data []byte, limits pki.Limits) {
	if len(data) == 0 {
		return
	}
	key, err := pki.ParseKey(data, limits)
	if err != nil {
		f.KeyError = err.Error()
		return
	}
	f.Key, _ = pki.SpecOf(key.Public())
	f.KeyDigest = pki.DigestOf(key.Public())
}

func (f *Secret) readChain(data []byte, limits pki.Limits) {
	if len(data) == 0 {
		return
	}
	chain, err := pki.ParseChain(data, limits)
	if err != nil {
		f.LeafError = err.Error()
		return
	}
	leaf := pki.FactsOf(chain[0])
	f.Leaf = &leaf
	f.issuedBy(chain[1:])
}

func (f *Secret) issuedBy(issuers []*x509.Certificate) {
	for _, issuer := range issuers {
		if f.Leaf != nil && sha256.Sum256(issuer.Raw) == f.Leaf.Digest {
			continue
		}
		end := issuer.NotAfter
		if f.IssuerNotAfter.IsZero() || (!end.IsZero() && end.Before(f.IssuerNotAfter)) {
			f.IssuerNotAfter = end
		}
	}
}

// Has reports whether a data key has content.
func (f *Secret) Has(key string) bool {
	sum, ok := f.Digests[key]
	return ok && sum != sha256.Sum256(nil)
}

// managedBy reads which keys SecretManager owns by Apply. The paths are those
// of fieldsV1: {"f:data":{"f:tls.crt":{}},"f:metadata":{"f:labels":{...}}}.
func managedBy(entries []metav1.ManagedFieldsEntry) ManagedFields {
	var m ManagedFields
	for _, e := range entries {
		if e.Manager != SecretManager || e.Operation != metav1.ManagedFieldsOperationApply || e.FieldsV1 == nil {
			continue
		}
		m.Data = append(m.Data, fieldKeys(e.FieldsV1, "f:", "f:data")...)
		m.Labels = append(m.Labels, fieldKeys(e.FieldsV1, "f:", "f:metadata", "f:labels")...)
		m.Annotations = append(m.Annotations, fieldKeys(e.FieldsV1, "f:", "f:metadata", "f:annotations")...)
		for _, key := range fieldKeys(e.FieldsV1, "k:", "f:metadata", "f:ownerReferences") {
			var owner struct{ UID types.UID }
			if json.Unmarshal([]byte(key), &owner) == nil {
				m.Owners = append(m.Owners, owner.UID)
			}
		}
	}
	return m
}

// fieldKeys are the names at a path of fieldsV1 that have a prefix, without it:
// "f:" is a field, "k:" the keys of an item in JSON.
func fieldKeys(fields *metav1.FieldsV1, prefix string, path ...string) []string {
	level := map[string]any{}
	if err := json.Unmarshal(fields.GetRawBytes(), &level); err != nil {
		return nil
	}
	for _, p := range path {
		next, ok := level[p].(map[string]any)
		if !ok {
			return nil
		}
		level = next
	}
	var keys []string
	for k := range maps.Keys(level) {
		if name, ok := strings.CutPrefix(k, prefix); ok {
			keys = append(keys, name)
		}
	}
	slices.Sort(keys)
	return keys
}
