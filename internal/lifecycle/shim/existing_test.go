package shim

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// TestFollows has what a Certificate follows when its Ingress changes, and that a
// Certificate that is as it should be is not written.
func TestFollows(t *testing.T) {
	s := options()
	s.ExtraAnnotations = []string{"team"}
	for name, change := range map[string]func(*networkingv1.Ingress){
		"a host":     func(i *networkingv1.Ingress) { i.Spec.TLS[0].Hosts = []string{"b.example.test"} },
		"an address": func(i *networkingv1.Ingress) { i.Spec.TLS[0].Hosts = append(i.Spec.TLS[0].Hosts, "192.0.2.1") },
		"a label":    func(i *networkingv1.Ingress) { i.Labels = map[string]string{"a": "b"} },
		"the issuer": func(i *networkingv1.Ingress) { i.Annotations["cert-manager.io/cluster-issuer"] = "b" },
		"its kind and group": func(i *networkingv1.Ingress) {
			i.Annotations = meta("cert-manager.io/issuer", "le", "cert-manager.io/issuer-kind", "ClusterIssuer", "cert-manager.io/issuer-group", "g").Annotations
		},
		"edit in place": func(i *networkingv1.Ingress) { i.Annotations["acme.cert-manager.io/http01-edit-in-place"] = "true" },
		"the class": func(i *networkingv1.Ingress) {
			i.Annotations["acme.cert-manager.io/http01-ingress-ingressclassname"] = "new"
		},
		"a copied one":    func(i *networkingv1.Ingress) { i.Annotations["team"] = "edge" },
		"a temporary one": func(i *networkingv1.Ingress) { i.Annotations["cert-manager.io/issue-temporary-certificate"] = "true" },
		"the common name": func(i *networkingv1.Ingress) { i.Annotations["cert-manager.io/common-name"] = "app.example.test" },
		"the duration":    func(i *networkingv1.Ingress) { i.Annotations["cert-manager.io/duration"] = "100h" },
		"the renewal":     func(i *networkingv1.Ingress) { i.Annotations["cert-manager.io/renew-before"] = "10h" },
		"the key":         func(i *networkingv1.Ingress) { i.Annotations["cert-manager.io/private-key-algorithm"] = "ECDSA" },
		"the history":     func(i *networkingv1.Ingress) { i.Annotations["cert-manager.io/revision-history-limit"] = "7" },
	} {
		t.Run(name, func(t *testing.T) {
			before := one(t, OfIngress(ingress()), s)
			i := ingress()
			change(i)
			after := one(t, OfIngress(i), s)
			for _, step := range []struct {
				object     Object
				have, want *cmv1.Certificate
			}{{OfIngress(i), before, after}, {OfIngress(ingress()), after, before}} {
				state := stateOf(step.object, s, step.have)
				done, _, _ := settle(t, state)
				check(t, "done", slices.DeleteFunc(done, isLook), []string{"update Certificate app-tls"})
				check(t, "Certificate", state.Certificates, []*cmv1.Certificate{step.want})
				done, _, _ = settle(t, state)
				check(t, "done again", done, nil)
			}
		})
	}
}

const looked = "read the managed fields of Certificate app-tls"

func isLook(action string) bool { return action == looked }

// TestLeftovers has the parts of a Certificate that follow their annotation: without
// one, they go if they were written for the Ingress, and stay if somebody else has
// set them.
func TestLeftovers(t *testing.T) {
	for key, value := range map[string]string{
		"cert-manager.io/usages": "client auth", "cert-manager.io/subject-countries": "FR", "cert-manager.io/email-sans": "a@example.test",
		"cert-manager.io/renew-before-percentage": "30", "cert-manager.io/secret-template": `{"labels":{"a":"b"}}`,
		"acme.cert-manager.io/http01-ingress-class": "old",
	} {
		plain, changed := OfIngress(ingress()), OfIngress(ingress(key, value))
		with, without := one(t, changed, options()), one(t, plain, options())
		state := stateOf(changed, options(), without)
		done, _, _ := settle(t, state)
		check(t, key+": done", done, []string{"update Certificate app-tls"})
		check(t, key, state.Certificates, []*cmv1.Certificate{with})
		for manager, goes := range map[string]bool{"cert-manager-ingress-shim": true, "controller": true, "kubectl-edit": false, "": false} {
			existing := with.DeepCopy()
			existing.ManagedFields = managedFields(manager, with)
			state := stateOf(plain, options(), existing)
			done, _, _ := settle(t, state)
			if goes {
				check(t, key+": done", done, []string{looked, "update Certificate app-tls"})
				check(t, key, state.Certificates, []*cmv1.Certificate{without})
			} else {
				check(t, key+" of "+manager+": done", done, []string{looked})
				check(t, key, state.Certificates, []*cmv1.Certificate{with})
			}
			done, _, _ = settle(t, state)
			check(t, key+" of "+manager+": done again", done, nil)
		}
	}
}

// TestManagedFieldsOfAnySort: what is no set of fields has written nothing.
func TestManagedFieldsOfAnySort(t *testing.T) {
	for _, text := range []string{"", "x", "[]", `{"f:spec":1}`, `{"f:spec":{"f:subject":{}}}`} {
		entry := metav1.ManagedFieldsEntry{Manager: "controller", FieldsV1: &metav1.FieldsV1{Raw: []byte(text)}}
		status := entry
		status.Subresource = "status"
		written := WrittenFor(KindIngress, []metav1.ManagedFieldsEntry{{Manager: "controller"}, status, entry})
		check(t, text, written.has([]string{"f:spec", "f:subject"}), strings.Contains(text, "subject"))
	}
}

// TestOthersChanges has which changes of a Certificate by somebody else are undone.
func TestOthersChanges(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*cmv1.Certificate)
		undone bool
	}{
		"names":                 {func(c *cmv1.Certificate) { c.Spec.DNSNames = []string{"x"} }, true},
		"the order of names":    {func(c *cmv1.Certificate) { c.Spec.DNSNames = []string{"b.example.test", "app.example.test"} }, true},
		"the Secret":            {func(c *cmv1.Certificate) { c.Spec.SecretName = "x" }, true},
		"labels":                {func(c *cmv1.Certificate) { c.Labels = map[string]string{"x": "y"} }, true},
		"the issuer's group":    {func(c *cmv1.Certificate) { c.Spec.IssuerRef.Group = "x" }, true},
		"the default spelt out": {func(c *cmv1.Certificate) { c.Spec.IssuerRef.Group = "" }, false},
		"the key":               {func(c *cmv1.Certificate) { c.Spec.PrivateKey = &cmv1.CertificatePrivateKey{Size: 4096} }, true},
		"an empty key":          {func(c *cmv1.Certificate) { c.Spec.PrivateKey = &cmv1.CertificatePrivateKey{} }, false},
		"an override": {func(c *cmv1.Certificate) {
			c.Annotations = map[string]string{"acme.cert-manager.io/http01-override-ingress-class": "x"}
		}, false},
		"other annotations": {func(c *cmv1.Certificate) { c.Annotations = map[string]string{"x": "y"} }, false},
		"keystores":         {func(c *cmv1.Certificate) { c.Spec.Keystores = &cmv1.CertificateKeystores{} }, false},
		"URIs":              {func(c *cmv1.Certificate) { c.Spec.URIs = []string{"spiffe://x"} }, false},
		"the status":        {func(c *cmv1.Certificate) { c.Status.Revision = ptr.To(1) }, false},
	} {
		i := ingress("cert-manager.io/alt-names", "b.example.test")
		fresh := one(t, OfIngress(i), options())
		changed := fresh.DeepCopy()
		test.change(changed)
		state := stateOf(OfIngress(i), options(), changed)
		done, _, _ := settle(t, state)
		if !test.undone {
			check(t, name+": done", slices.DeleteFunc(done, isLook), nil)
			continue
		}
		check(t, name+": done", done, []string{"update Certificate app-tls"})
		check(t, name, state.Certificates, []*cmv1.Certificate{fresh})
	}
}

// TestNotDeletedMeanwhile: a Certificate whose Secret somebody has changed is not taken
// for one that is no longer required if it cannot be changed back.
func TestNotDeletedMeanwhile(t *testing.T) {
	c := one(t, OfIngress(ingress()), options()).DeepCopy()
	c.Spec.SecretName = "x"
	done, _, last := settle(t, stateOf(OfIngress(ingress()), options(), c), errors.New("no answer"))
	check(t, "done", done, []string{"update Certificate app-tls"})
	check(t, "until", last.Until, now.Add(5*time.Second))
}

// TestLookedAtAgain: what is known of who has written a part is not held against who
// writes the same later.
func TestLookedAtAgain(t *testing.T) {
	plain := OfIngress(ingress())
	with := one(t, OfIngress(ingress("acme.cert-manager.io/http01-ingress-class", "old")), options())
	state := stateOf(plain, options(), with)
	done, _, _ := settle(t, state)
	check(t, "done", done, []string{looked, "update Certificate app-tls"})
	again := with.DeepCopy()
	again.ManagedFields = managedFields("kubectl-annotate", with)
	state.Certificates = []*cmv1.Certificate{again}
	done, _, _ = settle(t, state)
	check(t, "done", done, []string{looked})
	check(t, "Certificate", state.Certificates, []*cmv1.Certificate{again})
}

// TestKeptAtAnUpdate: what the Ingress says nothing about stays.
func TestKeptAtAnUpdate(t *testing.T) {
	c := one(t, OfIngress(ingress()), options()).DeepCopy()
	c.Spec.URIs, c.Annotations = []string{"spiffe://x"}, map[string]string{"x": "y"}
	i := ingress()
	i.Spec.TLS[0].Hosts = []string{"b.example.test"}
	want := c.DeepCopy()
	want.Spec.DNSNames = []string{"b.example.test"}
	state := stateOf(OfIngress(i), options(), c)
	settle(t, state)
	check(t, "Certificate", state.Certificates, []*cmv1.Certificate{want})
}

// TestStrangers has the Certificates of a wanted name that are not the object's.
func TestStrangers(t *testing.T) {
	made := func(change func(*cmv1.Certificate)) *cmv1.Certificate {
		c := one(t, OfIngress(ingress()), options()).DeepCopy()
		c.OwnerReferences = nil
		change(c)
		return c
	}
	differing := func(in string) string {
		return "Certificate app-tls exists and belongs to no Ingress; it is left alone, because it is not what this Ingress asks for (it differs in " + in + "); " +
			"delete it to have it made for this Ingress, or give this Ingress another secretName or drop the issuer annotation to share the Secret"
	}
	owner := func(name string) []metav1.OwnerReference {
		return []metav1.OwnerReference{{Kind: "Ingress", Name: name, UID: "other", Controller: ptr.To(true)}}
	}
	for _, test := range []struct {
		name    string
		have    *cmv1.Certificate
		adopted bool
		warning string
	}{
		{"what the Ingress would make", made(func(*cmv1.Certificate) {}), true, ""},
		{"without the default usages", made(func(c *cmv1.Certificate) { c.Spec.Usages = nil }), true, ""},
		{"with the short form of the issuer", made(func(c *cmv1.Certificate) { c.Spec.IssuerRef.Group = "" }), true, ""},
		{"with a status and annotations", made(func(c *cmv1.Certificate) { c.Status.Revision, c.Annotations = ptr.To(3), map[string]string{"x": "y"} }), true, ""},
		{"with an owner that does not control it", made(func(c *cmv1.Certificate) {
			c.OwnerReferences = []metav1.OwnerReference{{Kind: "X", Name: "x", UID: "x"}}
		}), true, ""},
		{"other names", made(func(c *cmv1.Certificate) { c.Spec.DNSNames = []string{"x"} }), false, differing("dnsNames")},
		{"another issuer and Secret", made(func(c *cmv1.Certificate) { c.Spec.IssuerRef.Name, c.Spec.SecretName = "x", "x" }), false, differing("issuerRef, secretName")},
		{"a key of its own", made(func(c *cmv1.Certificate) { c.Spec.PrivateKey = &cmv1.CertificatePrivateKey{Algorithm: "ECDSA"} }), false, differing("other fields of its spec")},
		{"labels of another tool", made(func(c *cmv1.Certificate) { c.Labels = map[string]string{"app.kubernetes.io/managed-by": "Helm"} }), false, differing("its labels")},
		{"of another Ingress", made(func(c *cmv1.Certificate) { c.OwnerReferences = owner("one") }), false, "Certificate app-tls belongs to Ingress one; give this Ingress another secretName or drop the issuer annotation to share the Secret"},
		{"of an Ingress of this name that is gone", made(func(c *cmv1.Certificate) { c.OwnerReferences = owner("app") }), false, ""},
		{"being deleted", made(func(c *cmv1.Certificate) { c.DeletionTimestamp = &metav1.Time{Time: now} }), false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			state := stateOf(OfIngress(ingress()), options(), test.have)
			done, sent, _ := settle(t, state)
			if test.adopted {
				want := test.have.DeepCopy()
				want.OwnerReferences = append(want.OwnerReferences, one(t, OfIngress(ingress()), options()).OwnerReferences...)
				check(t, "done", done, []string{"update Certificate app-tls"})
				check(t, "Certificate", state.Certificates, []*cmv1.Certificate{want})
				return
			}
			check(t, "done", done, nil)
			check(t, "Certificate", state.Certificates, []*cmv1.Certificate{test.have})
			var got string
			for _, e := range sent {
				check(t, "reason", e.Reason, ReasonNotOwned)
				got += e.Message
			}
			check(t, "warning", got, test.warning)
		})
	}
}

// TestTakenWhenFree: a Certificate of another object is made anew when it is gone.
func TestTakenWhenFree(t *testing.T) {
	other := one(t, OfIngress(ingress()), options()).DeepCopy()
	other.OwnerReferences[0].UID, other.OwnerReferences[0].Name = "other", "one"
	s := stateOf(OfIngress(ingress()), options(), other)
	done, sent, _ := settle(t, s)
	check(t, "done", done, nil)
	check(t, "told", len(sent), 1)
	s.Certificates = nil
	done, sent, _ = settle(t, s)
	check(t, "done", done, []string{"create Certificate app-tls"})
	check(t, "told", len(sent), 1)
	check(t, "remembered", s.Memory.told, nil)
}
