package integration

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/test/harness"
)

// originIssuers are the issuer kinds of somebody else, whose controller is not here.
const originIssuers = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: originissuers.origin.example}
spec:
  group: origin.example
  names: {kind: OriginIssuer, listKind: OriginIssuerList, plural: originissuers, singular: originissuer}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: originclusterissuers.origin.example}
spec:
  group: origin.example
  names: {kind: OriginClusterIssuer, listKind: OriginClusterIssuerList, plural: originclusterissuers, singular: originclusterissuer}
  scope: Cluster
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
`

// mayApprove gives a user the right to approve requests for signers with these names, all
// of them without any, until the test ends.
func mayApprove(t *testing.T, cluster *harness.Cluster, user string, names ...string) {
	t.Helper()
	grant(t, cluster, user, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"cert-manager.io"}, Resources: []string{"signers"}, Verbs: []string{"approve"}, ResourceNames: names}},
	})
}

// TestLifecycleSigners has the forms of ClusterRoles that charts of external issuers ship,
// and which requests the controllers approve with each.
func TestLifecycleSigners(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	l.Apply(t, l.ns, originIssuers)
	namespaced := cmmeta.IssuerReference{Name: "prod", Kind: "OriginIssuer", Group: "origin.example"}
	clusterwide := cmmeta.IssuerReference{Name: "prod", Kind: "OriginClusterIssuer", Group: "origin.example"}
	for i, form := range []struct {
		names      []string
		one, every bool
	}{
		{[]string{"originissuers.origin.example/*"}, true, false},
		{[]string{"originclusterissuers.origin.example/*"}, false, true},
		{[]string{"originissuers.origin.example/" + l.ns + ".prod"}, true, false},
		{[]string{"originissuers.origin.example/prod"}, false, false},
		{[]string{"originclusterissuers.origin.example/prod"}, false, true},
		{[]string{"originclusterissuers.origin.example/" + l.ns + ".prod"}, false, false},
		{[]string{"origin.example/*"}, false, false},
		{nil, true, true},
	} {
		user := fmt.Sprintf("%s-approver-%d", l.ns, i)
		mayApprove(t, l.Cluster, user, form.names...)
		config, err := l.ConfigFor(user)
		if err != nil {
			t.Fatal(err)
		}
		core, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		for _, asked := range []struct {
			ref  cmmeta.IssuerReference
			want bool
		}{{namespaced, form.one}, {clusterwide, form.every}} {
			// Neither a new role nor a new kind is known everywhere at once.
			harness.Eventually(t, patience, func() error {
				got, err := cluster.NewApproval(core, clock.RealClock{}).May(t.Context(), l.ns, asked.ref)
				if err == nil && got != asked.want {
					err = fmt.Errorf("%v for %s: approved %t, want %t", form.names, asked.ref.Kind, got, asked.want)
				}
				return err
			})
		}
	}
}

// TestLifecycleExternalIssuer has an external issuer, controllers that may approve the
// requests to one of its issuers, and an approver of somebody else for the others, which
// decides by who has made a request.
func TestLifecycleExternalIssuer(t *testing.T) {
	t.Parallel()
	shared := harness.Shared(t)
	l := &lab{Cluster: shared, ns: shared.Namespace(t), traffic: &harness.Traffic{}}
	user := "controllers-of-" + l.ns
	role(t, shared, user, "signers")
	mayApprove(t, shared, user, "originissuers.origin.example/"+l.ns+".prod")
	as := asUser(t, shared, user)
	l.Apply(t, l.ns, originIssuers)
	shared.Run(t, harness.Controllers{Options: within(l.ns, nil), Config: func(c *rest.Config) {
		as(c)
		l.traffic.Record(c)
	}})
	spec := func(name, issuer string) string {
		return fmt.Sprintf(`{secretName: %s, dnsNames: [%s.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: %s, kind: OriginIssuer, group: origin.example}}`, name, name, issuer)
	}
	l.certificate(t, "approved", spec("approved", "prod"))
	l.certificate(t, "waits", spec("waits", "other"))
	harness.Eventually(t, patience, func() error {
		if r := l.request(t, "approved"); requestCondition(r, cmv1.CertificateRequestConditionApproved) == nil {
			return fmt.Errorf("not approved: %+v", r.Status)
		}
		return nil
	})
	waits := l.request(t, "waits")
	if waits.Spec.Username != user || !slices.Contains(waits.Spec.Groups, "system:authenticated") {
		t.Errorf("made by %q of %v", waits.Spec.Username, waits.Spec.Groups)
	}
	harness.Eventually(t, patience, func() error {
		c := certificateCondition(l.crt(t, "waits"), cmv1.CertificateConditionIssuing)
		if c == nil || !strings.Contains(c.Message, `CertificateRequest "waits-1" has to be approved`) {
			return fmt.Errorf("the Issuing condition is %+v", c)
		}
		return nil
	})
	l.decide(t, waits, cmv1.CertificateRequestConditionApproved)
	harness.Eventually(t, patience, func() error {
		if c := certificateCondition(l.crt(t, "waits"), cmv1.CertificateConditionIssuing); c == nil || !strings.Contains(c.Message, `OriginIssuer.origin.example "other" has not answered CertificateRequest "waits-1"`) {
			return fmt.Errorf("the Issuing condition is %+v", c)
		}
		return nil
	})
}

// TestLifecycleDeniedWithOneKey has a request that is denied, of a Certificate whose key
// never changes: the next attempt has a new request with the same key.
func TestLifecycleDeniedWithOneKey(t *testing.T) {
	t.Parallel()
	shared := harness.Shared(t)
	l := &lab{Cluster: shared, ns: shared.Namespace(t), traffic: &harness.Traffic{}}
	user := "controllers-of-" + l.ns
	role(t, shared, user, "signers")
	as := asUser(t, shared, user)
	shared.Run(t, harness.Controllers{Options: within(l.ns, nil), Config: func(c *rest.Config) {
		as(c)
		l.traffic.Record(c)
	}})
	l.Apply(t, l.ns, "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: own}\nspec: {selfSigned: {}}\n")
	spec := func(host string) string {
		return `{secretName: keeps, dnsNames: [` + host + `], privateKey: {algorithm: ECDSA, rotationPolicy: Never}, issuerRef: {name: own}}`
	}
	l.certificate(t, "keeps", spec("a.example.com"))
	l.decide(t, l.request(t, "keeps"), cmv1.CertificateRequestConditionApproved)
	l.revision(t, "keeps", 1)
	before := l.secret(t, "keeps")

	of := func(revision string, but *cmv1.CertificateRequest) *cmv1.CertificateRequest {
		t.Helper()
		var found *cmv1.CertificateRequest
		harness.Eventually(t, patience, func() error {
			for _, r := range l.requests(t, "keeps") {
				if r.Annotations[cmv1.CertificateRequestRevisionAnnotationKey] == revision && (but == nil || r.UID != but.UID) {
					found = &r
					return nil
				}
			}
			return fmt.Errorf("no other request of revision %s", revision)
		})
		return found
	}
	l.certificate(t, "keeps", spec("b.example.com"))
	denied := of("2", nil)
	l.decide(t, denied, cmv1.CertificateRequestConditionDenied)
	failedCertificate(t, l, "keeps", "Decided by a test")
	l.patch(t, &cmv1.Certificate{}, "keeps", `{"spec":{"dnsNames":["c.example.com"]}}`)
	next := of("2", denied)
	if next.Name != denied.Name {
		t.Errorf("the next request is %s, want %s", next.Name, denied.Name)
	}
	l.decide(t, next, cmv1.CertificateRequestConditionApproved)
	l.revision(t, "keeps", 2)
	if after := l.secret(t, "keeps"); !bytes.Equal(before.Data[corev1.TLSPrivateKeyKey], after.Data[corev1.TLSPrivateKeyKey]) {
		t.Error("the private key was rotated")
	}
}

// TestLifecycleHistory holds how many requests of a Certificate stay.
func TestLifecycleHistory(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	spec := func(host string, limit int) string {
		return simple("kept", fmt.Sprintf(", commonName: %s, revisionHistoryLimit: %d", host, limit))
	}
	left := func(want ...string) {
		t.Helper()
		harness.Eventually(t, patience, func() error {
			var have []string
			for _, r := range l.requests(t, "kept") {
				have = append(have, r.Annotations[cmv1.CertificateRequestRevisionAnnotationKey])
			}
			if slices.Sort(have); !slices.Equal(have, want) {
				return fmt.Errorf("requests of the revisions %v are left, want %v", have, want)
			}
			return nil
		})
	}
	for revision := 1; revision <= 4; revision++ {
		l.certificate(t, "kept", spec(fmt.Sprintf("host-%d", revision), 3))
		l.revision(t, "kept", revision)
	}
	left("2", "3", "4")
	l.traffic.Settle(t, l.ns, time.Second)
	left("2", "3", "4")
	// A smaller limit counts at once, without an issuance.
	l.certificate(t, "kept", spec("host-4", 1))
	left("4")
	l.revision(t, "kept", 4)
}
