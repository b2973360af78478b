package integration

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/test/harness"
)

func b64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

// role gives a user the controllers' rights except those on some resources of
// cert-manager, until the test ends.
func role(t *testing.T, cluster *harness.Cluster, user string, without ...string) {
	t.Helper()
	roleWithout(t, cluster, user, func(rule rbacv1.PolicyRule) bool {
		return strings.Join(rule.Resources, ",") == strings.Join(without, ",") && !slices.Contains(rule.APIGroups, "certificates.k8s.io")
	})
}

// roleWithout gives a user the controllers' rights except some, until the test ends.
func roleWithout(t *testing.T, cluster *harness.Cluster, user string, left func(rbacv1.PolicyRule) bool) {
	t.Helper()
	roles, err := shippedRoles()
	if err != nil {
		t.Fatal(err)
	}
	less, found := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, false
	for _, role := range roles {
		for _, rule := range role.Rules {
			if left(rule) {
				found = true
				continue
			}
			less.Rules = append(less.Rules, rule)
		}
	}
	if !found {
		t.Fatal("the controllers' roles have no such rule")
	}
	grant(t, cluster, user, less)
}

// grant creates a role and gives it to a user, until the test ends.
func grant(t *testing.T, cluster *harness.Cluster, user string, role *rbacv1.ClusterRole) {
	t.Helper()
	if err := cluster.Create(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	if err := cluster.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, o := range []client.Object{binding, role} {
			if err := cluster.Delete(context.Background(), o); err != nil {
				t.Error(err)
			}
		}
	})
}

// asUser has the controllers run as another user than usual.
func asUser(t *testing.T, cluster *harness.Cluster, user string) func(*rest.Config) {
	t.Helper()
	config, err := cluster.ConfigFor(user)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *rest.Config) { c.TLSClientConfig = config.TLSClientConfig }
}

func requestCondition(r *cmv1.CertificateRequest, kind cmv1.CertificateRequestConditionType) *cmv1.CertificateRequestCondition {
	for i := range r.Status.Conditions {
		if r.Status.Conditions[i].Type == kind {
			return &r.Status.Conditions[i]
		}
	}
	return nil
}

// request waits for the one CertificateRequest of a Certificate.
func (l *lab) request(t *testing.T, certificate string) *cmv1.CertificateRequest {
	t.Helper()
	var found []cmv1.CertificateRequest
	harness.Eventually(t, patience, func() error {
		if found = l.requests(t, certificate); len(found) != 1 {
			return fmt.Errorf("%d requests of %s", len(found), certificate)
		}
		return nil
	})
	return &found[0]
}

// decide sets a condition as an approval controller or a person would.
func (l *lab) decide(t *testing.T, request *cmv1.CertificateRequest, kind cmv1.CertificateRequestConditionType) {
	t.Helper()
	harness.Eventually(t, patience, func() error {
		if err := l.Get(t.Context(), client.ObjectKeyFromObject(request), request); err != nil {
			return err
		}
		now := metav1.Now()
		request.Status.Conditions = append(request.Status.Conditions, cmv1.CertificateRequestCondition{
			Type: kind, Status: cmmeta.ConditionTrue, Reason: "test.example.com", Message: "Decided by a test", LastTransitionTime: &now,
		})
		return l.Status().Update(t.Context(), request)
	})
}

func TestLifecycleApprovalLeftToOthers(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	const user = "controllers-without-approval"
	role(t, cluster, user, "signers")
	l := &lab{Cluster: cluster, ns: cluster.Namespace(t), traffic: &harness.Traffic{}}
	as := asUser(t, cluster, user)
	cluster.Run(t, harness.Controllers{Options: within(l.ns, nil), Config: func(c *rest.Config) {
		as(c)
		l.traffic.Record(c)
	}})
	l.Apply(t, l.ns, labIssuers)
	l.certificate(t, "denied", `{secretName: denied, dnsNames: [denied.example.com], issuerRef: {name: selfsigned}}`)
	request := l.request(t, "root")
	l.traffic.Settle(t, l.ns, 2*time.Second)
	if err := l.Get(t.Context(), client.ObjectKeyFromObject(request), request); err != nil {
		t.Fatal(err)
	}
	if c := requestCondition(request, cmv1.CertificateRequestConditionApproved); c != nil || len(request.Status.Certificate) > 0 {
		t.Fatalf("a request was approved without the permission, or signed without approval: %+v", request.Status)
	}
	l.decide(t, request, cmv1.CertificateRequestConditionApproved)
	l.revision(t, "root", 1)

	l.decide(t, l.request(t, "denied"), cmv1.CertificateRequestConditionDenied)
	failedCertificate(t, l, "denied", "test.example.com", "Decided by a test")
	if _, err := secretOf(t, l, "denied"); err == nil {
		t.Error("a denied request led to a Secret")
	}
}

func secretOf(t *testing.T, l *lab, name string) (*corev1.Secret, error) {
	s := &corev1.Secret{}
	return s, l.Get(t.Context(), client.ObjectKey{Namespace: l.ns, Name: name}, s)
}

// failedCertificate waits until an issuance has failed and says why.
func failedCertificate(t *testing.T, l *lab, name string, words ...string) *cmv1.Certificate {
	t.Helper()
	var crt *cmv1.Certificate
	harness.Eventually(t, patience, func() error {
		crt = l.crt(t, name)
		c := certificateCondition(crt, cmv1.CertificateConditionIssuing)
		if c == nil || c.Status != cmmeta.ConditionFalse || crt.Status.FailedIssuanceAttempts == nil {
			return fmt.Errorf("the issuance has not failed: %s", conditions(crt))
		}
		for _, w := range words {
			if !strings.Contains(c.Reason+" "+c.Message, w) {
				return fmt.Errorf("the Issuing condition does not say %q: %s", w, conditions(crt))
			}
		}
		return nil
	})
	return crt
}

// A denial that comes at the same time as our approval wins, and nothing is
// signed for a request that is denied.
func TestLifecycleDenialIsFinal(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	l.Apply(t, l.ns, "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: late}\nspec: {ca: {secretName: late}}\n")
	l.certificate(t, "denied", `{secretName: denied, dnsNames: [denied.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: late}}`)
	request := l.request(t, "denied")
	harness.Eventually(t, patience, func() error {
		if err := l.Get(t.Context(), client.ObjectKeyFromObject(request), request); err != nil {
			return err
		}
		if requestCondition(request, cmv1.CertificateRequestConditionApproved) == nil {
			return fmt.Errorf("not approved yet")
		}
		return nil
	})
	// Whoever is approved cannot be denied any more.
	now := metav1.Now()
	request.Status.Conditions = append(request.Status.Conditions, cmv1.CertificateRequestCondition{
		Type: cmv1.CertificateRequestConditionDenied, Status: cmmeta.ConditionTrue, Reason: "test", Message: "test", LastTransitionTime: &now,
	})
	if err := l.Status().Update(t.Context(), request); err == nil {
		t.Error("a request could be both approved and denied")
	}
}

// A leaf whose CA ends before the renewal time of the leaf is issued, with a
// warning.
func TestLifecycleOutlivesIssuer(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	l.certificate(t, "old", simple("old", `, duration: 17520h`))
	crt := l.revision(t, "old", 1)
	ca, leaf := verify(t, l.secret(t, "root"), "")[0], verify(t, l.secret(t, "old"), "old.example.com")[0]
	if !leaf.NotAfter.After(ca.NotAfter) {
		t.Fatalf("the leaf ends on %s, its CA on %s", leaf.NotAfter, ca.NotAfter)
	}
	dates := []string{leaf.NotAfter.UTC().Format(time.RFC3339), ca.NotAfter.UTC().Format(time.RFC3339)}
	ready := certificateCondition(crt, cmv1.CertificateConditionReady)
	if want := "Certificate is up to date and has not expired"; ready.Message != want {
		t.Errorf("the Ready message is %q, want cert-manager's %q", ready.Message, want)
	}
	if e := l.event(t, "CertificateRequest", "old-1", "OutlivesIssuer", dates...); e.Type != corev1.EventTypeWarning {
		t.Errorf("the event is %s", e.Type)
	}
	l.traffic.Settle(t, l.ns, time.Second)
	l.revision(t, "old", 1)
}

// An expired certificate is not ready, whatever else is under way.
func TestLifecycleExpired(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	l.certificate(t, "expired", simple("expired", ""))
	l.revision(t, "expired", 1)
	// Nothing new can be issued: the issuer has gone.
	if err := l.Delete(t.Context(), &cmv1.Issuer{ObjectMeta: metaNamed(l.ns, "ca")}); err != nil {
		t.Fatal(err)
	}
	s := l.secret(t, "expired")
	crt, key := expiredLike(t, l.secret(t, "root"), s)
	l.patch(t, &corev1.Secret{}, "expired", fmt.Sprintf(`{"data":{"tls.crt":%q,"tls.key":%q}}`, b64(crt), b64(key)))
	harness.Eventually(t, patience, func() error {
		crt := l.crt(t, "expired")
		ready := certificateCondition(crt, cmv1.CertificateConditionReady)
		if ready.Status != cmmeta.ConditionFalse || ready.Reason != "Expired" || !strings.Contains(ready.Message, "expired on") {
			return fmt.Errorf("%s", conditions(crt))
		}
		if !isTrue(crt, cmv1.CertificateConditionIssuing) {
			return fmt.Errorf("no renewal is under way: %s", conditions(crt))
		}
		return nil
	})
	l.Apply(t, l.ns, labIssuers)
	l.revision(t, "expired", 2)
}
