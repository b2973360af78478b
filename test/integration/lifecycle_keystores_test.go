package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/everleaf/everleaf/test/harness"
)

const (
	inP12 = "keystore.p12 truststore.p12"
	inJKS = "keystore.jks truststore.jks"
)

// keystores is the part of a spec with keystores whose password is in the entry p of
// the Secret pw.
func keystores(p12, jks string) string {
	const password = "passwordSecretRef: {name: pw, key: p}"
	var parts []string
	if p12 != "" {
		parts = append(parts, "pkcs12: {"+p12+", "+password+"}")
	}
	if jks != "" {
		parts = append(parts, "jks: {"+jks+", "+password+"}")
	}
	return ", keystores: {" + strings.Join(parts, ", ") + "}"
}

// opens opens a store of a Secret by the program of somebody else, and returns what
// that prints.
func opens(t *testing.T, s *corev1.Secret, entry, password string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), entry)
	if err := os.WriteFile(file, s.Data[entry], 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"openssl", "pkcs12", "-legacy", "-info", "-nodes", "-in", file, "-passin", "pass:" + password}
	if strings.HasSuffix(entry, ".jks") {
		args = []string{"keytool", "-J-XX:TieredStopAtLevel=1", "-list", "-v", "-storetype", "JKS", "-keystore", file, "-storepass", password}
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		t.Fatalf("%s is not installed; test/prepare installs it", args[0])
	}
	cmd := exec.CommandContext(t.Context(), path, args[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// open checks that the stores of a Secret open with a password, and not with another.
func open(t *testing.T, s *corev1.Secret, stores, password, other string) {
	t.Helper()
	for _, entry := range strings.Fields(stores) {
		if out, err := opens(t, s, entry, password); err != nil {
			t.Errorf("%s does not open with %q: %v\n%s", entry, password, err, out)
		}
		if out, err := opens(t, s, entry, other); err == nil {
			t.Errorf("%s opens with %q\n%s", entry, other, out)
		}
	}
}

// setPassword writes the password of the keystores.
func (l *lab) setPassword(t *testing.T, password string) {
	t.Helper()
	l.patch(t, &corev1.Secret{}, "pw", fmt.Sprintf(`{"data":{"p":%q}}`, b64([]byte(password))))
}

// TestLifecycleKeystoresSwitched adds a keystore to an issued Certificate, replaces it by
// one of another format, changes its settings, and takes it away.
func TestLifecycleKeystoresSwitched(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	l.Cluster.Secret(t, l.ns, "pw", "p", "one-one")
	const plain = "ca.crt tls.crt tls.key"
	l.certificate(t, "k", simple("k", ""))
	l.revision(t, "k", 1)
	set := func(more string) func() { return func() { l.certificate(t, "k", simple("k", more)) } }
	s := l.keeps(t, "k", 1, set(keystores("", "create: true")), has("ca.crt keystore.jks tls.crt tls.key truststore.jks"))
	open(t, s, inJKS, "one-one", "other-1")
	s = l.keeps(t, "k", 1, set(keystores("create: true", "")), has("ca.crt keystore.p12 tls.crt tls.key truststore.p12"))
	open(t, s, inP12, "one-one", "other-1")
	changed := func(before *corev1.Secret, stores ...string) func(*corev1.Secret) error {
		return func(s *corev1.Secret) error {
			for _, entry := range stores {
				if bytes.Equal(before.Data[entry], s.Data[entry]) {
					return fmt.Errorf("%s is as before", entry)
				}
			}
			return nil
		}
	}
	for profile, mac := range map[string]string{"LegacyDES": "MAC: sha1, Iteration 1", "Modern2023": "MAC: sha256, Iteration 2048", "Modern2026": ""} {
		s = l.keeps(t, "k", 1, set(keystores("create: true, profile: "+profile, "")), changed(s, "keystore.p12", "truststore.p12"))
		if mac != "" {
			open(t, s, inP12, "one-one", "other-1")
			if out, _ := opens(t, s, "keystore.p12", "one-one"); !strings.Contains(out, mac) {
				t.Errorf("%s: no %q in\n%s", profile, mac, out)
			}
		}
	}
	s = l.keeps(t, "k", 1, set(keystores("", "create: true")), has("ca.crt keystore.jks tls.crt tls.key truststore.jks"))
	s = l.keeps(t, "k", 1, set(keystores("", "create: true, alias: Web-Key")), changed(s, "keystore.jks"))
	out, err := opens(t, s, "keystore.jks", "one-one")
	for _, want := range []string{"Alias name: web-key\n", "Alias name: ca\n", "Certificate chain length: 1\n"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%v, no %q in\n%s", err, want, out)
		}
	}
	l.keeps(t, "k", 1, set(keystores("create: false", "create: false")), has(plain))
}

// TestLifecycleKeystorePassword changes the password of keystores in its Secret.
func TestLifecycleKeystorePassword(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	l.Cluster.Secret(t, l.ns, "pw", "p", "one-one")
	l.certificate(t, "k", simple("k", keystores("create: true", "create: true")))
	l.revision(t, "k", 1)
	before := l.secret(t, "k")
	open(t, before, inP12+" "+inJKS, "one-one", "two-two")
	stores := strings.Fields(inP12 + " " + inJKS)
	s := l.keeps(t, "k", 1, func() { l.setPassword(t, "two-two") }, func(s *corev1.Secret) error {
		if slices.ContainsFunc(stores, func(entry string) bool { return bytes.Equal(before.Data[entry], s.Data[entry]) }) {
			return fmt.Errorf("a store is as before")
		}
		return nil
	})
	open(t, s, inP12+" "+inJKS, "two-two", "one-one")
	// The same password, written again, changes nothing.
	same := func(s *corev1.Secret) func(*corev1.Secret) error {
		return func(now *corev1.Secret) error {
			if now.ResourceVersion != s.ResourceVersion {
				return fmt.Errorf("the Secret was written")
			}
			return nil
		}
	}
	l.keeps(t, "k", 0, func() { l.patch(t, &corev1.Secret{}, "pw", `{"metadata":{"labels":{"a":"b"}}}`) }, same(s))
	// Without a password the stores stay, until the Secret has to be written.
	l.keeps(t, "k", 0, func() {
		if err := l.Delete(t.Context(), l.secret(t, "pw")); err != nil {
			t.Fatal(err)
		}
	}, same(s))
	l.certificate(t, "k", simple("k", keystores("create: true", "create: true")+", secretTemplate: {labels: {a: b}}"))
	// What does not need it is written.
	l.event(t, "Certificate", "k", "KeystorePasswordSecretNotFound", `fetching PKCS12 keystore password from Secret: secret "pw" not found`)
	l.traffic.Settle(t, l.ns, time.Second)
	now := l.secret(t, "k")
	if now.Labels["a"] != "b" {
		t.Errorf("labels %v", now.Labels)
	}
	for _, entry := range stores {
		if !bytes.Equal(now.Data[entry], s.Data[entry]) {
			t.Errorf("%s is not as before", entry)
		}
	}
	l.keeps(t, "k", 0, func() { l.Cluster.Secret(t, l.ns, "pw", "p", "two-two") }, same(now))
}

// TestLifecycleKeystorePasswordMissing has an issuance that waits for a password, and
// passwords that are hardly meant.
func TestLifecycleKeystorePasswordMissing(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	l.certificate(t, "k", simple("k", keystores("create: true", "create: true")))
	says := func(words string) {
		t.Helper()
		harness.Eventually(t, patience, func() error {
			if c := certificateCondition(l.crt(t, "k"), "Issuing"); c == nil || c.Status != "True" || !strings.Contains(c.Message, words) {
				return fmt.Errorf("the Issuing condition is %+v, want %q", c, words)
			}
			return nil
		})
		l.event(t, "Certificate", "k", "KeystorePasswordSecretNotFound", words)
	}
	says(`failed to add keystores to Secret: fetching PKCS12 keystore password from Secret: secret "pw" not found; create it with an entry "p"`)
	l.Cluster.Secret(t, l.ns, "pw", "q", "x")
	says(`PKCS12 keystore password Secret contains no data for key "p"; add it to Secret "pw"`)
	l.setPassword(t, "hunter2\n")
	l.revision(t, "k", 1)
	if got := l.requests(t, "k"); len(got) != 1 {
		t.Errorf("%d requests", len(got))
	}
	open(t, l.secret(t, "k"), inP12+" "+inJKS, "hunter2\n", "hunter2")
	l.event(t, "Certificate", "k", "KeystorePassword", `The password of keystore.jks (entry "p" of Secret "`+l.ns+`/pw")`, "it ends in a line break")
	l.setPassword(t, "\xa5\xab\x2c\xc2\x8a\xdd")
	l.event(t, "Certificate", "k", "KeystorePassword", "keystore.p12", "it is not text in UTF-8", "base64")
	// A literal password is used as it is written.
	l.certificate(t, "literal", simple("literal", `, keystores: {jks: {create: true, password: 'pässwort'}, pkcs12: {create: true, password: 'Zq01$BKr9P'}}`))
	l.revision(t, "literal", 1)
	open(t, l.secret(t, "literal"), inJKS, "pässwort", "passwort")
	open(t, l.secret(t, "literal"), inP12, "Zq01$BKr9P", "Zq01")
}

// TestLifecycleKeystoresStay holds that nothing writes a Secret whose keystores fit: a
// new controller, which knows nothing of them, and neither status nor apply.
func TestLifecycleKeystoresStay(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	l := &lab{Cluster: cluster, ns: ns, traffic: &harness.Traffic{}}
	how := harness.Controllers{Config: l.traffic.Record, Options: within(ns, nil)}
	stop := cluster.Run(t, how)
	l.Apply(t, ns, labIssuers)
	l.Cluster.Secret(t, ns, "pw", "p", "one-one")
	spec := simple("k", keystores("create: true", "create: true")+", additionalOutputFormats: [{type: DER}]")
	l.certificate(t, "k", spec)
	l.revision(t, "k", 1)
	began := len(l.traffic.Settle(t, ns, time.Second))
	before := l.secret(t, "k").ResourceVersion
	for range 2 {
		stop()
		stop = cluster.Run(t, how)
		l.certificate(t, "k", spec)
		// What is after it has been reconciled.
		l.certificate(t, "last", simple("last", ""))
		l.revision(t, "last", 1)
		l.traffic.Settle(t, ns, time.Second)
	}
	for _, w := range l.traffic.Writes(ns)[began:] {
		if w.Name == "k" {
			t.Errorf("written: %s", w)
		}
	}
	if now := l.secret(t, "k").ResourceVersion; now != before {
		t.Error("the Secret was written")
	}
	// A password that was changed while no controller ran is noticed.
	stop()
	l.setPassword(t, "two-two")
	cluster.Run(t, how)
	harness.Eventually(t, patience, func() error {
		_, err := opens(t, l.secret(t, "k"), "keystore.p12", "two-two")
		return err
	})
	l.revision(t, "k", 1)
}

// TestLifecycleKeystoreChain has an issuer with an intermediate, which is the CA as far as
// the issuer knows.
func TestLifecycleKeystoreChain(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	l.Cluster.Secret(t, l.ns, "pw", "p", "one-one")
	l.Apply(t, l.ns, `
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: middle}
spec: {secretName: middle, isCA: true, commonName: middle, privateKey: {algorithm: ECDSA}, issuerRef: {name: ca}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: middle}
spec: {ca: {secretName: middle}}
`)
	l.certificate(t, "k", strings.Replace(simple("k", keystores("create: true", "create: true")), "issuerRef: {name: ca}", "issuerRef: {name: middle}", 1))
	l.revision(t, "k", 1)
	s := l.secret(t, "k")
	out, err := opens(t, s, "keystore.p12", "one-one")
	if n := strings.Count(out, "BEGIN CERTIFICATE"); err != nil || n != 3 || strings.Contains(out, "friendlyName") {
		t.Errorf("keystore.p12: %v, %d certificates\n%s", err, n, out)
	}
	out, err = opens(t, s, "truststore.p12", "one-one")
	if n := strings.Count(out, "BEGIN CERTIFICATE"); err != nil || n != 1 || !strings.Contains(out, "2.16.840.1.113894.746875.1.1") || !strings.Contains(out, "friendlyName: CN=middle") {
		t.Errorf("truststore.p12: %v, %d certificates\n%s", err, n, out)
	}
	out, err = opens(t, s, "keystore.jks", "one-one")
	for _, want := range []string{"PrivateKeyEntry", "Alias name: certificate\n", "Certificate chain length: 2\n", "Alias name: ca\n", "trustedCertEntry"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("keystore.jks: %v, no %q in\n%s", err, want, out)
		}
	}
}
