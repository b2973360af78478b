package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/nameserver"
)

// forgedLab has a ClusterIssuer with credentials, and a name server of somebody
// who wants them to be used for himself.
type forgedLab struct {
	*lab
	quick    *harness.Quick
	attacker string
	// packets counts what the attacker's name server has received.
	packets *atomic.Int64
	victim  cmmeta.IssuerReference
	// credential is the name of the ClusterIssuer's TSIG Secret.
	credential string
}

func newForgedLab(t *testing.T) *forgedLab {
	t.Helper()
	cluster := harness.Shared(t)
	f := &forgedLab{
		lab:   &lab{Cluster: cluster, ns: cluster.Namespace(t), traffic: &harness.Traffic{}},
		quick: harness.QuickACME(t, harness.QuickOptions{}), packets: &atomic.Int64{},
	}
	server, err := nameserver.New(nameserver.Options{
		Listen:    []string{"127.0.0.1:0"},
		Zones:     []nameserver.Zone{{Name: "example.com.", Update: []string{"quick.", nameserver.AnyUpdate}}},
		Keys:      []tsig.Key{{Name: "quick.", Algorithm: tsig.SHA256, Secret: []byte("not the victim's")}},
		OnMessage: func(nameserver.Message) { f.packets.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.attacker = server.Addr()
	cluster.Run(t, harness.Controllers{
		Options: func(o *operator.Options) { f.quick.Resolve(o) }, Config: f.traffic.Record,
	})
	f.victimIssuer(t)
	f.Apply(t, f.ns, labIssuers)
	f.Ready(t, f.ns, "root", patience)
	return f
}

// victimIssuer makes the ClusterIssuer, whose name is that of the namespace:
// the control plane is shared with other tests.
func (f *forgedLab) victimIssuer(t *testing.T) {
	t.Helper()
	f.victim = cmmeta.IssuerReference{Name: f.ns, Kind: cmv1.ClusterIssuerKind, Group: cmv1.GroupName}
	f.credential = f.ns + "-tsig"
	f.Secret(t, local.Namespace, f.credential, "key", f.quick.Key.Secret)
	manifest := harness.IssuerManifest(f.ns, f.quick.CA, "{dns01: {"+f.stanza(f.quick.DNS.Addr())+"}}")
	f.Apply(t, "", strings.Replace(manifest, "kind: Issuer", "kind: ClusterIssuer", 1))
	issuer := &cmv1.ClusterIssuer{}
	harness.Eventually(t, patience, func() error {
		if err := f.Get(t.Context(), client.ObjectKey{Name: f.ns}, issuer); err != nil {
			return err
		}
		if len(issuer.Status.Conditions) == 0 || issuer.Status.Conditions[0].Status != cmmeta.ConditionTrue {
			return fmt.Errorf("not ready: %+v", issuer.Status)
		}
		return nil
	})
	t.Cleanup(func() {
		if err := f.Delete(context.Background(), issuer); err != nil {
			t.Error(err)
		}
	})
}

func (f *forgedLab) stanza(server string) string {
	return fmt.Sprintf(`rfc2136: {nameserver: "%s", tsigKeyName: quick, tsigAlgorithm: HMACSHA256, tsigSecretSecretRef: {name: %s, key: key}}`, server, f.credential)
}

// forgedSolver would have the victim's credential used at the attacker's server.
func (f *forgedLab) forgedSolver() acmev1.ACMEChallengeSolver {
	return acmev1.ACMEChallengeSolver{DNS01: &acmev1.ACMEChallengeSolverDNS01{RFC2136: &acmev1.ACMEIssuerDNS01ProviderRFC2136{
		Nameserver: f.attacker, TSIGKeyName: "quick", TSIGAlgorithm: "HMACSHA256",
		TSIGSecret: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: f.credential}, Key: "key"},
	}}}
}

func (f *forgedLab) forgedChallenge(name string, owner ...metav1.OwnerReference) *acmev1.Challenge {
	return &acmev1.Challenge{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.ns, Name: name, OwnerReferences: owner, Finalizers: []string{acmev1.ACMEFinalizer}},
		Spec: acmev1.ChallengeSpec{
			URL: f.quick.CA.DirectoryURL, AuthorizationURL: f.quick.CA.DirectoryURL, DNSName: "forged.example.com",
			Type: acmev1.ACMEChallengeTypeDNS01, Token: "token", Key: "key", Solver: f.forgedSolver(), IssuerRef: f.victim,
		},
	}
}

// reads counts how often the controllers have read the credential.
func (f *forgedLab) reads() int {
	return len(f.traffic.Calls(func(c harness.Call) bool { return c.Resource == "secrets" && c.Name == f.credential }))
}

// unused fails the test if the credential has been read since, or a packet has
// reached the attacker.
func (f *forgedLab) unused(t *testing.T, since int) {
	t.Helper()
	f.traffic.Settle(t, f.ns, 2*time.Second)
	if n := f.reads() - since; n != 0 {
		t.Errorf("the credential was read %d times", n)
	}
	if n := f.packets.Load(); n != 0 {
		t.Errorf("the attacker's name server received %d packets", n)
	}
	if c := f.quick.DNS.Records("_acme-challenge.forged.example.com"); len(c) > 0 {
		t.Errorf("a record was written: %v", c)
	}
}

// endsOrGoes waits until an object has failed, or is gone.
func (f *forgedLab) endsOrGoes(t *testing.T, object client.Object, words string) {
	t.Helper()
	harness.Eventually(t, patience, func() error {
		err := f.Get(t.Context(), client.ObjectKeyFromObject(object), object)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		var state acmev1.State
		var reason string
		switch o := object.(type) {
		case *acmev1.Order:
			state, reason = o.Status.State, o.Status.Reason
		case *acmev1.Challenge:
			state, reason = o.Status.State, o.Status.Reason
		}
		if state != acmev1.Errored || !strings.Contains(reason, words) {
			return fmt.Errorf("%s is %q because %q, want errored because %q", object.GetName(), state, reason, words)
		}
		return nil
	})
}

func ownedBy(o client.Object, group, kind string) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: group + "/v1", Kind: kind, Name: o.GetName(), UID: o.GetUID(), Controller: ptr(true), BlockOwnerDeletion: ptr(true),
	}
}

func ptr[T any](v T) *T { return &v }

func TestForgedChallenges(t *testing.T) {
	f := newForgedLab(t)
	// A real Order under way: its own Challenge cannot be presented.
	f.quick.DNS.Behave(0, nameserver.Behaviour{RefuseUpdates: true})
	f.certificate(t, "real", fmt.Sprintf(`{secretName: real, dnsNames: [real.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: %s, kind: ClusterIssuer}}`, f.ns))
	real := f.WaitingFor(t, f.ns, "real", patience, "REFUSED")
	order := &acmev1.Order{}
	if err := f.Get(t.Context(), client.ObjectKey{Namespace: f.ns, Name: real.OwnerReferences[0].Name}, order); err != nil {
		t.Fatal(err)
	}
	other := f.forgedChallenge("of-an-order", ownedBy(order, acmev1.GroupName, acmev1.OrderKind))
	real.Spec.DeepCopyInto(&other.Spec)
	other.Spec.Solver = f.forgedSolver()
	if err := f.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	f.endsOrGoes(t, other, "no credential is used for it")
	orphan := f.forgedChallenge("orphan")
	absent := order.DeepCopy()
	absent.UID = "00000000-0000-0000-0000-000000000000"
	claimed := f.forgedChallenge("of-no-order", ownedBy(absent, acmev1.GroupName, acmev1.OrderKind))
	deleted := f.forgedChallenge("deleted")
	presented := f.forgedChallenge("presented")

	// The real one is tried again and again, with the credential, as it should.
	f.quick.DNS.Behave(0, nameserver.Behaviour{})
	f.Ready(t, f.ns, "real", time.Minute)
	f.traffic.Settle(t, f.ns, time.Second)
	before := f.reads()
	for _, c := range []*acmev1.Challenge{orphan, claimed, deleted, presented} {
		if err := f.Create(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	// As if its record had to be removed.
	harness.Eventually(t, patience, func() error {
		if err := f.Get(t.Context(), client.ObjectKeyFromObject(presented), presented); err != nil {
			return client.IgnoreNotFound(err)
		}
		presented.Status = acmev1.ChallengeStatus{State: acmev1.Pending, Presented: true, Processing: true}
		return f.Status().Update(t.Context(), presented)
	})
	for _, c := range []*acmev1.Challenge{deleted, presented} {
		if err := f.Delete(t.Context(), c); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		harness.Eventually(t, patience, func() error {
			err := f.Get(t.Context(), client.ObjectKeyFromObject(c), c)
			if apierrors.IsNotFound(err) {
				return nil
			}
			return fmt.Errorf("Challenge %s does not go away: %v", c.Name, err)
		})
	}
	for _, c := range []*acmev1.Challenge{orphan, claimed} {
		f.endsOrGoes(t, c, "no credential is used for it")
	}
	f.unused(t, before)
}

func TestForgedOrders(t *testing.T) {
	f := newForgedLab(t)
	// An approved request, of an issuer that has nothing to do with ACME.
	f.certificate(t, "harmless", simple("harmless", ""))
	f.revision(t, "harmless", 1)
	request := f.requests(t, "harmless")[0]
	orders := f.quick.Orders.N()
	before := f.reads()
	forge := func(name string, change func(*acmev1.Order)) *acmev1.Order {
		o := &acmev1.Order{
			ObjectMeta: metav1.ObjectMeta{Namespace: f.ns, Name: name, OwnerReferences: []metav1.OwnerReference{ownedBy(&request, cmv1.GroupName, cmv1.CertificateRequestKind)}},
			Spec:       acmev1.OrderSpec{Request: request.Spec.Request, IssuerRef: f.victim, DNSNames: []string{"harmless.example.com"}},
		}
		change(o)
		if err := f.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	wrong := map[string]*acmev1.Order{
		"another issuer": forge("issuer", func(*acmev1.Order) {}),
		"another certificate signing request": forge("request", func(o *acmev1.Order) {
			o.Spec.IssuerRef, o.Spec.Request = request.Spec.IssuerRef, []byte("other")
		}),
		"other names": forge("names", func(o *acmev1.Order) {
			o.Spec.IssuerRef, o.Spec.DNSNames = request.Spec.IssuerRef, []string{"forged.example.com"}
		}),
	}
	orphan := forge("orphan", func(o *acmev1.Order) { o.OwnerReferences = nil })
	for words, o := range wrong {
		f.endsOrGoes(t, o, words)
	}
	f.unused(t, before)
	if n := f.quick.Orders.N(); n != orders {
		t.Errorf("%d orders were made at the server for forged Orders", n-orders)
	}
	if err := f.Get(t.Context(), client.ObjectKeyFromObject(orphan), orphan); err != nil || orphan.Status.URL != "" {
		t.Errorf("an Order without a request: %+v, %v", orphan.Status, err)
	}
}

// Who may edit, and no more, neither makes Orders and Challenges nor changes
// what a Challenge does, nor passes for somebody else.
func TestForgedByEditor(t *testing.T) {
	f := newForgedLab(t)
	f.quick.DNS.Behave(0, nameserver.Behaviour{RefuseUpdates: true})
	f.certificate(t, "real", fmt.Sprintf(`{secretName: real, dnsNames: [real.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: %s, kind: ClusterIssuer}}`, f.ns))
	challenge := f.WaitingFor(t, f.ns, "real", patience, "REFUSED")
	editor := f.editor(t)
	if err := editor.Create(t.Context(), f.forgedChallenge("forged")); !apierrors.IsForbidden(err) {
		t.Errorf("an editor makes a Challenge: %v", err)
	}
	order := &acmev1.Order{ObjectMeta: metaNamed(f.ns, "forged"), Spec: acmev1.OrderSpec{Request: []byte("x"), IssuerRef: f.victim}}
	if err := editor.Create(t.Context(), order); !apierrors.IsForbidden(err) {
		t.Errorf("an editor makes an Order: %v", err)
	}
	changed := challenge.DeepCopy()
	changed.Spec.Solver = f.forgedSolver()
	if err := editor.Patch(t.Context(), changed, client.MergeFrom(challenge)); err == nil {
		t.Error("an editor changes a Challenge's solver")
	}
	request := &cmv1.CertificateRequest{
		ObjectMeta: metaNamed(f.ns, "mine"),
		Spec: cmv1.CertificateRequestSpec{
			Request: f.requests(t, "root")[0].Spec.Request, IssuerRef: cmmeta.IssuerReference{Name: "none", Kind: cmv1.IssuerKind, Group: cmv1.GroupName},
			Username: "system:admin", Groups: []string{"system:masters"}, UID: "1",
		},
	}
	err := editor.Create(t.Context(), request)
	if err == nil && (request.Spec.Username != "editor" || slices.Contains(request.Spec.Groups, "system:masters")) {
		t.Errorf("a request passes for %s of %v", request.Spec.Username, request.Spec.Groups)
	}
	f.quick.DNS.Behave(0, nameserver.Behaviour{})
	f.Ready(t, f.ns, "real", time.Minute)
	if n := f.packets.Load(); n != 0 {
		t.Errorf("the attacker's name server received %d packets", n)
	}
}

// editor is a client for somebody who has the role edit in the namespace.
func (f *forgedLab) editor(t *testing.T) client.Client {
	t.Helper()
	err := f.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metaNamed(f.ns, "editor"),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cert-manager-edit"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "editor"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	config, err := f.ConfigFor("editor")
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: f.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	// The authorizer learns of the binding through a watch.
	harness.Eventually(t, patience, func() error {
		return c.Create(t.Context(), &cmv1.Issuer{
			ObjectMeta: metaNamed(f.ns, "of-editor"),
			Spec:       cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{SelfSigned: &cmv1.SelfSignedIssuer{}}},
		})
	})
	return c
}
