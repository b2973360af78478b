package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/harness"
)

const (
	issuerAnnotation   = `cert-manager.io/issuer: ca`
	ecdsaAnnotation    = `cert-manager.io/private-key-algorithm: ECDSA`
	createdCertificate = "CreateCertificate"
)

// ingress applies an Ingress with annotations and TLS entries, in YAML's flow style:
// what is left out of a later manifest is removed.
func (l *lab) ingress(t *testing.T, name, annotations, tls string) {
	t.Helper()
	l.Apply(t, l.ns, fmt.Sprintf(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %s, labels: {app: %s}, annotations: {%s}}
spec: {tls: [%s], defaultBackend: {service: {name: x, port: {number: 80}}}}
`, name, name, annotations, tls))
}

// wants is a TLS entry for a Secret and a host.
func wants(secret string, hosts ...string) string {
	return fmt.Sprintf("{secretName: %s, hosts: [%s]}", secret, strings.Join(hosts, ", "))
}

// becomes waits until a Certificate is as check wants it.
func (l *lab) becomes(t *testing.T, name string, check func(*cmv1.Certificate) error) *cmv1.Certificate {
	t.Helper()
	c := &cmv1.Certificate{}
	harness.Eventually(t, patience, func() error {
		*c = cmv1.Certificate{}
		if err := l.Get(t.Context(), client.ObjectKey{Namespace: l.ns, Name: name}, c); err != nil {
			return err
		}
		return check(c)
	})
	return c
}

// names waits until a Certificate has exactly these DNS names.
func (l *lab) names(t *testing.T, name string, want ...string) *cmv1.Certificate {
	t.Helper()
	return l.becomes(t, name, func(c *cmv1.Certificate) error {
		if !slices.Equal(c.Spec.DNSNames, want) {
			return fmt.Errorf("Certificate %s has the names %v", name, c.Spec.DNSNames)
		}
		return nil
	})
}

// gone waits until there is no such Certificate.
func (l *lab) gone(t *testing.T, name string) {
	t.Helper()
	harness.Eventually(t, patience, func() error {
		err := l.Get(t.Context(), client.ObjectKey{Namespace: l.ns, Name: name}, &cmv1.Certificate{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("Certificate %s is there: %w", name, err)
	})
}

// warnings are the warnings about an Ingress, with how often they were sent.
func (l *lab) warnings(t *testing.T, ingress string) map[string]int32 {
	t.Helper()
	list := &corev1.EventList{}
	if err := l.List(t.Context(), list, client.InNamespace(l.ns)); err != nil {
		t.Fatal(err)
	}
	found := map[string]int32{}
	for _, e := range list.Items {
		if e.InvolvedObject.Kind == "Ingress" && e.InvolvedObject.Name == ingress && e.Type == corev1.EventTypeWarning {
			found[e.Reason+": "+e.Message] += e.Count
		}
	}
	return found
}

func allEvents(o *operator.Options) { o.AllEvents = true }

// TestIngress: a Certificate is made for each TLS entry, follows the Ingress, is put
// back when somebody deletes or changes it, and goes with its entry and its Ingress.
func TestIngress(t *testing.T) {
	l := newLab(t, harness.Controllers{Options: allEvents})
	annotations := issuerAnnotation + ", " + ecdsaAnnotation
	l.ingress(t, "app", annotations, wants("a-tls", "a.example.test", "192.0.2.1")+", "+wants("b-tls", "b.example.test")+", {secretName: c-tls}")
	l.event(t, "Ingress", "app", createdCertificate, `Successfully created Certificate "a-tls"`)
	l.event(t, "Ingress", "app", "BadConfig", "Skipped a TLS block: spec.tls[2].hosts: Required value")
	a := l.Ready(t, l.ns, "a-tls", patience)
	l.Ready(t, l.ns, "b-tls", patience)
	want := cmv1.CertificateSpec{
		SecretName: "a-tls", DNSNames: []string{"a.example.test"}, IPAddresses: []string{"192.0.2.1"},
		IssuerRef: cmmeta.IssuerReference{Name: "ca", Kind: "Issuer", Group: "cert-manager.io"},
		Usages:    []cmv1.KeyUsage{cmv1.UsageDigitalSignature, cmv1.UsageKeyEncipherment}, PrivateKey: &cmv1.CertificatePrivateKey{Algorithm: cmv1.ECDSAKeyAlgorithm},
	}
	if diff := cmp.Diff(want, a.Spec); diff != "" {
		t.Errorf("the spec: -want +got:\n%s", diff)
	}
	owner := metav1.GetControllerOf(a)
	if owner == nil || owner.Kind != "Ingress" || owner.Name != "app" || owner.APIVersion != "networking.k8s.io/v1" || a.Labels["app"] != "app" {
		t.Errorf("the owner is %v, the labels are %v", owner, a.Labels)
	}
	// Entries of one second stand in the order of their names: that of the status may be first.
	made := func(e metav1.ManagedFieldsEntry) bool { return e.Subresource == "" }
	if i := slices.IndexFunc(a.ManagedFields, made); i < 0 || a.ManagedFields[i].Manager != "cert-manager-ingress-shim" {
		t.Errorf("the field managers are %+v", a.ManagedFields)
	}

	if err := l.Delete(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	again := l.names(t, "a-tls", "a.example.test")
	if again.UID == a.UID {
		t.Error("the Certificate was not deleted")
	}
	l.patch(t, &cmv1.Certificate{}, "b-tls", `{"metadata":{"labels":{"mine":"1"}},"spec":{"dnsNames":["x.example.test"]}}`)
	l.becomes(t, "b-tls", func(c *cmv1.Certificate) error {
		if !maps.Equal(c.Labels, map[string]string{"app": "app"}) || !slices.Equal(c.Spec.DNSNames, []string{"b.example.test"}) {
			return fmt.Errorf("changed back to %v, %v", c.Labels, c.Spec.DNSNames)
		}
		return nil
	})

	l.ingress(t, "app", annotations, wants("a-tls", "a.example.test", "a2.example.test"))
	l.names(t, "a-tls", "a.example.test", "a2.example.test")
	l.gone(t, "b-tls")
	l.event(t, "Ingress", "app", "DeleteCertificate", `Successfully deleted unrequired Certificate "b-tls"`)
	l.event(t, "Ingress", "app", "UpdateCertificate", `Successfully updated Certificate "a-tls"`)

	// Without the annotation it stays.
	l.ingress(t, "app", "", wants("b-tls", "b.example.test"))
	l.traffic.Settle(t, l.ns, 2*time.Second)
	l.names(t, "a-tls", "a.example.test", "a2.example.test")
	if err := l.Delete(t.Context(), &networkingv1.Ingress{ObjectMeta: metaNamed(l.ns, "app")}); err != nil {
		t.Fatal(err)
	}
	l.gone(t, "a-tls")
	if l.secret(t, "a-tls") == nil || l.secret(t, "b-tls") == nil {
		t.Error("a Secret went with its Certificate")
	}
}

// TestIngressAnnotationsFollow: annotations on the Certificate are added, changed and
// removed as on the Ingress, and those of others stay. None of that issues anything
// (case Q04).
func TestIngressAnnotationsFollow(t *testing.T) {
	l := newLab(t, harness.Controllers{Options: func(o *operator.Options) { o.Shims.ExtraAnnotations = []string{"example.test/team"} }})
	const class, edit = "acme.cert-manager.io/http01-ingress-ingressclassname", "acme.cert-manager.io/http01-edit-in-place"
	base := issuerAnnotation + ", " + ecdsaAnnotation
	l.ingress(t, "app", base, wants("app-tls", "app.example.test"))
	l.Ready(t, l.ns, "app-tls", patience)
	l.patch(t, &cmv1.Certificate{}, "app-tls", `{"metadata":{"annotations":{"example.test/mine":"1","acme.cert-manager.io/http01-override-ingress-class":"mine"}}}`)
	for _, step := range []struct {
		annotations string
		want        map[string]string
	}{
		{edit + `: "true", example.test/team: edge`, map[string]string{
			"acme.cert-manager.io/http01-override-ingress-name": "app", "cert-manager.io/issue-temporary-certificate": "true", "example.test/team": "edge",
		}},
		{class + `: old, cert-manager.io/issue-temporary-certificate: "true"`, map[string]string{
			"acme.cert-manager.io/http01-override-ingress-ingressclassname": "old", "cert-manager.io/issue-temporary-certificate": "true",
		}},
		{class + `: new`, map[string]string{"acme.cert-manager.io/http01-override-ingress-ingressclassname": "new"}},
		{`cert-manager.io/issuer-group: ""`, map[string]string{}},
	} {
		l.ingress(t, "app", base+", "+step.annotations, wants("app-tls", "app.example.test"))
		step.want["example.test/mine"], step.want["acme.cert-manager.io/http01-override-ingress-class"] = "1", "mine"
		l.becomes(t, "app-tls", func(c *cmv1.Certificate) error {
			if diff := cmp.Diff(step.want, c.Annotations); diff != "" {
				return fmt.Errorf("after %s: -want +got:\n%s", step.annotations, diff)
			}
			return nil
		})
	}
	l.traffic.Settle(t, l.ns, 2*time.Second)
	if crt := l.crt(t, "app-tls"); *crt.Status.Revision != 1 || len(l.requests(t, "app-tls")) != 1 {
		t.Errorf("revision %d with %d requests: something was issued again", *crt.Status.Revision, len(l.requests(t, "app-tls")))
	}
	l.ingress(t, "app", base+", cert-manager.io/issuer-group: other.example", wants("app-tls", "app.example.test"))
	l.becomes(t, "app-tls", func(c *cmv1.Certificate) error {
		if c.Spec.IssuerRef.Group != "other.example" {
			return fmt.Errorf("the issuer is %v", c.Spec.IssuerRef)
		}
		return nil
	})
}

// TestIngressMistakes: what is wrong is told once, in words that say what to do; an
// Ingress with a mistake stops no other, and works when it is corrected (case Q28).
func TestIngressMistakes(t *testing.T) {
	l := newLab(t, harness.Controllers{Options: func(o *operator.Options) { o.Shims.DefaultIssuer.Kind = "ClusterIssuer" }})
	for _, test := range []struct {
		name, annotations, reason, words string
	}{
		{"old", "certmanager.k8s.io/cluster-issuer: ca", "UnknownAnnotation", "certmanager.k8s.io/cluster-issuer: did you mean cert-manager.io/cluster-issuer?"},
		{"typo", "cert-manager.io/cluster-isuer: ca", "UnknownAnnotation", "cert-manager.io/cluster-isuer: did you mean cert-manager.io/cluster-issuer?"},
		{"auto", `kubernetes.io/tls-acme: "True"`, "BadConfig", "Could not determine issuer for ingress due to bad annotations: failed to determine issuer name to be used for ingress resource"},
		{"kind", "cert-manager.io/cluster-issuer: ca", "IssuerNotFound", "ClusterIssuer ca not found; an Issuer ca exists in " + l.ns},
		{"broken", issuerAnnotation + ", cert-manager.io/duration: 1s", "BadConfig", `invalid ingress annotation "cert-manager.io/duration": duration must be greater than or equal to 1h0m0s`},
	} {
		l.ingress(t, test.name, test.annotations, wants(test.name+"-tls", test.name+".example.test"))
		l.event(t, "Ingress", test.name, test.reason, test.words)
	}
	l.ingress(t, "neither", `kubernetes.io/tls-acme: "yes"`, wants("neither-tls", "neither.example.test"))
	l.ingress(t, "good", issuerAnnotation+", "+ecdsaAnnotation, wants("good-tls", "good.example.test"))
	l.Ready(t, l.ns, "good-tls", patience)
	// An event about an Ingress is no reason to tell more.
	for _, name := range []string{"old", "broken", "kind"} {
		l.patch(t, &networkingv1.Ingress{}, name, `{"metadata":{"annotations":{"other":"1"}}}`)
	}
	l.traffic.Settle(t, l.ns, 3*time.Second)
	for _, name := range []string{"old", "typo", "auto", "kind", "broken"} {
		if got := l.warnings(t, name); len(got) != 1 || slices.Max(slices.Collect(maps.Values(got))) != 1 {
			t.Errorf("%s: told %v", name, got)
		}
	}
	if got := l.warnings(t, "neither"); len(got) > 0 {
		t.Errorf("told %v about an Ingress that asks for nothing", got)
	}
	l.gone(t, "broken-tls")
	l.gone(t, "neither-tls")
	l.ingress(t, "broken", issuerAnnotation+", "+ecdsaAnnotation+", cert-manager.io/duration: 2h", wants("broken-tls", "broken.example.test"))
	l.Ready(t, l.ns, "broken-tls", patience)
}

// TestIngressSharedSecret: the second Ingress with a Secret is told whose it is, and
// gets the Certificate when the first is gone. The Secret is always there (case Q29).
func TestIngressSharedSecret(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	annotations := issuerAnnotation + ", " + ecdsaAnnotation
	l.ingress(t, "one", annotations, wants("shared", "a.example.test"))
	first := l.Ready(t, l.ns, "shared", patience)
	l.ingress(t, "two", annotations, wants("shared", "b.example.test"))
	l.event(t, "Ingress", "two", "CertificateNotOwned",
		"Certificate shared belongs to Ingress one; give this Ingress another secretName or drop the issuer annotation to share the Secret")
	l.certificate(t, "mine", simple("mine", ""))
	l.ingress(t, "three", annotations, wants("mine", "c.example.test"))
	l.event(t, "Ingress", "three", "CertificateNotOwned", "Certificate mine exists and belongs to no Ingress; it is left alone", "dnsNames")
	l.traffic.Settle(t, l.ns, 2*time.Second)
	if got := l.names(t, "shared", "a.example.test"); got.UID != first.UID {
		t.Error("the Certificate was made anew")
	}
	if got := l.crt(t, "mine"); len(got.OwnerReferences) > 0 {
		t.Errorf("a Certificate made by hand was taken: %v", got.OwnerReferences)
	}
	secret := l.secret(t, "shared")
	if err := l.Delete(t.Context(), &networkingv1.Ingress{ObjectMeta: metaNamed(l.ns, "one")}); err != nil {
		t.Fatal(err)
	}
	second := l.names(t, "shared", "b.example.test")
	if owner := metav1.GetControllerOf(second); owner == nil || owner.Name != "two" {
		t.Errorf("the owner is %v", owner)
	}
	l.Ready(t, l.ns, "shared", patience)
	if l.secret(t, "shared").UID != secret.UID {
		t.Error("the Secret was deleted")
	}
}

// TestIngressAdoption: a Certificate that has lost its owner in a backup is taken back,
// without a new certificate; then it follows its Ingress again (case Q31).
func TestIngressAdoption(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	annotations := issuerAnnotation + ", " + ecdsaAnnotation
	ref := `{name: ca, kind: Issuer, group: cert-manager.io}`
	l.certificate(t, "app-tls", `{secretName: app-tls, dnsNames: [app.example.test], privateKey: {algorithm: ECDSA}, issuerRef: `+ref+`, usages: ["digital signature", "key encipherment"]}`)
	l.Ready(t, l.ns, "app-tls", patience)
	before := l.secret(t, "app-tls")
	l.ingress(t, "app", annotations, wants("app-tls", "app.example.test"))
	l.becomes(t, "app-tls", func(c *cmv1.Certificate) error {
		if owner := metav1.GetControllerOf(c); owner == nil || owner.Name != "app" {
			return fmt.Errorf("the owner is %v", owner)
		}
		return nil
	})
	l.traffic.Settle(t, l.ns, 2*time.Second)
	if after := l.secret(t, "app-tls"); !bytes.Equal(before.Data[corev1.TLSCertKey], after.Data[corev1.TLSCertKey]) || len(l.requests(t, "app-tls")) != 1 {
		t.Error("the adoption issued a new certificate")
	}
	if got := l.warnings(t, "app"); len(got) > 0 {
		t.Errorf("told %v", got)
	}
	// One whose owner is gone is deleted by the API server, and made again.
	adopted := l.crt(t, "app-tls")
	l.patch(t, &cmv1.Certificate{}, "app-tls", `{"metadata":{"ownerReferences":[{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","name":"app","uid":"gone","controller":true}]}}`)
	l.becomes(t, "app-tls", func(c *cmv1.Certificate) error {
		if c.UID == adopted.UID {
			return errors.New("it is the same Certificate")
		}
		if !isTrue(c, cmv1.CertificateConditionReady) {
			return errors.New(conditions(c))
		}
		return nil
	})
	if after := l.secret(t, "app-tls"); !bytes.Equal(before.Data[corev1.TLSCertKey], after.Data[corev1.TLSCertKey]) {
		t.Error("making the Certificate again issued a new certificate")
	}
	l.ingress(t, "app", annotations, wants("app-tls", "other.example.test"))
	l.names(t, "app-tls", "other.example.test")
}

// TestIngressManyEntries: an Ingress may have more entries than one reconcile has steps,
// and a restart writes nothing.
func TestIngressManyEntries(t *testing.T) {
	const n = 30
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	first, second := &harness.Traffic{}, &harness.Traffic{}
	stop := cluster.Run(t, harness.Controllers{Options: within(ns, nil), Config: first.Record})
	l := &lab{Cluster: cluster, ns: ns, traffic: first}
	l.Apply(t, ns, labIssuers)
	var entries []string
	for i := range n {
		entries = append(entries, wants(fmt.Sprintf("tls-%d", i), fmt.Sprintf("%d.example.test", i)))
	}
	l.ingress(t, "app", issuerAnnotation+", "+ecdsaAnnotation, strings.Join(entries, ", "))
	l.ingress(t, "typo", "cert-manager.io/cluster-isuer: ca", "")
	for i := range n {
		l.Ready(t, ns, fmt.Sprintf("tls-%d", i), patience)
	}
	first.Settle(t, ns, 2*time.Second)
	creates := first.Calls(func(c harness.Call) bool { return c.Verb == "create" && c.Resource == "certificates" })
	if len(creates) != n {
		t.Errorf("%d Certificates were created, want %d", len(creates), n)
	}
	stop()
	cluster.Run(t, harness.Controllers{Options: within(ns, nil), Config: second.Record})
	// The mistake is told again: that is when it has been looked at.
	harness.Eventually(t, patience, func() error {
		if len(second.Writes(ns)) == 0 {
			return errors.New("nothing is written")
		}
		return nil
	})
	for _, c := range second.Settle(t, ns, 3*time.Second) {
		if c.Resource != "events" {
			t.Errorf("a restart wrote: %s", c)
		}
	}
}

// TestIngressRefused: a Certificate that a quota refuses holds up no other, and is told
// once; it is made when there is room.
func TestIngressRefused(t *testing.T) {
	l := newLab(t, harness.Controllers{})
	l.Apply(t, l.ns, `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: `+l.ns+`}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [cert-manager.io], apiVersions: [v1], operations: [CREATE], resources: [certificates]}]}
  validations: [{expression: "object.metadata.name != 'a-tls' || object.metadata.labels['app'] != 'app'", message: no room for a-tls}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: `+l.ns+`}
spec: {policyName: `+l.ns+`, validationActions: [Deny], matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: `+l.ns+`}}}}
`)
	harness.Eventually(t, patience, func() error {
		// The API server takes a moment to apply a policy.
		probe := &cmv1.Certificate{ObjectMeta: metaNamed(l.ns, "a-tls")}
		probe.Labels = map[string]string{"app": "app"}
		probe.Spec = cmv1.CertificateSpec{SecretName: "probe", DNSNames: []string{"probe.example.test"}, IssuerRef: cmmeta.IssuerReference{Name: "ca"}}
		if err := l.Create(t.Context(), probe, client.DryRunAll); err == nil {
			return errors.New("the policy is not applied")
		}
		return nil
	})
	l.ingress(t, "app", issuerAnnotation+", "+ecdsaAnnotation, wants("a-tls", "a.example.test")+", "+wants("b-tls", "b.example.test"))
	l.Ready(t, l.ns, "b-tls", patience)
	l.event(t, "Ingress", "app", "WriteFailed", "Failed to create Certificate a-tls", "no room for a-tls", "the next try is within 5m")
	l.Apply(t, l.ns, `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: `+l.ns+`}
spec: {policyName: `+l.ns+`, validationActions: [Audit]}
`)
	l.Ready(t, l.ns, "a-tls", patience)
	if got := l.warnings(t, "app"); len(got) != 1 || slices.Max(slices.Collect(maps.Values(got))) != 1 {
		t.Errorf("told %v", got)
	}
}

// TestIngressMarkedIssuer: with the option, the ClusterIssuer with the annotation is the
// default, as soon as it is marked.
func TestIngressMarkedIssuer(t *testing.T) {
	l := newLabAlone(t, harness.Controllers{Options: func(o *operator.Options) { o.Shims.MarkedIssuers = true }})
	l.ingress(t, "app", `kubernetes.io/tls-acme: "true", `+ecdsaAnnotation, wants("app-tls", "app.example.test"))
	l.event(t, "Ingress", "app", "BadConfig", "failed to determine issuer name")
	issuer := `
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: %s, annotations: {everleaf.io/default-issuer: "%t"}}
spec: {selfSigned: {}}
`
	one, two := l.ns+"-one", l.ns+"-two"
	for _, name := range []string{one, two} {
		t.Cleanup(func() {
			_ = l.Client.Delete(context.Background(), &cmv1.ClusterIssuer{ObjectMeta: metaNamed("", name)})
		})
	}
	l.Apply(t, l.ns, fmt.Sprintf(issuer, one, true))
	c := l.Ready(t, l.ns, "app-tls", patience)
	if c.Spec.IssuerRef != (cmmeta.IssuerReference{Name: one, Kind: "ClusterIssuer", Group: "cert-manager.io"}) {
		t.Errorf("the issuer is %v", c.Spec.IssuerRef)
	}
	l.Apply(t, l.ns, fmt.Sprintf(issuer, two, true))
	l.event(t, "Ingress", "app", "BadConfig", "several ClusterIssuers have the annotation everleaf.io/default-issuer: "+one+", "+two)
	l.Apply(t, l.ns, fmt.Sprintf(issuer, one, false))
	l.becomes(t, "app-tls", func(c *cmv1.Certificate) error {
		if c.Spec.IssuerRef.Name != two {
			return fmt.Errorf("the issuer is %v", c.Spec.IssuerRef)
		}
		return nil
	})
}
