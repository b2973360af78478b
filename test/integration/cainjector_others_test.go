package integration

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/injector"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/harness"
)

// setBundle has a program set the bundle of the first webhook by an update.
func (i *injection) setBundle(t *testing.T, object *unstructured.Unstructured, manager, bundle string) {
	t.Helper()
	harness.Eventually(t, time.Minute, func() error {
		if err := i.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		list, _, _ := unstructured.NestedSlice(object.Object, "webhooks")
		config := list[0].(map[string]any)["clientConfig"].(map[string]any)
		delete(config, "caBundle")
		if bundle != "" {
			config["caBundle"] = base64.StdEncoding.EncodeToString([]byte(bundle))
		}
		if err := unstructured.SetNestedSlice(object.Object, list, "webhooks"); err != nil {
			return err
		}
		return i.Update(t.Context(), object, client.FieldOwner(manager))
	})
}

// TestCAInjectorAndAnotherProgram: a program that replaces the CA again and again is
// met with a brake, and named; a new CA is injected all the same.
func TestCAInjectorAndAnotherProgram(t *testing.T) {
	i := newInjection(t)
	i.run(t, nil, nil)
	ca, next, other := authority(t, "ca"), authority(t, "next"), authority(t, "other")
	allow := map[string]string{allowInjection: "true"}
	i.secret(t, "ca", ca, allow)
	object := i.object(t, "MutatingWebhookConfiguration", "fought", injectFromSecret, i.ns+"/ca")
	i.has(t, object, ca)
	for n := range 4 {
		if n > 0 {
			i.has(t, object, other+ca)
		}
		i.setBundle(t, object, "replacer", other)
	}
	harness.Eventually(t, time.Minute, func() error {
		if i.logged("No CA is injected", "removed or replaced each time", `the last writer is \"replacer\" (Update)`, "next try at ") == 0 {
			return errors.New("the log does not name the other program")
		}
		return nil
	})
	if got := i.writes(t); got != 4 {
		t.Errorf("%d writes, want 4", got)
	}
	i.secret(t, "ca", next, allow)
	i.has(t, object, other+next)
}

// TestCAInjectorTakesOver: the fields that an earlier cainjector set by an update are
// fields of an apply afterwards, and what Helm applies again keeps the CA.
func TestCAInjectorTakesOver(t *testing.T) {
	i := newInjection(t)
	ca, old := authority(t, "ca"), authority(t, "old")
	i.secret(t, "ca", ca, map[string]string{allowInjection: "true"})
	object := i.object(t, "MutatingWebhookConfiguration", "old", injectFromSecret, i.ns+"/ca")
	i.setBundle(t, object, "cert-manager-cainjector", old)
	i.run(t, nil, nil)
	i.has(t, object, old+ca)
	owners := func() []string {
		var all []string
		for _, entry := range object.GetManagedFields() {
			if entry.FieldsV1 != nil && strings.Contains(entry.FieldsV1.GetRawString(), "caBundle") {
				all = append(all, fmt.Sprintf("%s by %s", entry.Manager, entry.Operation))
			}
		}
		return all
	}
	const want = "[cert-manager-cainjector by Apply]"
	if got := fmt.Sprint(owners()); got != want {
		t.Errorf("owners of the bundle: %s, want %s", got, want)
	}
	i.object(t, "MutatingWebhookConfiguration", "old", injectFromSecret, i.ns+"/ca")
	i.has(t, object, old+ca)
	if got := i.writes(t); got != 2 {
		t.Errorf("%d writes, want 2: the upgrade and the CA", got)
	}
}

// rules are what the cainjector may do, as in the chart but without what it does not
// need.
const rules = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: cainjector-NS}
rules:
- {apiGroups: [cert-manager.io], resources: [certificates], verbs: [get, list, watch]}
- {apiGroups: [""], resources: [secrets], verbs: [get, list, watch]}
- {apiGroups: [""], resources: [events], verbs: [create, patch]}
- {apiGroups: [admissionregistration.k8s.io], resources: [validatingwebhookconfigurations, mutatingwebhookconfigurations], verbs: [get, list, watch, patch]}
- {apiGroups: [apiregistration.k8s.io], resources: [apiservices], verbs: [get, list, watch, patch]}
- {apiGroups: [apiextensions.k8s.io], resources: [customresourcedefinitions], verbs: [get, list, watch, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: cainjector-NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cainjector-NS}
subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: cainjector-NS}]
`

const leaseRules = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: cainjector}
rules:
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, update, patch], resourceNames: [cert-manager-cainjector-leader-election]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: cainjector}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: cainjector}
subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: cainjector-NS}]
`

// TestCAInjectorNeedsItsLease: without the Role for the lease, one line says what is
// missing; with it, these rules are enough for everything.
func TestCAInjectorNeedsItsLease(t *testing.T) {
	i := newInjection(t)
	as := func(c *rest.Config) { c.Impersonate = rest.ImpersonationConfig{UserName: "cainjector-" + i.ns} }
	fill := func(text string) string { return strings.ReplaceAll(text, "NS", i.ns) }
	for _, object := range i.Apply(t, i.ns, fill(rules)) {
		t.Cleanup(func() { _ = i.Delete(context.Background(), object) })
	}
	i.run(t, func(o *injector.Options) {
		o.LeaderElection.Enabled, o.LeaderElection.Namespace = true, i.ns
		o.LeaderElection.LeaseDuration, o.LeaderElection.RenewDeadline, o.LeaderElection.RetryPeriod = 15*time.Second, 10*time.Second, time.Second
	}, as)
	harness.Eventually(t, time.Minute, func() error {
		if i.logged("Leader election: RBAC does not allow to get leases.coordination.k8s.io", "in namespace "+i.ns, "global.leaderElection.namespace") == 0 {
			return errors.New("the log does not say what is missing")
		}
		return nil
	})
	i.Apply(t, i.ns, fill(leaseRules))
	ca := authority(t, "ca")
	i.secret(t, "ca", ca, map[string]string{allowInjection: "true"})
	for kind := range manifests {
		i.has(t, i.object(t, kind, "any", injectFromSecret, i.ns+"/ca"), ca)
	}
	if n := i.logged("RBAC does not allow"); n != 1 {
		t.Errorf("%d lines about the lease, want 1", n)
	}
	if n := i.logged("is forbidden"); n != 0 {
		t.Errorf("%d lines say that something is forbidden", n)
	}
}

// TestCAInjectorReplicas: one of two works; when it stops, the other goes on.
func TestCAInjectorReplicas(t *testing.T) {
	i := newInjection(t)
	elect := func(o *injector.Options) {
		o.LeaderElection.Enabled, o.LeaderElection.Namespace = true, i.ns
		o.LeaderElection.LeaseDuration, o.LeaderElection.RenewDeadline, o.LeaderElection.RetryPeriod = 15*time.Second, 10*time.Second, time.Second
	}
	stop := i.run(t, elect, nil)
	first, second := authority(t, "first"), authority(t, "second")
	allow := map[string]string{allowInjection: "true"}
	i.secret(t, "ca", first, allow)
	object := i.object(t, "CustomResourceDefinition", "widget", injectFromSecret, i.ns+"/ca")
	i.has(t, object, first)
	standby := &injection{Cluster: i.Cluster, ns: i.ns, registry: prometheus.NewRegistry()}
	standby.run(t, elect, nil)
	i.secret(t, "ca", second, allow)
	i.has(t, object, first+second)
	if got := standby.writes(t); got != 0 {
		t.Errorf("the standby has sent %d writes", got)
	}
	stop()
	third := authority(t, "third")
	i.secret(t, "ca", third, allow)
	i.has(t, object, first+second+third)
}

// TestCAInjectorForSolver: the objects that the chart of a solver webhook brings, with
// certificates of everleaf's own.
func TestCAInjectorForSolver(t *testing.T) {
	i := newInjection(t)
	i.run(t, nil, nil)
	i.Run(t, harness.Controllers{Options: func(o *operator.Options) { o.Namespace = i.ns }})
	object := i.object(t, "APIService", "solver", injectFromCertificate, i.ns+"/solver-tls")
	i.Apply(t, i.ns, strings.ReplaceAll(`
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: selfsign}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: root}
spec: {secretName: root, duration: 43800h, issuerRef: {name: selfsign}, commonName: ca.solver, isCA: true}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: ca}
spec: {ca: {secretName: root}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: solver-tls}
spec: {secretName: solver-tls, duration: 8760h, issuerRef: {name: ca}, dnsNames: [solver, solver.NS, solver.NS.svc]}
`, "NS", i.ns))
	i.Ready(t, i.ns, "solver-tls", 60*time.Second)
	root := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: i.ns, Name: "root"}}
	if err := i.Get(t.Context(), client.ObjectKeyFromObject(root), root); err != nil {
		t.Fatal(err)
	}
	i.has(t, object, string(root.Data["tls.crt"]))
}
