// Package facts holds what decisions know of objects that they do not decide
// about: Secrets, issuers and ACME accounts.
package facts

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
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
	// Digests are SHA-256 sums of the data, in the order of the keys.
	Digests []Digest
	// Key and KeyDigest describe the public key of tls.key; KeyError says why
	// it cannot be read.
	Key       pki.KeySpec
	KeyDigest pki.KeyDigest
	KeyError  string
	// Leaf is the first certificate of tls.crt; LeafError says why it cannot
	// be read.
	Leaf      *pki.LeafFacts
	LeafError string
	// BundleError says why ca.crt cannot be read, empty without one.
	BundleError string
	// IssuerNotAfter is until when the leaf's issuers in tls.crt and ca.crt are
	// valid, zero if there are none except the leaf itself.
	IssuerNotAfter time.Time
	// Unfit are the entries of additional output formats, of those that are there,
	// that do not follow from tls.key and tls.crt.
	Unfit []string
	// Managed are the fields that SecretManager owns.
	Managed ManagedFields
}

// Digest is the SHA-256 sum of one entry of a Secret's data.
type Digest struct {
	Key string
	Sum [sha256.Size]byte
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
		Namespace: Shared(s.Namespace), Name: s.Name, UID: s.UID, ResourceVersion: s.ResourceVersion,
		CreationTimestamp: s.CreationTimestamp.Time,
		Type:              Shared(s.Type), Labels: sharedMap(s.Labels), Annotations: sharedKeys(withoutData(s.Annotations)),
		OwnerReferences: s.OwnerReferences,
		Managed:         managedBy(s.ManagedFields),
	}
	if owner := metav1.GetControllerOf(s); owner != nil {
		f.Owner = owner.UID
	}
	for _, k := range slices.Sorted(maps.Keys(s.Data)) {
		f.Digests = append(f.Digests, Digest{Key: Shared(k), Sum: sha256.Sum256(s.Data[k])})
	}
	f.readKey(s.Data[corev1.TLSPrivateKeyKey], limits)
	f.readChain(s.Data[corev1.TLSCertKey], s.Data[cmmeta.TLSCAKey], limits)
	f.readFormats(s.Data)
	return f
}

// readFormats compares the entries of additional output formats with the key and the
// certificate.
func (f *Secret) readFormats(data map[string][]byte) {
	key, chain := data[corev1.TLSPrivateKeyKey], data[corev1.TLSCertKey]
	if have, ok := data[cmv1.CertificateOutputFormatDERKey]; ok {
		if block, _ := pem.Decode(key); block == nil || !bytes.Equal(have, block.Bytes) {
			f.Unfit = append(f.Unfit, cmv1.CertificateOutputFormatDERKey)
		}
	}
	if have, ok := data[cmv1.CertificateOutputFormatCombinedPEMKey]; ok {
		rest, ok := bytes.CutPrefix(have, key)
		if line, ends := bytes.CutPrefix(rest, []byte("\n")); !ok || !ends || !bytes.Equal(line, chain) {
			f.Unfit = append(f.Unfit, cmv1.CertificateOutputFormatCombinedPEMKey)
		}
	}
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

func (f *Secret) readChain(data, bundle []byte, limits pki.Limits) {
	var roots []authority
	if len(bundle) > 0 {
		// A bundle that cannot be read names no issuer.
		roots, f.BundleError = bundles.of(bundle, limits)
	}
	if len(data) == 0 {
		return
	}
	var c chain
	if c, f.LeafError = chains.of(data, limits); f.LeafError != "" {
		return
	}
	// A pointer into the chain would keep all of it.
	leaf := c.leaf
	f.Leaf = &leaf
	f.IssuerNotAfter = signedUntil(c.signed, slices.Concat(c.issuers, roots))
}

// signedUntil is until when the issuers of a certificate, theirs and so on are
// valid, zero without an issuer. Of several certificates of one issuer, the one
// that is valid longest counts. What has signed none of them does not count. Nor
// does, except for the first issuer, a certificate whose own issuer is not here
// either: that of a root that another CA has signed as well, a way that clients
// need not go.
func signedUntil(leaf authority, others []authority) time.Time {
	var until time.Time
	left := slices.DeleteFunc(slices.Clone(others), func(a authority) bool { return a.digest == leaf.digest })
	for level := []authority{leaf}; len(level) > 0; {
		var next []authority
		var end time.Time
		first := until.IsZero()
		left = slices.DeleteFunc(left, func(a authority) bool {
			if !slices.ContainsFunc(level, a.issued) {
				return false
			}
			root := a.selfSigned()
			if !root {
				next = append(next, a)
			}
			known := root || slices.ContainsFunc(others, func(o authority) bool { return o.issued(a) })
			if (first || known) && a.notAfter.After(end) {
				end = a.notAfter
			}
			return true
		})
		if !end.IsZero() && (first || end.Before(until)) {
			until = end
		}
		level = next
	}
	return until
}

// IssuedBy reports whether the annotations say that an issuer has issued what is in the
// Secret.
func (f *Secret) IssuedBy(issuer cmmeta.IssuerReference) bool {
	name, known := f.Annotations[cmv1.IssuerNameAnnotationKey]
	was := cmmeta.IssuerReference{
		Name: name, Kind: f.Annotations[cmv1.IssuerKindAnnotationKey], Group: f.Annotations[cmv1.IssuerGroupAnnotationKey],
	}
	return known && was.Equal(issuer)
}

// Has reports whether a data key has content.
func (f *Secret) Has(key string) bool {
	sum, ok := f.Digest(key)
	return ok && sum != sha256.Sum256(nil)
}

// Digest returns the SHA-256 sum of an entry, and whether there is one.
func (f *Secret) Digest(key string) (sum [sha256.Size]byte, ok bool) {
	for _, d := range f.Digests {
		if d.Key == key {
			return d.Sum, true
		}
	}
	return sum, false
}

// fields is the part of fieldsV1 that says which keys a manager owns:
// {"f:data":{"f:tls.crt":{}},"f:metadata":{"f:labels":{...}}}. An owner
// reference has its key in JSON as its name, after "k:".
type fields struct {
	Data     set `json:"f:data"`
	Metadata struct {
		Labels          set `json:"f:labels"`
		Annotations     set `json:"f:annotations"`
		OwnerReferences set `json:"f:ownerReferences"`
	} `json:"f:metadata"`
}

type set map[string]struct{}

// managedBy reads which keys SecretManager owns by Apply.
func managedBy(entries []metav1.ManagedFieldsEntry) ManagedFields {
	for _, e := range entries {
		if e.Manager != SecretManager || e.Operation != metav1.ManagedFieldsOperationApply || e.FieldsV1 == nil {
			continue
		}
		var f fields
		if err := json.Unmarshal(e.FieldsV1.GetRawBytes(), &f); err != nil {
			return ManagedFields{}
		}
		m := ManagedFields{
			Data: sharedList(f.Data.names("f:")), Labels: sharedList(f.Metadata.Labels.names("f:")),
			Annotations: sharedList(f.Metadata.Annotations.names("f:")),
		}
		for _, key := range f.Metadata.OwnerReferences.names("k:") {
			var owner struct{ UID types.UID }
			if json.Unmarshal([]byte(key), &owner) == nil {
				m.Owners = append(m.Owners, owner.UID)
			}
		}
		return m
	}
	return ManagedFields{}
}

// names are the names of a set that have a prefix, without it, sorted.
func (s set) names(prefix string) []string {
	names := make([]string, 0, len(s))
	for k := range s {
		if name, ok := strings.CutPrefix(k, prefix); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
