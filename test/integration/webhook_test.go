package integration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/webhook"
	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/controlplane"
	"github.com/everleaf/everleaf/test/harness"
)

const (
	webhookCA   = "cert-manager-webhook-ca"
	webhookUser = "system:serviceaccount:" + local.Namespace + ":cert-manager-webhook"
	denied      = `admission webhook "webhook.cert-manager.io" denied the request: `
)

// hooked is a control plane whose only admission is the webhook.
type hooked struct {
	*harness.Cluster
	port string
	stop func()
}

// withWebhook starts a control plane of its own, because webhook configurations are
// those of the whole cluster, and the webhook with the permissions that it has in a
// cluster.
func withWebhook(t *testing.T) *hooked {
	t.Helper()
	controlplane.BinDir(t)
	cp, err := local.Start(t.Context(), local.Options{DataDir: filepath.Join(t.TempDir(), "data"), UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	h := &hooked{Cluster: harness.Of(t, cp)}
	if err := h.DeleteAllOf(t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}); err != nil {
		t.Fatal(err)
	}
	h.grant(t, webhookUser, "", rbacv1.PolicyRule{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}})
	h.grant(t, webhookUser, local.Namespace,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{webhookCA}, Verbs: []string{"get", "list", "watch", "update"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create"}})
	harness.Eventually(t, patience, func() error {
		if err := h.Create(t.Context(), issuer("default", "x", cmv1.IssuerConfig{}), client.DryRunAll); err != nil {
			return fmt.Errorf("a policy is still in force: %w", err)
		}
		return nil
	})
	h.serve(t)
	h.configure(t, "localhost", false)
	return h
}

// grant gives a user permissions, those of the whole cluster without a namespace.
func (h *hooked) grant(t *testing.T, user, namespace string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	meta := metav1.ObjectMeta{GenerateName: "test-", Namespace: namespace}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	if namespace == "" {
		role := &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}
		if err := h.Create(t.Context(), role); err != nil {
			t.Fatal(err)
		}
		if err := h.Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name}, Subjects: subjects}); err != nil {
			t.Fatal(err)
		}
		return
	}
	role := &rbacv1.Role{ObjectMeta: meta, Rules: rules}
	if err := h.Create(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	if err := h.Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name}, Subjects: subjects}); err != nil {
		t.Fatal(err)
	}
}

// serve runs the webhook until the test ends or h.stop is called.
func (h *hooked) serve(t *testing.T) {
	t.Helper()
	address, err := child.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	_, h.port, _ = net.SplitHostPort(address)
	o := webhook.Defaults()
	if o.SecurePort, err = strconv.Atoi(h.port); err != nil {
		t.Fatal(err)
	}
	o.HealthzPort, o.MetricsListenAddress, o.Grace = 0, "0", 0
	o.TLS.Dynamic.Namespace, o.TLS.Dynamic.Name, o.TLS.Dynamic.DNSNames = local.Namespace, webhookCA, []string{"localhost", "127.0.0.1"}
	config, err := h.ConfigFor(webhookUser)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- webhook.Run(ctx, config, o, logr.Discard()) }()
	h.stop = func() {
		if ctx.Err() != nil {
			return
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("webhook: %v", err)
		}
	}
	t.Cleanup(h.stop)
}

// ca waits for a CA other than some.
func (h *hooked) ca(t *testing.T, not []byte) []byte {
	t.Helper()
	secret := &corev1.Secret{}
	harness.Eventually(t, patience, func() error {
		if err := h.Get(t.Context(), client.ObjectKey{Namespace: local.Namespace, Name: webhookCA}, secret); err != nil {
			return err
		}
		if string(secret.Data["ca.crt"]) == string(not) {
			return errors.New("the CA is still the same")
		}
		return nil
	})
	return secret.Data["ca.crt"]
}

// configure stores the configurations as the chart has them, with or without the
// conditions that let the controllers work without the webhook, and waits until they are
// in force.
func (h *hooked) configure(t *testing.T, host string, conditions bool, bundle ...byte) {
	t.Helper()
	if len(bundle) == 0 {
		bundle = h.ca(t, nil)
	}
	config := func(path string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{URL: ptr("https://" + net.JoinHostPort(host, h.port) + path), CABundle: bundle}
	}
	var match []admissionregistrationv1.MatchCondition
	if conditions {
		match = []admissionregistrationv1.MatchCondition{{Name: "not-the-controllers", Expression: "request.userInfo.username != '" + local.ControllerUser + "'"}}
	}
	const name = "webhook.cert-manager.io"
	fail, equivalent, none := admissionregistrationv1.Fail, admissionregistrationv1.Equivalent, admissionregistrationv1.SideEffectClassNone
	validating := &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "cert-manager-webhook"}}
	validating.Webhooks = []admissionregistrationv1.ValidatingWebhook{{
		Name: name, ClientConfig: config("/validate"), AdmissionReviewVersions: []string{"v1"}, MatchConditions: match,
		FailurePolicy: &fail, MatchPolicy: &equivalent, SideEffects: &none, TimeoutSeconds: ptr(int32(30)),
		Rules: []admissionregistrationv1.RuleWithOperations{{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{"cert-manager.io", "acme.cert-manager.io"}, APIVersions: []string{"v1"}, Resources: []string{"*/*"}},
		}},
	}}
	mutating := &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "cert-manager-webhook"}}
	mutating.Webhooks = []admissionregistrationv1.MutatingWebhook{{
		Name: name, ClientConfig: config("/mutate"), AdmissionReviewVersions: []string{"v1"}, MatchConditions: match,
		FailurePolicy: &fail, MatchPolicy: &equivalent, SideEffects: &none, TimeoutSeconds: ptr(int32(30)),
		Rules: []admissionregistrationv1.RuleWithOperations{{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{"cert-manager.io"}, APIVersions: []string{"v1"}, Resources: []string{"certificaterequests"}},
		}},
	}}
	for _, o := range []client.Object{validating, mutating} {
		if err := h.Delete(t.Context(), o.DeepCopyObject().(client.Object)); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
	}
	// An object that was refused before is now accepted: the old ones are gone.
	harness.Eventually(t, patience, func() error {
		return h.Create(t.Context(), issuer("default", "x", cmv1.IssuerConfig{}), client.DryRunAll)
	})
	for _, o := range []client.Object{mutating, validating} {
		if err := h.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	harness.Eventually(t, patience, func() error {
		err := h.Create(t.Context(), issuer("default", "x", cmv1.IssuerConfig{}), client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), denied) {
			return fmt.Errorf("the webhook is not called yet: %w", err)
		}
		// It has no CSR, and names somebody, who must have been replaced.
		cr := &cmv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "x"}, Spec: cmv1.CertificateRequestSpec{Username: "root", Request: []byte("x"), IssuerRef: cmmeta.IssuerReference{Name: "x"}}}
		if err := h.Create(t.Context(), cr, client.DryRunAll); err == nil || strings.Contains(err.Error(), "username") {
			return fmt.Errorf("the mutating webhook is not called yet: %w", err)
		}
		return nil
	})
}

func issuer(namespace, name string, config cmv1.IssuerConfig) *cmv1.Issuer {
	return &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: cmv1.IssuerSpec{IssuerConfig: config}}
}

func selfSignedIssuer(namespace, name string) *cmv1.Issuer {
	return issuer(namespace, name, cmv1.IssuerConfig{SelfSigned: &cmv1.SelfSignedIssuer{}})
}

// refused checks that an error is the refusal of the webhook with exactly a text.
func refused(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || err.Error() != denied+text || !apierrors.IsForbidden(err) {
		t.Errorf("got  %v\nwant %s%s", err, denied, text)
	}
}

// TestWebhook runs the webhook behind a real API server, which has no policies.
func TestWebhook(t *testing.T) {
	t.Parallel()
	h := withWebhook(t)
	namespace := h.Namespace(t)
	if err := h.Create(t.Context(), selfSignedIssuer(namespace, "selfsigned")); err != nil {
		t.Fatal(err)
	}
	t.Run("refuses and accepts", func(t *testing.T) { h.refuses(t, namespace) })
	t.Run("identity and approval", func(t *testing.T) { h.approves(t, namespace) })
	h.Run(t, harness.Controllers{})
	certificate := func(name string) *cmv1.Certificate {
		return &cmv1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: cmv1.CertificateSpec{
			SecretName: name, DNSNames: []string{"a.example"}, IssuerRef: cmmeta.IssuerReference{Name: "selfsigned"},
		}}
	}
	t.Run("issuance", func(t *testing.T) {
		if err := h.Create(t.Context(), certificate("first")); err != nil {
			t.Fatal(err)
		}
		h.Ready(t, namespace, "first", patience)
	})
	t.Run("a new CA needs no new bundle", func(t *testing.T) { h.rotates(t, namespace) })
	t.Run("issuance without the webhook", func(t *testing.T) { h.goesOn(t, namespace, certificate("second")) })
}

func (h *hooked) refuses(t *testing.T, namespace string) {
	refused(t, h.Create(t.Context(), issuer(namespace, "x", cmv1.IssuerConfig{})), "spec: Required value: at least one issuer must be configured")
	refused(t, h.Create(t.Context(), &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Spec: cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{CA: &cmv1.CAIssuer{}}}}), "spec.ca.secretName: Required value: must be specified")
	crt := &cmv1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "x"}, Spec: cmv1.CertificateSpec{
		SecretName: "x", DNSNames: []string{"a.example"}, OtherNames: []cmv1.OtherName{{OID: "BAD_OID", UTF8Value: "x"}}, IssuerRef: cmmeta.IssuerReference{Name: "x"},
	}}
	refused(t, h.Create(t.Context(), crt.DeepCopy()), `spec.otherNames[0].oid: Invalid value: "BAD_OID": invalid oid syntax`)
	crt.Spec.OtherNames = nil
	if err := h.Create(t.Context(), crt, client.DryRunAll); err != nil {
		t.Error(err)
	}
}

// approves creates a request as an ordinary user, who pretends to be another, and
// approves it.
func (h *hooked) approves(t *testing.T, namespace string) {
	config, err := h.ConfigFor("ann", "team")
	if err != nil {
		t.Fatal(err)
	}
	ann, err := client.New(config, client.Options{Scheme: h.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	h.grant(t, "ann", namespace, rbacv1.PolicyRule{APIGroups: []string{"cert-manager.io"}, Resources: []string{"certificaterequests", "certificaterequests/status"}, Verbs: []string{"create", "get", "update"}})
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	csr, err := pki.BuildRequest(pki.Template{DNSNames: []string{"a.example"}, Usages: []string{"digital signature", "key encipherment"}}, key, pki.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	cr := &cmv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "ann"}, Spec: cmv1.CertificateRequestSpec{
		Request: csr, IssuerRef: cmmeta.IssuerReference{Name: "selfsigned"},
		Username: "root", UID: "0", Groups: []string{"system:masters"}, Extra: map[string][]string{"scopes": {"all"}},
	}}
	harness.Eventually(t, patience, func() error { return ann.Create(t.Context(), cr.DeepCopy(), client.DryRunAll) })
	if err := ann.Create(t.Context(), cr); err != nil {
		t.Fatal(err)
	}
	got := cr.Spec
	got.Request, got.IssuerRef = nil, cmmeta.IssuerReference{}
	// The API server notes how users with a client certificate have logged in.
	extra := map[string][]string{}
	for key, values := range got.Extra {
		if key != "authentication.kubernetes.io/credential-id" {
			extra[key] = values
		}
	}
	if got.Extra = nil; len(extra) > 0 {
		got.Extra = extra
	}
	if diff := cmp.Diff(cmv1.CertificateRequestSpec{Username: "ann", Groups: []string{"team", "system:authenticated"}}, got); diff != "" {
		t.Errorf("identity, -want +got:\n%s", diff)
	}
	changed := cr.DeepCopy()
	changed.Spec.Username = "root"
	refused(t, ann.Update(t.Context(), changed), "[spec.username: Forbidden: username identity cannot be changed once set, spec: Forbidden: cannot change spec after creation]")

	approve := func() error {
		approved := cr.DeepCopy()
		approved.Status.Conditions = []cmv1.CertificateRequestCondition{{Type: cmv1.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue, Reason: "test", LastTransitionTime: ptr(metav1.Now())}}
		return ann.Status().Update(t.Context(), approved, client.DryRunAll)
	}
	const mayNot = `status.conditions: Forbidden: user "ann" does not have permissions to set approved/denied conditions for issuer {selfsigned  }`
	signer := rbacv1.PolicyRule{APIGroups: []string{"cert-manager.io"}, Resources: []string{"signers"}, ResourceNames: []string{"issuers.cert-manager.io/" + namespace + ".selfsigned"}, Verbs: []string{"approve"}}
	refused(t, approve(), mayNot)
	// The right must be one of the whole cluster. That it has no effect in a namespace
	// is known once a later right in this namespace has.
	h.grant(t, "ann", namespace, signer, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}})
	harness.Eventually(t, patience, func() error { return ann.List(t.Context(), &corev1.ConfigMapList{}, client.InNamespace(namespace)) })
	refused(t, approve(), mayNot)
	h.grant(t, "ann", "", signer)
	harness.Eventually(t, patience, approve)
	if err := h.Delete(t.Context(), cr); err != nil {
		t.Fatal(err)
	}
}

// rotates has the webhook get another CA, and the API server call it with the bundle of
// before, over a new connection.
func (h *hooked) rotates(t *testing.T, namespace string) {
	secret := &corev1.Secret{}
	if err := h.Get(t.Context(), client.ObjectKey{Namespace: local.Namespace, Name: webhookCA}, secret); err != nil {
		t.Fatal(err)
	}
	old := secret.Data["ca.crt"]
	if err := h.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	now := h.ca(t, old)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(now)
	harness.Eventually(t, patience, func() error {
		conn, err := tls.Dial("tcp", net.JoinHostPort("localhost", h.port), &tls.Config{RootCAs: roots, ServerName: "localhost"})
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	// Another host is another connection.
	h.configure(t, "127.0.0.1", true, old...)
	if err := h.Create(t.Context(), selfSignedIssuer(namespace, "old-bundle")); err != nil {
		t.Errorf("the API server that knows the old CA: %v", err)
	}
	h.configure(t, "localhost", true, now...)
	if err := h.Create(t.Context(), selfSignedIssuer(namespace, "new-bundle")); err != nil {
		t.Errorf("the API server that knows the new CA: %v", err)
	}
}

// goesOn stops the webhook: users are refused, and the controllers issue.
func (h *hooked) goesOn(t *testing.T, namespace string, crt *cmv1.Certificate) {
	if err := h.Create(t.Context(), crt); err != nil {
		t.Fatal(err)
	}
	before := h.Ready(t, namespace, crt.Name, patience)
	h.stop()
	err := h.Create(t.Context(), selfSignedIssuer(namespace, "refused"))
	if want := `failed calling webhook "webhook.cert-manager.io": failed to call webhook: Post "https://localhost:` + h.port + `/validate?timeout=30s": dial tcp `; err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "connect: connection refused") {
		t.Errorf("got %v, want %s", err, want)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: crt.Spec.SecretName}}
	if err := h.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Fatal(err)
	}
	first, _ := pem.Decode(secret.Data["tls.crt"])
	if err := h.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, patience, func() error {
		if err := h.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
			return err
		}
		block, _ := pem.Decode(secret.Data["tls.crt"])
		if block == nil || slices.Equal(block.Bytes, first.Bytes) {
			return errors.New("no new certificate")
		}
		after := &cmv1.Certificate{}
		if err := h.Get(t.Context(), client.ObjectKeyFromObject(crt), after); err != nil {
			return err
		}
		if after.Status.Revision == nil || *after.Status.Revision <= *before.Status.Revision {
			return errors.New("no new revision")
		}
		return nil
	})
	h.Ready(t, namespace, crt.Name, time.Minute)
}
