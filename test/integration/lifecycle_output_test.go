package integration

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/harness"
)

// keeps makes a change to a settled Certificate or its Secret, waits until the Secret
// is as check wants it, and holds that the Secret was written as often as said, that
// nothing was requested, and that the certificate is the one of before.
func (l *lab) keeps(t *testing.T, name string, writes int, change func(), check func(*corev1.Secret) error) *corev1.Secret {
	t.Helper()
	began := len(l.traffic.Settle(t, l.ns, time.Second))
	before, request, crt := l.secret(t, name), l.requests(t, name), l.crt(t, name)
	change()
	harness.Eventually(t, patience, func() error { return check(l.secret(t, name)) })
	written := l.traffic.Settle(t, l.ns, time.Second)[began:]
	after := l.secret(t, name)
	if err := check(after); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(before.Data[corev1.TLSCertKey], after.Data[corev1.TLSCertKey]) || !bytes.Equal(before.Data[corev1.TLSPrivateKeyKey], after.Data[corev1.TLSPrivateKeyKey]) {
		t.Error("there is a new certificate")
	}
	secrets := 0
	for _, w := range written {
		if w.Resource == "secrets" {
			secrets++
		} else if w.Resource != "events" && w.Resource != "certificates/status" {
			// The status says which generation of the spec it is about.
			t.Errorf("written: %s", w)
		}
	}
	if secrets != writes {
		t.Errorf("the Secret was written %d times, want %d: %v", secrets, writes, written)
	}
	if now := l.requests(t, name); len(now) != 1 || now[0].UID != request[0].UID {
		t.Errorf("%d requests, the first %s, want %s", len(now), now[0].UID, request[0].UID)
	}
	ready := certificateCondition(l.crt(t, name), cmv1.CertificateConditionReady)
	if was := certificateCondition(crt, cmv1.CertificateConditionReady); ready.Status != cmmeta.ConditionTrue || !ready.LastTransitionTime.Equal(was.LastTransitionTime) {
		t.Errorf("it was not ready all the time: %+v", ready)
	}
	return after
}

// entries are the names of a Secret's data, sorted.
func entries(s *corev1.Secret) string { return strings.Join(slices.Sorted(maps.Keys(s.Data)), " ") }

// has checks the entries of a Secret.
func has(want string) func(*corev1.Secret) error {
	return func(s *corev1.Secret) error {
		if got := entries(s); got != want {
			return fmt.Errorf("the Secret has %s, want %s", got, want)
		}
		return nil
	}
}

func formatsFit(s *corev1.Secret) error {
	if err := has("ca.crt key.der tls-combined.pem tls.crt tls.key")(s); err != nil {
		return err
	}
	key := s.Data[corev1.TLSPrivateKeyKey]
	if block, _ := pem.Decode(key); !bytes.Equal(block.Bytes, s.Data["key.der"]) {
		return fmt.Errorf("key.der is not the key: %x", s.Data["key.der"])
	}
	if want := slices.Concat(key, []byte("\n"), s.Data[corev1.TLSCertKey]); !bytes.Equal(want, s.Data["tls-combined.pem"]) {
		return fmt.Errorf("tls-combined.pem is %s", s.Data["tls-combined.pem"])
	}
	return nil
}

func TestLifecycleOutputFormats(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	l.certificate(t, "f", simple("f", ""))
	l.revision(t, "f", 1)
	both := func() {
		l.certificate(t, "f", simple("f", ", additionalOutputFormats: [{type: DER}, {type: CombinedPEM}]"))
	}
	none := func() { l.certificate(t, "f", simple("f", "")) }
	const plain = "ca.crt tls.crt tls.key"
	l.keeps(t, "f", 1, both, formatsFit)
	for _, entry := range []string{"key.der", "tls-combined.pem"} {
		l.keeps(t, "f", 1, func() { l.patch(t, &corev1.Secret{}, "f", `{"data":{"`+entry+`":"bm8="}}`) }, formatsFit)
		l.keeps(t, "f", 1, func() { l.patch(t, &corev1.Secret{}, "f", `{"data":{"`+entry+`":null}}`) }, formatsFit)
	}
	l.keeps(t, "f", 1, none, has(plain))
	// What a third party has an interest in stays; only our interest goes.
	l.keeps(t, "f", 1, both, formatsFit)
	shared := l.secret(t, "f").Data["key.der"]
	l.keeps(t, "f", 0, func() {
		l.Apply(t, l.ns, "apiVersion: v1\nkind: Secret\nmetadata: {name: f}\ndata: {key.der: "+b64(shared)+"}\n")
	}, formatsFit)
	l.keeps(t, "f", 1, none, has("ca.crt key.der tls.crt tls.key"))
	// An entry of this name that was never asked for is somebody's own.
	l.keeps(t, "f", 0, func() { l.patch(t, &corev1.Secret{}, "f", `{"data":{"tls-combined.pem":"bm8="}}`) }, has("ca.crt key.der tls-combined.pem tls.crt tls.key"))
}

// TestLifecycleEncodings holds that an encoding is seen in all formats of the key, and
// that a change of it waits for the next issuance.
func TestLifecycleEncodings(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	spec := func(key string) string {
		return `{secretName: enc, dnsNames: [enc.example.com], privateKey: ` + key + `, issuerRef: {name: ca}, additionalOutputFormats: [{type: DER}, {type: CombinedPEM}]}`
	}
	l.certificate(t, "enc", spec("{algorithm: ECDSA, rotationPolicy: Never}"))
	l.revision(t, "enc", 1)
	block := func(s *corev1.Secret) string {
		b, _ := pem.Decode(s.Data[corev1.TLSPrivateKeyKey])
		return b.Type
	}
	before := l.secret(t, "enc")
	if err := formatsFit(before); err != nil || block(before) != "EC PRIVATE KEY" {
		t.Errorf("%s: %v", block(before), err)
	}
	l.keeps(t, "enc", 0, func() { l.certificate(t, "enc", spec("{algorithm: ECDSA, rotationPolicy: Never, encoding: PKCS8}")) }, formatsFit)
	l.patch(t, &cmv1.Certificate{}, "enc", `{"spec":{"dnsNames":["other.example.com"]}}`)
	l.revision(t, "enc", 2)
	after := l.secret(t, "enc")
	if err := formatsFit(after); err != nil || block(after) != "PRIVATE KEY" {
		t.Errorf("%s: %v", block(after), err)
	}
	_, one := chainOf(t, before)
	_, two := chainOf(t, after)
	if !one.(*ecdsa.PrivateKey).Equal(two) {
		t.Error("the key is another one")
	}
}

// TestLifecycleRepair has a Secret with keystores, formats and entries of others, and
// all that people do to it by mistake. The certificate stays, and so do the keystores,
// byte for byte: what uses them would be restarted.
func TestLifecycleRepair(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	l.Cluster.Secret(t, l.ns, "pw", "p", "changeit")
	spec := func(more string) string {
		return simple("r", `, additionalOutputFormats: [{type: DER}, {type: CombinedPEM}], keystores: {pkcs12: {create: true, passwordSecretRef: {name: pw, key: p}}, jks: {create: true, passwordSecretRef: {name: pw, key: p}}}`+more)
	}
	l.certificate(t, "r", spec(""))
	l.revision(t, "r", 1)
	l.patch(t, &corev1.Secret{}, "r", `{"data":{"theirs":"eA=="},"metadata":{"labels":{"theirs":"x"}}}`)
	l.traffic.Settle(t, l.ns, time.Second)
	whole := l.secret(t, "r")
	unchanged := func(label string) func(*corev1.Secret) error {
		return func(s *corev1.Secret) error {
			for _, key := range slices.Sorted(maps.Keys(whole.Data)) {
				if !bytes.Equal(s.Data[key], whole.Data[key]) {
					return fmt.Errorf("entry %s has changed", key)
				}
			}
			if got := s.Labels; got["team"] != label || got["theirs"] != "x" || got[cmv1.PartOfCertManagerControllerLabelKey] != "true" {
				return fmt.Errorf("labels %v", got)
			}
			if s.Annotations[cmv1.CertificateNameKey] != "r" || s.Annotations[cmv1.AltNamesAnnotationKey] != "r.example.com" {
				return fmt.Errorf("annotations %v", s.Annotations)
			}
			return nil
		}
	}
	change := func(merge string) func() { return func() { l.patch(t, &corev1.Secret{}, "r", merge) } }
	for _, test := range []struct {
		name   string
		change func()
		label  string
	}{
		{"template added", func() { l.certificate(t, "r", spec(`, secretTemplate: {labels: {team: a}}`)) }, "a"},
		{"template changed", func() { l.certificate(t, "r", spec(`, secretTemplate: {labels: {team: b}}`)) }, "b"},
		{"template removed", func() { l.certificate(t, "r", spec("")) }, ""},
		{"label taken off", change(`{"metadata":{"labels":{"controller.cert-manager.io/fao":null}}}`), ""},
		{"label changed", change(`{"metadata":{"labels":{"controller.cert-manager.io/fao":"no"}}}`), ""},
		{"annotation changed", change(`{"metadata":{"annotations":{"cert-manager.io/alt-names":"no.example.com"}}}`), ""},
		{"annotation taken off", change(`{"metadata":{"annotations":{"cert-manager.io/alt-names":null}}}`), ""},
		{"ca.crt taken out", change(`{"data":{"ca.crt":null}}`), ""},
	} {
		t.Run(test.name, func(t *testing.T) { l.keeps(t, "r", 1, test.change, unchanged(test.label)) })
	}
}

// TestLifecycleOwnerReference switches --enable-certificate-owner-ref on and off.
func TestLifecycleOwnerReference(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	var l *lab
	var stop func()
	run := func(owned bool) {
		if stop != nil {
			stop()
		}
		l = &lab{Cluster: cluster, ns: ns, traffic: &harness.Traffic{}}
		stop = cluster.Run(t, harness.Controllers{
			Config: l.traffic.Record, Options: within(ns, func(o *operator.Options) { o.EnableCertificateOwnerRef = owned }),
		})
	}
	run(false)
	l.Apply(t, ns, labIssuers)
	l.certificate(t, "own", simple("own", ""))
	l.revision(t, "own", 1)
	// Somebody else's reference stays throughout.
	other := &corev1.ConfigMap{ObjectMeta: metaNamed(ns, "other")}
	if err := l.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	theirs := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "other", UID: other.UID}
	s := l.secret(t, "own")
	s.OwnerReferences = append(s.OwnerReferences, theirs)
	if err := l.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	crt := l.crt(t, "own")
	ours := metav1.OwnerReference{
		APIVersion: "cert-manager.io/v1", Kind: "Certificate", Name: "own", UID: crt.UID, Controller: ptr(true), BlockOwnerDeletion: ptr(true),
	}
	owners := func(want ...metav1.OwnerReference) func(*corev1.Secret) error {
		return func(s *corev1.Secret) error {
			if diff := cmp.Diff(want, s.OwnerReferences); diff != "" {
				return fmt.Errorf("owners (-want +got):\n%s", diff)
			}
			return nil
		}
	}
	l.keeps(t, "own", 0, func() {}, owners(theirs))
	run(true)
	harness.Eventually(t, patience, func() error { return owners(theirs, ours)(l.secret(t, "own")) })
	l.keeps(t, "own", 1, func() {
		// A part of the reference is changed by hand.
		s := l.secret(t, "own")
		for i := range s.OwnerReferences {
			if s.OwnerReferences[i].UID == crt.UID {
				s.OwnerReferences[i].BlockOwnerDeletion = nil
			}
		}
		if err := l.Update(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}, owners(theirs, ours))
	run(false)
	harness.Eventually(t, patience, func() error { return owners(theirs)(l.secret(t, "own")) })
	l.traffic.Settle(t, ns, time.Second)
	l.revision(t, "own", 1)
	// Without a reference the Secret stays when the Certificate goes.
	if err := l.Delete(t.Context(), crt); err != nil {
		t.Fatal(err)
	}
	l.traffic.Settle(t, ns, 2*time.Second)
	chainOf(t, l.secret(t, "own"))
}

// TestLifecycleAdoptedSecret has a Secret that somebody else made, for other programs,
// with another type and entries of its own (istio's cacerts).
func TestLifecycleAdoptedSecret(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	theirs := map[string][]byte{"ca-cert.pem": []byte("1"), "ca-key.pem": []byte("2"), "root-cert.pem": []byte("3"), "cert-chain.pem": []byte("4"), "key.der": []byte("5")}
	if err := l.Create(t.Context(), &corev1.Secret{ObjectMeta: metaNamed(l.ns, "cacerts"), Data: theirs}); err != nil {
		t.Fatal(err)
	}
	spec := func(name string) string {
		return `{secretName: cacerts, commonName: ` + name + `, isCA: true, usages: [cert sign, crl sign], privateKey: {algorithm: ECDSA}, issuerRef: {name: ca}}`
	}
	for revision := 1; revision <= 2; revision++ {
		l.certificate(t, "mesh", spec(fmt.Sprintf("mesh-%d", revision)))
		l.revision(t, "mesh", revision)
		s := l.secret(t, "cacerts")
		if s.Type != corev1.SecretTypeOpaque {
			t.Errorf("type %s", s.Type)
		}
		for key, value := range theirs {
			if !bytes.Equal(s.Data[key], value) {
				t.Errorf("entry %s is %q", key, s.Data[key])
			}
		}
		if err := has("ca-cert.pem ca-key.pem ca.crt cert-chain.pem key.der root-cert.pem tls.crt tls.key")(s); err != nil {
			t.Error(err)
		}
		leaf := verify(t, s, "")[0]
		if !leaf.IsCA || leaf.MaxPathLen > 0 || leaf.MaxPathLenZero {
			t.Errorf("CA %t, path length %d, zero %t", leaf.IsCA, leaf.MaxPathLen, leaf.MaxPathLenZero)
		}
	}
	l.certificate(t, "new", simple("new", ""))
	l.revision(t, "new", 1)
	if s := l.secret(t, "new"); s.Type != corev1.SecretTypeTLS || entries(s) != "ca.crt tls.crt tls.key" {
		t.Errorf("a new Secret has type %s and %s", s.Type, entries(s))
	}

	// One with a pair that fits gets all that the spec wants besides, without an issuance.
	pair := l.secret(t, "new").Data
	if err := l.Create(t.Context(), &corev1.Secret{ObjectMeta: metaNamed(l.ns, "by-hand"), Data: pair}); err != nil {
		t.Fatal(err)
	}
	began := len(l.traffic.Settle(t, l.ns, time.Second))
	l.certificate(t, "by-hand", `{secretName: by-hand, dnsNames: [new.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: ca}, additionalOutputFormats: [{type: DER}, {type: CombinedPEM}], secretTemplate: {labels: {team: a}}}`)
	harness.Eventually(t, patience, func() error { return formatsFit(l.secret(t, "by-hand")) })
	var wrote []string
	for _, w := range l.traffic.Settle(t, l.ns, time.Second)[began:] {
		wrote = append(wrote, w.Resource)
	}
	slices.Sort(wrote)
	if diff := cmp.Diff([]string{"certificates/status", "secrets"}, wrote); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
	s := l.secret(t, "by-hand")
	if !bytes.Equal(s.Data["tls.crt"], pair["tls.crt"]) || !bytes.Equal(s.Data["tls.key"], pair["tls.key"]) || s.Labels["team"] != "a" {
		t.Errorf("labels %v, or another certificate", s.Labels)
	}
	if _, ok := s.Annotations[cmv1.IssuerNameAnnotationKey]; ok || s.Annotations[cmv1.CertificateNameKey] != "by-hand" {
		t.Errorf("annotations %v", s.Annotations)
	}
}

// TestLifecycleCopiedSecret has a program that copies Secrets by their annotations:
// those are in the first version of the Secret that has a certificate, and the copies
// are nobody's here.
func TestLifecycleCopiedSecret(t *testing.T) {
	l := newLabAlone(t, harness.Controllers{})
	var first *corev1.Secret
	const template = `, secretTemplate: {annotations: {reflector.v1.k8s.emberstack.com/reflection-allowed: 'true', reflector.v1.k8s.emberstack.com/reflection-allowed-namespaces: '*'}, labels: {copied: 'yes'}}`
	watcher, err := client.NewWithWatch(l.RESTConfig(), client.Options{Scheme: l.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	w, err := watcher.Watch(t.Context(), &corev1.SecretList{}, client.InNamespace(l.ns))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	l.certificate(t, "copied", simple("copied", template))
	for event := range w.ResultChan() {
		if s, ok := event.Object.(*corev1.Secret); ok && s.Name == "copied" && len(s.Data[corev1.TLSCertKey]) > 0 {
			first = s
			break
		}
	}
	if a := first.Annotations; a["reflector.v1.k8s.emberstack.com/reflection-allowed"] != "true" || a["reflector.v1.k8s.emberstack.com/reflection-allowed-namespaces"] != "*" {
		t.Errorf("the first version has the annotations %v", a)
	}
	l.revision(t, "copied", 1)
	elsewhere := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "copies-"}}
	if err := l.Create(t.Context(), elsewhere); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Delete(t.Context(), elsewhere) })
	copied := first.DeepCopy()
	copied.ObjectMeta = metav1.ObjectMeta{Namespace: elsewhere.Name, Name: "copied", Labels: first.Labels, Annotations: first.Annotations}
	copied.Data["tls.crt"] = []byte("nonsense")
	if err := l.Create(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	l.keeps(t, "copied", 1, func() { l.certificate(t, "copied", simple("copied", `, secretTemplate: {labels: {copied: 'yes'}}`)) }, func(s *corev1.Secret) error {
		if _, ok := s.Annotations["reflector.v1.k8s.emberstack.com/reflection-allowed"]; ok || s.Labels["copied"] != "yes" {
			return fmt.Errorf("labels %v, annotations %v", s.Labels, s.Annotations)
		}
		return nil
	})
	live := &corev1.Secret{}
	if err := l.Get(t.Context(), client.ObjectKeyFromObject(copied), live); err != nil || live.ResourceVersion != copied.ResourceVersion {
		t.Errorf("the copy was written: %v, %s", err, live.ResourceVersion)
	}
	if w := l.traffic.Writes(elsewhere.Name); len(w) > 0 {
		t.Errorf("written: %v", w)
	}
}
