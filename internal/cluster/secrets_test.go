package cluster

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/metadata"
	metadatafake "k8s.io/client-go/metadata/fake"
	"k8s.io/client-go/tools/cache"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func keyPEM(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	encoded, err := pki.EncodeKey(key, pki.PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// contents are all bytes and strings that can be reached from a value.
func contents(v reflect.Value, seen map[uintptr]bool, found *[][]byte) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || seen[v.Pointer()] {
			return
		}
		seen[v.Pointer()] = true
		contents(v.Elem(), seen, found)
	case reflect.Interface:
		if !v.IsNil() {
			contents(v.Elem(), seen, found)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			contents(v.Field(i), seen, found)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			contents(k, seen, found)
			contents(v.MapIndex(k), seen, found)
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			all := make([]byte, v.Len())
			for i := range all {
				all[i] = byte(v.Index(i).Uint())
			}
			*found = append(*found, all)
			return
		}
		for i := range v.Len() {
			contents(v.Index(i), seen, found)
		}
	case reflect.String:
		*found = append(*found, []byte(v.String()))
	}
}

func TestReduceKeepsNoSecretData(t *testing.T) {
	key := newKey(t)
	private := keyPEM(t, key)
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Split(string(private), "\n")[1:4], ""))
	if err != nil {
		t.Fatal(err)
	}
	applied, err := json.Marshal(map[string]any{"data": map[string][]byte{"tls.key": private}})
	if err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "tls", UID: "u", ResourceVersion: "7",
			Labels: map[string]string{cmv1.PartOfCertManagerControllerLabelKey: "true"},
			Annotations: map[string]string{
				corev1.LastAppliedConfigAnnotation: string(applied), cmv1.CertificateNameKey: "one",
			},
		},
		Data: map[string][]byte{"tls.key": private, "tls.crt": []byte("no certificate"), "password": []byte("correct horse battery")},
	}
	kept, err := new(Secrets).reduce(secret)
	if err != nil {
		t.Fatal(err)
	}
	f := kept.(*cachedSecret).facts
	if f.KeyDigest != pki.DigestOf(key.Public()) || f.Annotations[cmv1.CertificateNameKey] != "one" || f.ResourceVersion != "7" {
		t.Errorf("facts are missing: %+v", f)
	}
	if secret.Annotations[corev1.LastAppliedConfigAnnotation] == "" {
		t.Error("the Secret itself was changed")
	}
	var found [][]byte
	contents(reflect.ValueOf(kept), map[uintptr]bool{}, &found)
	if len(found) < 10 {
		t.Fatalf("looked at %d values only", len(found))
	}
	// The scalar of a P-256 key is in the middle of its PKCS #8.
	forbidden := map[string][]byte{
		"PEM": private[30:60], "DER": der[40:56], "base64 of PEM": []byte(base64.StdEncoding.EncodeToString(private)[32:64]),
		"password": []byte("correct horse"), "certificate": []byte("no certificate"),
	}
	for _, value := range found {
		for what, secret := range forbidden {
			if bytes.Contains(value, secret) {
				t.Errorf("%s of the data is kept in %q", what, value)
			}
		}
	}
}

func TestForeignSecretsKeepIdentityOnly(t *testing.T) {
	got, err := identity(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: "other", UID: "u", ResourceVersion: "7",
		Labels: map[string]string{"a": "b"}, Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "other", UID: "u", ResourceVersion: "7"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// newSecrets returns Secrets whose caches a test fills itself.
func newSecrets(t *testing.T, live ...*corev1.Secret) (*Secrets, *fake.Clientset) {
	t.Helper()
	client := fake.NewClientset()
	for _, s := range live {
		if err := client.Tracker().Add(s); err != nil {
			t.Fatal(err)
		}
	}
	s, err := NewSecrets(client, noMetadata(), "", pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return s, client
}

// cached puts a Secret into the cache that it belongs to.
func (s *Secrets) cached(t *testing.T, secret *corev1.Secret) {
	t.Helper()
	if secret.Labels[cmv1.PartOfCertManagerControllerLabelKey] == "true" {
		kept, err := s.reduce(secret)
		if err == nil {
			err = s.ours.GetIndexer().Add(kept)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := s.foreign.GetIndexer().Add(&metav1.PartialObjectMetadata{ObjectMeta: secret.ObjectMeta}); err != nil {
		t.Fatal(err)
	}
}

func reads(client *fake.Clientset) int {
	n := 0
	for _, a := range client.Actions() {
		if a.GetVerb() == "get" {
			n++
		}
	}
	return n
}

func TestFacts(t *testing.T) {
	ours := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: "ours", ResourceVersion: "3", Labels: map[string]string{cmv1.PartOfCertManagerControllerLabelKey: "true"},
		OwnerReferences: []metav1.OwnerReference{{UID: "crt", Controller: new(bool)}},
	}}
	*ours.OwnerReferences[0].Controller = true
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "foreign", ResourceVersion: "4"}}
	uncached := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "uncached", ResourceVersion: "5"}}
	s, client := newSecrets(t, ours, foreign, uncached)
	s.cached(t, ours)
	s.cached(t, foreign)
	for _, test := range []struct {
		name, version, cachedVersion string
		reads                        int
	}{
		{"ours", "3", "3", 0},
		{"foreign", "4", "4", 1},
		{"uncached", "", "", 0},
		{"missing", "", "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			client.ClearActions()
			found, err := s.Facts(t.Context(), "ns", test.name)
			if err != nil {
				t.Fatal(err)
			}
			version := ""
			if found != nil {
				version = found.ResourceVersion
			}
			if version != test.version || reads(client) != test.reads || s.Version("ns", test.name) != test.cachedVersion {
				t.Errorf("version %q by %d reads, cached %q", version, reads(client), s.Version("ns", test.name))
			}
		})
	}
	if found := s.OwnedBy(owned("ns", "crt")); len(found) != 1 || found[0].Name != "ours" {
		t.Errorf("owned: %v", found)
	}
	if found := s.OwnedBy(owned("elsewhere", "crt")); len(found) != 0 {
		t.Errorf("owned by an object of another namespace: %v", found)
	}
	kept, _ := s.reduce(ours)
	if f := FactsIn(cache.DeletedFinalStateUnknown{Key: "ns/ours", Obj: kept}); f == nil || f.Name != "ours" {
		t.Errorf("a deletion that was missed has the facts %v", f)
	}
	if f := FactsIn(foreign); f != nil {
		t.Errorf("a foreign Secret has the facts %v", f)
	}
}

func noMetadata() metadata.Interface {
	return metadatafake.NewSimpleMetadataClient(metadatafake.NewTestScheme())
}
