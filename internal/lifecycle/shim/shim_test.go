package shim

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/plan"
)

// TestWholeCertificate has the whole Certificate of an Ingress, a Gateway and a ListenerSet.
func TestWholeCertificate(t *testing.T) {
	s := options()
	s.ExtraAnnotations = []string{"team", "absent"}
	i, g := ingress("team", "edge"), gateway(listener("a", "app.example.test", "app-tls"))
	i.Labels = map[string]string{"app": "x", "applyset.kubernetes.io/part-of": "y"}
	set := listenerSet("cert-manager.io/cluster-issuer", "le")
	fallback := listenerSet("cert-manager.io/cluster-issuer", "le", "acme.cert-manager.io/http01-parentreffallback", "true")
	certificate := func(apiVersion, kind string, labels, annotations map[string]string) *cmv1.Certificate {
		return &cmv1.Certificate{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "lab", Name: "app-tls", Labels: labels, Annotations: annotations, UID: "uid", ResourceVersion: "1",
				OwnerReferences: []metav1.OwnerReference{{
					APIVersion: apiVersion, Kind: kind, Name: "app", UID: "app-uid", Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
				}},
			},
			Spec: cmv1.CertificateSpec{
				DNSNames: []string{"app.example.test"}, SecretName: "app-tls", Usages: []cmv1.KeyUsage{"digital signature", "key encipherment"},
				IssuerRef: cmmeta.IssuerReference{Name: "le", Kind: "ClusterIssuer", Group: "cert-manager.io"},
			},
		}
	}
	check(t, "of an Ingress", one(t, OfIngress(i), s), certificate("networking.k8s.io/v1", "Ingress", map[string]string{"app": "x"}, map[string]string{"team": "edge"}))
	check(t, "of a Gateway", one(t, OfGateway(g), s), certificate("gateway.networking.k8s.io/v1", "Gateway", nil, map[string]string{
		"acme.cert-manager.io/http01-parentrefkind": "Gateway", "acme.cert-manager.io/http01-parentrefname": "app",
	}))
	check(t, "of a ListenerSet", one(t, OfListenerSet(set, parent()), s), certificate("gateway.networking.k8s.io/v1", "ListenerSet", nil, map[string]string{
		"acme.cert-manager.io/http01-parentrefkind": "ListenerSet", "acme.cert-manager.io/http01-parentrefname": "app",
	}))
	check(t, "with the Gateway's listeners", one(t, OfListenerSet(fallback, parent()), s), certificate("gateway.networking.k8s.io/v1", "ListenerSet", nil, map[string]string{
		"acme.cert-manager.io/http01-parentrefkind": "Gateway", "acme.cert-manager.io/http01-parentrefname": "gw",
		"acme.cert-manager.io/http01-parentrefnamespace": "infra",
	}))
}

// TestACMEAnnotations has the rows of the annotations for the HTTP-01 solver.
func TestACMEAnnotations(t *testing.T) {
	for _, test := range []struct {
		key, value string
		want       map[string]string
	}{
		{"acme.cert-manager.io/http01-edit-in-place", "true", map[string]string{
			"acme.cert-manager.io/http01-override-ingress-name": "app", "cert-manager.io/issue-temporary-certificate": "true",
		}},
		{"acme.cert-manager.io/http01-edit-in-place", "True", nil},
		{"acme.cert-manager.io/http01-ingress-class", "old", map[string]string{"acme.cert-manager.io/http01-override-ingress-class": "old"}},
		{"acme.cert-manager.io/http01-ingress-class", "", nil},
		{"acme.cert-manager.io/http01-ingress-ingressclassname", "new", map[string]string{"acme.cert-manager.io/http01-override-ingress-ingressclassname": "new"}},
		{"acme.cert-manager.io/http01-ingress-ingressclassname", "", nil},
		{"cert-manager.io/issue-temporary-certificate", "true", map[string]string{"cert-manager.io/issue-temporary-certificate": "true"}},
		{"cert-manager.io/issue-temporary-certificate", "false", nil},
		{"acme.cert-manager.io/http01-parentreffallback", "true", nil},
	} {
		check(t, test.key+"="+test.value, one(t, OfIngress(ingress(test.key, test.value)), options()).Annotations, test.want)
	}
	g := gateway(listener("a", "app.example.test", "app-tls"))
	g.Annotations["acme.cert-manager.io/http01-edit-in-place"] = "true"
	check(t, "edit in place of a Gateway", one(t, OfGateway(g), options()).Annotations, map[string]string{
		"acme.cert-manager.io/http01-override-ingress-name": "app", "cert-manager.io/issue-temporary-certificate": "true",
		"acme.cert-manager.io/http01-parentrefkind": "Gateway", "acme.cert-manager.io/http01-parentrefname": "app",
	})
}

// TestObjectsThatAreLeftAlone has the rows in which nothing is done and nothing told,
// although a Certificate is no longer required.
func TestObjectsThatAreLeftAlone(t *testing.T) {
	deleted := &metav1.Time{Time: now}
	gone, foreground, silent := ingress(), ingress(), ingress()
	gone.DeletionTimestamp, gone.Finalizers = deleted, []string{"x"}
	foreground.Finalizers = []string{"foregroundDeletion"}
	silent.Annotations = nil
	goneGateway := gateway()
	goneGateway.DeletionTimestamp = deleted
	leaving := parent()
	leaving.DeletionTimestamp = deleted
	orphan := listenerSet("cert-manager.io/cluster-issuer", "le")
	orphan.Spec.ParentRef.Name = ""
	for name, o := range map[string]Object{
		"deleted": OfIngress(gone), "deleted in the foreground": OfIngress(foreground), "no annotation any more": OfIngress(silent),
		"a deleted Gateway":                  OfGateway(goneGateway),
		"a ListenerSet without a Gateway":    OfListenerSet(listenerSet("cert-manager.io/cluster-issuer", "le"), nil),
		"a ListenerSet of a deleted Gateway": OfListenerSet(listenerSet("cert-manager.io/cluster-issuer", "le"), leaving),
		"a ListenerSet that names none":      OfListenerSet(orphan, parent()),
	} {
		unrequired := one(t, OfIngress(ingress()), options())
		unrequired.Name, unrequired.Spec.SecretName = "old", "old"
		done, sent, last := settle(t, stateOf(o, options(), unrequired))
		if len(done)+len(sent) > 0 || !last.Until.IsZero() {
			t.Errorf("%s: did %v, told %v, until %s", name, done, sent, last.Until)
		}
	}
}

// TestInheritance has what a ListenerSet takes over from its Gateway.
func TestInheritance(t *testing.T) {
	for _, test := range []struct {
		name        string
		own, parent []string
		want        cmmeta.IssuerReference
	}{
		{"the issuer", nil, []string{"cert-manager.io/issuer", "a"}, cmmeta.IssuerReference{Name: "a", Kind: "Issuer", Group: "cert-manager.io"}},
		{"the ClusterIssuer", nil, []string{"cert-manager.io/cluster-issuer", "a"}, cmmeta.IssuerReference{Name: "a", Kind: "ClusterIssuer", Group: "cert-manager.io"}},
		{"not if it names one", []string{"cert-manager.io/issuer", "b"}, []string{"cert-manager.io/cluster-issuer", "a"}, cmmeta.IssuerReference{Name: "b", Kind: "Issuer", Group: "cert-manager.io"}},
		{
			"kind and group always",
			[]string{"cert-manager.io/issuer", "b", "cert-manager.io/issuer-kind", "k"},
			[]string{"cert-manager.io/issuer", "a", "cert-manager.io/issuer-kind", "K", "cert-manager.io/issuer-group", "g"},
			cmmeta.IssuerReference{Name: "b", Kind: "K", Group: "g"},
		},
		{"nothing else", []string{"cert-manager.io/issuer", "b"}, []string{"cert-manager.io/duration", "2h"}, cmmeta.IssuerReference{Name: "b", Kind: "Issuer", Group: "cert-manager.io"}},
	} {
		set := listenerSet(test.own...)
		c := one(t, OfListenerSet(set, parent(test.parent...)), options())
		check(t, test.name, c.Spec.IssuerRef, test.want)
		if c.Spec.Duration != nil || len(set.Annotations) != len(test.own)/2 {
			t.Errorf("%s: duration %v, annotations %v", test.name, c.Spec.Duration, set.Annotations)
		}
	}
}

// TestUnrequired has which Certificates of an object are deleted.
func TestUnrequired(t *testing.T) {
	owned := func(name, secret string) *cmv1.Certificate {
		c := one(t, OfIngress(ingress()), options()).DeepCopy()
		c.Name, c.Spec.SecretName = name, secret
		return c
	}
	foreign, leaving := owned("foreign", "foreign"), owned("leaving", "leaving")
	foreign.OwnerReferences[0].UID = "other"
	leaving.DeletionTimestamp = &metav1.Time{Time: now}
	i := ingress()
	i.Spec.TLS = append(i.Spec.TLS, entry("skipped"))
	s := stateOf(OfIngress(i), options(), owned("app-tls", "app-tls"), owned("old", "old"), owned("skipped", "skipped"), owned("other", "app-tls"), foreign, leaving)
	p := s.Next(now)
	s.Tell(p.Do.(Tell))
	p = s.Next(now)
	check(t, "confirmed", p.Confirm, []plan.Confirm{{Ref: plan.Ref{Kind: "Ingress", NamespacedName: OfIngress(i).NamespacedName}, Version: "7"}})
	done, sent, _ := settle(t, s)
	check(t, "done", done, []string{"delete Certificate old"})
	check(t, "told", sent, []plan.Event{{Reason: "DeleteCertificate", Message: `Successfully deleted unrequired Certificate "old"`, Component: "cert-manager-ingress-shim", Verbose: true}})

	i.Spec.TLS = nil
	done, _, _ = settle(t, stateOf(OfIngress(i), options(), owned("app-tls", "app-tls")))
	check(t, "without TLS", done, []string{"delete Certificate app-tls"})
	i.Spec.TLS, i.Annotations["cert-manager.io/duration"] = nil, "x"
	done, _, _ = settle(t, stateOf(OfIngress(i), options(), owned("app-tls", "app-tls")))
	check(t, "with a broken annotation", done, nil)

	plain, passed, left := listener("a", "a", "plain"), listener("b", "b", "passed"), listener("c", "c", "left")
	plain.Protocol, passed.TLS.Mode = gwapi.HTTPProtocolType, ptr.To(gwapi.TLSModePassthrough)
	passed.TLS.CertificateRefs[0].Namespace = ptr.To(gwapi.Namespace("elsewhere"))
	g := gateway(plain, passed, left)
	g.Annotations["cert-manager.io/ignore-tls-listeners"] = "c"
	done, _, _ = settle(t, stateOf(OfGateway(g), options(), owned("plain", "plain"), owned("passed", "passed"), owned("left", "left"), owned("old", "old")))
	check(t, "of a Gateway", done, []string{"delete Certificate old"})
}

// TestConfirmed: each write is confirmed by the object at the API server, and by the
// Gateway that it inherits from.
func TestConfirmed(t *testing.T) {
	set, inherited := listenerSet(), parent("cert-manager.io/issuer", "a")
	inherited.ResourceVersion = "8"
	of := func(kind, namespace, name, version string) plan.Confirm {
		return plan.Confirm{Ref: plan.Ref{Kind: kind, NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}, Version: version}
	}
	for _, test := range []struct {
		object Object
		want   []plan.Confirm
	}{
		{OfIngress(ingress()), []plan.Confirm{of("Ingress", "lab", "app", "7")}},
		{OfGateway(gateway(listener("a", "app.example.test", "app-tls"))), []plan.Confirm{of("Gateway", "lab", "app", "7")}},
		{OfListenerSet(set, inherited), []plan.Confirm{of("ListenerSet", "lab", "app", "7"), of("Gateway", "infra", "gw", "8")}},
	} {
		newer := one(t, test.object, options())
		newer.Spec.DNSNames = append(newer.Spec.DNSNames, "b.example.test")
		unrequired := newer.DeepCopy()
		unrequired.Name, unrequired.Spec.SecretName = "old", "old"
		wanted := one(t, test.object, options())
		for name, certificates := range map[string][]*cmv1.Certificate{"create": nil, "update": {newer}, "delete": {wanted, unrequired}} {
			p := stateOf(test.object, options(), certificates...).Next(now)
			if p.Do == nil || !strings.HasPrefix(p.Do.String(), name) {
				t.Errorf("%s: does %v, not %s", test.object.Kind, p.Do, name)
			}
			check(t, test.object.Kind+": "+name, p.Confirm, test.want)
		}
	}
}

// TestToldOnce: what is wrong is told once, again when it comes back, and events of
// success only if all are wanted.
func TestToldOnce(t *testing.T) {
	i := ingress("cert-manager.io/x", "", "cert-manager.io/duration", "1m")
	o := OfIngress(i)
	s := stateOf(o, options())
	_, sent, _ := settle(t, s)
	check(t, "told", len(sent), 2)
	_, sent, _ = settle(t, s)
	check(t, "told again", sent, nil)
	delete(i.Annotations, "cert-manager.io/duration")
	s.Wanted = Want(o, options())
	done, sent, _ := settle(t, s)
	check(t, "done", done, []string{"create Certificate app-tls"})
	check(t, "told", sent, []plan.Event{{Reason: "CreateCertificate", Message: `Successfully created Certificate "app-tls"`, Component: "cert-manager-ingress-shim", Verbose: true}})
	i.Annotations["cert-manager.io/duration"] = "1m"
	s.Wanted = Want(o, options())
	_, sent, _ = settle(t, s)
	check(t, "told when it comes back", sent, []plan.Event{{
		Warning: true, Reason: "BadConfig", Component: "cert-manager-ingress-shim",
		Message: `invalid ingress annotation "cert-manager.io/duration": duration must be greater than or equal to 1h0m0s`,
	}})
}

// TestManyEntries: an Ingress has any number of entries.
func TestManyEntries(t *testing.T) {
	i := ingress()
	for n := range 50 {
		i.Spec.TLS = append(i.Spec.TLS, entry(fmt.Sprintf("tls-%d", n), fmt.Sprintf("%d.example.test", n)))
	}
	check(t, "Certificates", len(made(t, OfIngress(i), options())), 51)
}

// TestFailures: a Certificate that cannot be written holds up no other, is tried
// again later and later, at once when it is to be another, and is told once.
func TestFailures(t *testing.T) {
	i := ingress()
	i.Spec.TLS = append(i.Spec.TLS, entry("b-tls", "b.example.test"))
	refused := apierrors.NewForbidden(schema.GroupResource{Group: "cert-manager.io", Resource: "certificates"}, "app-tls", errors.New("exceeded quota: few"))
	s := stateOf(OfIngress(i), options())
	done, sent, last := settle(t, s, refused)
	check(t, "done", done, []string{"create Certificate app-tls", "create Certificate b-tls"})
	warning := plan.Event{
		Warning: true, Reason: "WriteFailed", Component: "cert-manager-ingress-shim",
		Message: "Failed to create Certificate app-tls: exceeded quota: few; raise the quota, or delete objects that are not needed; the next try is within 5m",
	}
	check(t, "told", sent[0], warning)
	check(t, "until", last.Until, now.Add(5*time.Second))
	for _, wait := range []time.Duration{10 * time.Second, 20 * time.Second} {
		off := s.Memory.putOff["app-tls"]
		off.until = now
		s.Memory.putOff["app-tls"] = off
		done, sent, last = settle(t, s, refused)
		check(t, "done", done, []string{"create Certificate app-tls"})
		check(t, "told again", sent, nil)
		check(t, "until", last.Until, now.Add(wait))
	}
	i.Spec.TLS[0].Hosts = []string{"other.example.test"}
	s.Wanted = Want(OfIngress(i), options())
	done, _, _ = settle(t, s)
	check(t, "done after a change", done, []string{"create Certificate app-tls"})
	check(t, "told", s.Memory.told, nil)
	s.Memory.Prune(now.Add(time.Minute))
	check(t, "remembered", s.Memory.Empty(), false)
	s.Memory.Prune(now.Add(time.Hour))
	check(t, "remembered", s.Memory.Empty(), true)
}

// TestUndone: a write that somebody undoes each time is repeated later and later, and
// told; another one is not held up.
func TestUndone(t *testing.T) {
	change := func(by func(*cmv1.Certificate)) func(*State) {
		return func(s *State) {
			c := s.Certificates[0].DeepCopy()
			c.Generation++
			by(c)
			s.Certificates = []*cmv1.Certificate{c}
		}
	}
	times := 0
	for _, test := range []struct {
		name string
		undo func(*State)
		does string
	}{
		{"changed", change(func(c *cmv1.Certificate) { c.Labels = map[string]string{"policy": "x"} }), `changes label "policy"`},
		{"a label, and an annotation that is another one each time", change(func(c *cmv1.Certificate) {
			times++
			c.Labels = map[string]string{"policy": "x"}
			metav1.SetMetaDataAnnotation(&c.ObjectMeta, "policy/changes", strconv.Itoa(times))
		}), `changes label "policy"`},
		{"another value each time", change(func(c *cmv1.Certificate) {
			times++
			c.Spec.DNSNames, c.Spec.CommonName = []string{fmt.Sprintf("%d.example.test", times)}, "x"
		}), "changes spec.commonName, spec.dnsNames"},
		{"many parts", change(func(c *cmv1.Certificate) {
			c.Labels = map[string]string{"a": "", "b": "", "c": "", "d": ""}
			c.Spec.SecretName, c.Spec.CommonName = "x", "y"
		}), `changes label "a", label "b", label "c", label "d", spec.commonName, 1 more`},
		{"deleted", func(s *State) { s.Certificates = nil }, "deletes it"},
	} {
		i := ingress()
		s, at := stateOf(OfIngress(i), options()), now
		settle(t, s)
		var writes []time.Duration
		var told []string
		want := []time.Duration{time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 31 * time.Second}
		for range want {
			test.undo(s)
			p := s.Next(at)
			if tell, ok := p.Do.(Tell); ok {
				told = append(told, p.Events[0].Message)
				s.Tell(tell)
				p = s.Next(at)
			}
			if p.Do == nil {
				at = p.Until
				p = s.Next(at)
			}
			s.Done(p.Do, answer(p.Do), at)
			writes = append(writes, at.Sub(now))
		}
		check(t, test.name+": writes", writes, want)
		check(t, test.name+": told", told, []string{"Certificate app-tls does not stay as it is written: somebody " + test.does + " each time; the next try is within 5m"})
		i.Spec.TLS[0].Hosts = []string{"other.example.test"}
		s.Wanted = Want(OfIngress(i), options())
		done, _, _ := settle(t, s)
		check(t, test.name+": done after a change", len(done), 1)
	}
}

// TestSilentFailure: an API server that does not answer is nothing to tell a user.
func TestSilentFailure(t *testing.T) {
	s := stateOf(OfIngress(ingress()), options())
	_, sent, last := settle(t, s, errors.New("connection refused"))
	check(t, "told", sent, nil)
	check(t, "until", last.Until, now.Add(5*time.Second))
}
