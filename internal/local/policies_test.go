package local_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/controlplane"
)

var requests = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificaterequests"}

// csr returns a PEM certificate request, base64-encoded as in JSON.
func csr(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "example.com"}, DNSNames: []string{"example.com"},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	return base64.StdEncoding.EncodeToString(text)
}

// newRequest returns a CertificateRequest with more fields of spec.
func newRequest(t *testing.T, issuer, spec map[string]any) *unstructured.Unstructured {
	t.Helper()
	fields := map[string]any{"request": csr(t), "issuerRef": issuer}
	for name, value := range spec {
		fields[name] = value
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "cert-manager.io/v1",
		"kind":       "CertificateRequest",
		"metadata": map[string]any{
			"generateName": "request-",
			"annotations":  map[string]any{"cert-manager.io/certificate-name": "a", "other.example/x": "1"},
		},
		"spec": fields,
	}}
}

// as returns a client for requests that authenticates as a user.
func as(t *testing.T, cp *local.ControlPlane, namespace, user string, groups ...string) dynamic.ResourceInterface {
	t.Helper()
	config, err := cp.ConfigFor(user, groups...)
	if err != nil {
		t.Fatal(err)
	}
	return requestsOf(t, config, namespace)
}

func requestsOf(t *testing.T, config *rest.Config, namespace string) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(requests).Namespace(namespace)
}

// grant gives a user rights in the whole cluster.
func grant(t *testing.T, cp *local.ControlPlane, user string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	client := clientFor(t, cp.RESTConfig())
	rules = append(rules, rbacv1.PolicyRule{
		APIGroups: []string{"cert-manager.io"},
		Resources: []string{"certificaterequests", "certificaterequests/status"},
		Verbs:     []string{"*"},
	})
	role, err := client.RbacV1().ClusterRoles().Create(t.Context(),
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}, Rules: rules}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	grantRole(t, cp, user, role.Name)
	// The authorizer learns of the binding through a watch.
	until(t, "rights of "+user, func() bool {
		config, err := cp.ConfigFor(user)
		if err != nil {
			t.Fatal(err)
		}
		_, err = requestsOf(t, config, "default").List(t.Context(), metav1.ListOptions{})
		return err == nil
	})
}

// grantRole binds a user to a ClusterRole until the test ends.
func grantRole(t *testing.T, cp *local.ControlPlane, user, role string) {
	t.Helper()
	bindings := clientFor(t, cp.RESTConfig()).RbacV1().ClusterRoleBindings()
	binding, err := bindings.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bindings.Delete(context.Background(), binding.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}

func approveSigner(names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{
		APIGroups: []string{"cert-manager.io"}, Resources: []string{"signers"}, Verbs: []string{"approve"}, ResourceNames: names,
	}
}

func condition(kind string) map[string]any {
	return map[string]any{"type": kind, "status": "True", "reason": "test", "message": "test", "lastTransitionTime": "2026-01-02T03:04:05Z"}
}

func setConditions(t *testing.T, object *unstructured.Unstructured, conditions ...any) *unstructured.Unstructured {
	t.Helper()
	object = object.DeepCopy()
	if err := unstructured.SetNestedSlice(object.Object, conditions, "status", "conditions"); err != nil {
		t.Fatal(err)
	}
	return object
}

// refusal returns the part of an error that is ours, or "".
func refusal(err error) string {
	if err == nil {
		return ""
	}
	if _, message, ok := strings.Cut(err.Error(), "denied request: "); ok {
		return message
	}
	return err.Error()
}

func TestApprovalNeedsPermissionOnTheSigner(t *testing.T) {
	cp := controlplane.Shared(t)
	namespace := controlplane.Namespace(t, cp, nil)
	free := controlplane.Namespace(t, cp, map[string]string{"cert-manager.io/disable-validation": "true"})
	admin, adminFree := requestsOf(t, cp.RESTConfig(), namespace), requestsOf(t, cp.RESTConfig(), free)

	const no = ` does not have permissions to set approved/denied conditions for issuer `
	tests := []struct {
		name    string
		rule    rbacv1.PolicyRule
		issuer  map[string]any
		free    bool
		refusal string
	}{
		{"no rights", approveSigner("none"), map[string]any{"name": "x", "kind": "Issuer", "group": "cert-manager.io"}, false, no + "{x Issuer cert-manager.io}"},
		{"no rights, validation disabled", approveSigner("none"), map[string]any{"name": "x", "kind": "Issuer"}, true, ""},
		{"defaults shown as stored", approveSigner("none"), map[string]any{"name": "x"}, false, no + "{x  }"},
		{"all issuers", approveSigner("issuers.cert-manager.io/*"), map[string]any{"name": "x"}, false, ""},
		{"all issuers is not all cluster issuers", approveSigner("issuers.cert-manager.io/*"), map[string]any{"name": "x", "kind": "ClusterIssuer"}, false, no + "{x ClusterIssuer }"},
		{"this issuer", approveSigner("issuers.cert-manager.io/" + namespace + ".x"), map[string]any{"name": "x", "kind": "Issuer"}, false, ""},
		{"another issuer", approveSigner("issuers.cert-manager.io/" + namespace + ".y"), map[string]any{"name": "x", "kind": "Issuer"}, false, no + "{x Issuer }"},
		{"another namespace's issuer", approveSigner("issuers.cert-manager.io/default.x"), map[string]any{"name": "x", "kind": "Issuer"}, false, no + "{x Issuer }"},
		{"this cluster issuer", approveSigner("clusterissuers.cert-manager.io/x"), map[string]any{"name": "x", "kind": "ClusterIssuer"}, false, ""},
		{"another cluster issuer", approveSigner("clusterissuers.cert-manager.io/y"), map[string]any{"name": "x", "kind": "ClusterIssuer"}, false, no + "{x ClusterIssuer }"},
		{"foreign kind", approveSigner("ejbcaissuers.ejbca.example/*"), map[string]any{"name": "x", "kind": "EJBCAIssuer", "group": "ejbca.example"}, false, ""},
		{"foreign kind, no rights", approveSigner("issuers.cert-manager.io/*"), map[string]any{"name": "x", "kind": "EJBCAIssuer", "group": "ejbca.example"}, false, no + "{x EJBCAIssuer ejbca.example}"},
		{"foreign cluster kind", approveSigner("awspcaclusterissuers.awspca.example/x"), map[string]any{"name": "x", "kind": "AWSPCAClusterIssuer", "group": "awspca.example"}, false, ""},
	}
	for i, test := range tests {
		for _, decision := range []string{"Approved", "Denied"} {
			t.Run(test.name+"/"+decision, func(t *testing.T) {
				// Users of their own, as rights that end linger for a moment.
				approverName := fmt.Sprintf("%s-approver-%d", decision, i)
				signerName := fmt.Sprintf("%s-signer-%d", decision, i)
				grant(t, cp, approverName, test.rule)
				creator, ns := admin, namespace
				if test.free {
					creator, ns = adminFree, free
				}
				made, err := creator.Create(t.Context(), newRequest(t, test.issuer, nil), metav1.CreateOptions{})
				if err != nil {
					t.Fatal(err)
				}
				approver := as(t, cp, ns, approverName)
				// Any other condition needs no such right.
				pending := condition("Ready")
				pending["status"] = "False"
				made, err = approver.UpdateStatus(t.Context(), setConditions(t, made, pending), metav1.UpdateOptions{})
				if err != nil {
					t.Fatalf("set Ready: %v", err)
				}
				_, err = approver.UpdateStatus(t.Context(), setConditions(t, made, pending, condition(decision)), metav1.UpdateOptions{})
				want := test.refusal
				if want != "" {
					want = fmt.Sprintf("status.conditions: Forbidden: user %q", approverName) + want
				}
				if diff := cmp.Diff(want, refusal(err)); diff != "" {
					t.Errorf("set %s (-want +got):\n%s", decision, diff)
				}
				if test.refusal != "" {
					return
				}
				// Once decided, a write that keeps the decision needs no right.
				grant(t, cp, signerName)
				decided, err := creator.Get(t.Context(), made.GetName(), metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				_, err = as(t, cp, ns, signerName).UpdateStatus(t.Context(), setConditions(t, decided, condition("Ready"), condition(decision)), metav1.UpdateOptions{})
				if err != nil {
					t.Errorf("set Ready after the decision: %v", err)
				}
			})
		}
	}
}

func TestIdentityIsTheRequesters(t *testing.T) {
	cp := controlplane.Shared(t)
	namespace := controlplane.Namespace(t, cp, nil)
	grant(t, cp, "requester", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"users", "groups", "uids"}, Verbs: []string{"impersonate"}},
		rbacv1.PolicyRule{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"*"}, Verbs: []string{"impersonate"}})
	config, err := cp.ConfigFor("requester")
	if err != nil {
		t.Fatal(err)
	}
	// Impersonated, because a client certificate always brings an extra field.
	plain, rich := rest.CopyConfig(config), rest.CopyConfig(config)
	plain.Impersonate = rest.ImpersonationConfig{UserName: "requester", Groups: []string{"team-a"}}
	rich.Impersonate = rest.ImpersonationConfig{
		UserName: "requester", UID: "42", Groups: []string{"team-b"}, Extra: map[string][]string{"example.com/scopes": {"a", "b"}},
	}
	forged := map[string]any{
		"username": "admin", "uid": "1", "groups": []any{"system:masters"}, "extra": map[string]any{"k": []any{"v"}},
	}
	plainWant := map[string]any{"username": "requester", "groups": []any{"team-a", "system:authenticated"}}
	richWant := map[string]any{
		"username": "requester", "uid": "42", "groups": []any{"team-b", "system:authenticated"},
		"extra": map[string]any{"example.com/scopes": []any{"a", "b"}},
	}
	tests := []struct {
		name   string
		config *rest.Config
		spec   map[string]any
		want   map[string]any
	}{
		{"nothing claimed", plain, nil, plainWant},
		{"rightly claimed", plain, map[string]any{"username": "requester", "groups": []any{"team-a", "system:authenticated"}}, plainWant},
		{"forged", plain, forged, plainWant},
		{"nothing claimed, uid and extra", rich, nil, richWant},
		{"forged, uid and extra", rich, forged, richWant},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := requestsOf(t, test.config, namespace)
			made, err := client.Create(t.Context(), newRequest(t, map[string]any{"name": "x"}, test.spec), metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]any{}
			spec := made.Object["spec"].(map[string]any)
			for _, field := range []string{"username", "uid", "groups", "extra"} {
				if value, ok := spec[field]; ok {
					got[field] = value
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}

			for field, value := range forged {
				changed := made.DeepCopy()
				changed.Object["spec"].(map[string]any)[field] = value
				if _, err := client.Update(t.Context(), changed, metav1.UpdateOptions{}); err == nil {
					t.Errorf("%s could be changed after creation", field)
				}
			}
		})
	}
}

func TestAnnotationsOfRequestsAreImmutable(t *testing.T) {
	cp := controlplane.Shared(t)
	refused := func(key string) string {
		return "metadata.annotations." + key + ": Forbidden: cannot change cert-manager annotation after creation"
	}
	tests := []struct {
		name    string
		labels  map[string]string
		set     map[string]any
		refusal string
	}{
		{"unchanged", nil, map[string]any{"cert-manager.io/certificate-name": "a", "other.example/x": "1"}, ""},
		{"another key", nil, map[string]any{"cert-manager.io/certificate-name": "a", "venafi.cert-manager.io/pickup-id": "7"}, ""},
		{"changed", nil, map[string]any{"cert-manager.io/certificate-name": "b"}, refused("cert-manager.io/certificate-name")},
		{"removed", nil, map[string]any{"other.example/x": "1"}, refused("cert-manager.io/certificate-name")},
		{"all removed", nil, nil, refused("cert-manager.io/certificate-name")},
		{"added", nil, map[string]any{"cert-manager.io/certificate-name": "a", "acme.cert-manager.io/x": "1"}, refused("acme.cert-manager.io/x")},
		{"added, prefix without slash", nil, map[string]any{"cert-manager.io/certificate-name": "a", "cert-manager.iox": "1"}, refused("cert-manager.iox")},
		{"changed, validation disabled", map[string]string{"cert-manager.io/disable-validation": "true"}, map[string]any{"cert-manager.io/certificate-name": "b"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := requestsOf(t, cp.RESTConfig(), controlplane.Namespace(t, cp, test.labels))
			made, err := client.Create(t.Context(), newRequest(t, map[string]any{"name": "x"}, nil), metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			made.Object["metadata"].(map[string]any)["annotations"] = test.set
			_, err = client.Update(t.Context(), made, metav1.UpdateOptions{})
			if diff := cmp.Diff(test.refusal, refusal(err)); diff != "" {
				t.Errorf("update (-want +got):\n%s", diff)
			}
		})
	}
}
