package certificate

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

func TestNewNeedsAll(t *testing.T) {
	s := newFakes(t, nil).start(t, config)
	deps := s.Deps
	deps.Answers, deps.Clock = nil, nil
	_, err := New(deps, config, nil)
	if err == nil || !strings.Contains(err.Error(), "Answers is missing") || !strings.Contains(err.Error(), "Clock is missing") || strings.Contains(err.Error(), "Keys") {
		t.Errorf("error %v", err)
	}
}

// TestKeyOfAnotherSpecIsDropped holds that a key that was made before the spec
// changed is not used for it.
func TestKeyOfAnotherSpecIsDropped(t *testing.T) {
	for _, test := range []struct {
		name string
		spec *cmv1.CertificatePrivateKey
		want bool
	}{
		{"as the spec wants it", &cmv1.CertificatePrivateKey{Algorithm: cmv1.ECDSAKeyAlgorithm, Size: 256}, true},
		{"another size", &cmv1.CertificatePrivateKey{Algorithm: cmv1.ECDSAKeyAlgorithm, Size: 384}, false},
		{"another algorithm", nil, false},
	} {
		s := newFakes(t, nil).start(t, config)
		object := crt(func(c *cmv1.Certificate) { c.Spec.PrivateKey = test.spec })
		s.memory.Of(subject, object.UID, nil).hold(key(1), now.Add(-time.Second))
		held := s.load(t, object).State.Memory
		if got := held.Key != nil; got != test.want || !held.Kept {
			t.Errorf("%s: used %t, want %t; %+v", test.name, got, test.want, held)
		}
		if test.want && (held.Key.Digest != pki.DigestOf(key(1).Public()) || !held.Key.CreatedAt.Equal(now.Add(-time.Second))) {
			t.Errorf("%s: %+v", test.name, held.Key)
		}
		object.UID = "another"
		if held := s.load(t, object).State.Memory; held != (core.Memory{}) {
			t.Errorf("%s: a Certificate takes over the memory of another: %+v", test.name, held)
		}
	}
}

// TestMemoryIsDropped holds that nothing is remembered of a Certificate that is
// settled, whatever an issuance has left.
func TestMemoryIsDropped(t *testing.T) {
	for _, test := range []struct {
		name string
		left func(*memory)
		want int
	}{
		{"key", func(m *memory) { m.hold(key(1), now) }, 0},
		{"name of a key", func(m *memory) { m.keyName = "web-abcde" }, 0},
		{"nothing of use", func(*memory) {}, 0},
		{"times", func(m *memory) { m.absentAt, m.begunAt = now, now }, 0},
		{"key is being made", func(m *memory) { m.begin(&job{spec: core.KeySpecOf(&crt().Spec), cancel: func() {}}) }, 1},
	} {
		// It waits for its back-off.
		object := crt(func(c *cmv1.Certificate) { c.Status.LastFailureTime = &metav1.Time{Time: now} })
		s := newFakes(t, nil, object).start(t, config)
		test.left(s.memory.Of(subject, object.UID, nil))
		s.reconcile(t)
		if got := s.memory.Len(); got != test.want {
			t.Errorf("%s: %d Certificates are remembered, want %d", test.name, got, test.want)
		}
	}
	s := newFakes(t, nil).start(t, config)
	s.memory.Of(subject, "web-uid", nil)
	s.reconcile(t)
	if s.memory.Len() != 0 {
		t.Error("a Certificate that is gone is remembered")
	}
}

// TestRequestWhoseKeyIsNotCachedStays holds that a new process does not delete
// a request for a key that its caches do not show yet.
func TestRequestWhoseKeyIsNotCachedStays(t *testing.T) {
	object := crt(func(c *cmv1.Certificate) {
		c.Status.Conditions = []cmv1.CertificateCondition{{Type: cmv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue}}
	})
	keyOf := func(owner *cmv1.Certificate) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace: "app", Name: "web-abcde",
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, cmv1.SchemeGroupVersion.WithKind("Certificate"))},
		}}
	}
	for _, test := range []struct {
		name string
		live []client.Object
		want bool
	}{
		{"key is there", []client.Object{keyOf(object)}, true},
		{"key is nowhere", nil, false},
		{"another's key", []client.Object{keyOf(crt(func(c *cmv1.Certificate) { c.UID = "other" }))}, false},
	} {
		r := lifecycletest.NewRequest(object, key(1), 1, func(r *cmv1.CertificateRequest) {
			r.Annotations[cmv1.CertificateRequestPrivateKeyAnnotationKey] = "web-abcde"
			r.UID = "old"
		})
		f := newFakes(t, nil, append(test.live, object.DeepCopy(), r)...)
		s := f.start(t, config)
		s.reconcile(t)
		err := f.objects.Get(t.Context(), client.ObjectKeyFromObject(r), r)
		if got := err == nil && r.UID == "old"; got != test.want {
			t.Errorf("%s: the request is there: %t, want %t", test.name, got, test.want)
		}
	}
}

// TestRequestInTheWay has a request of the name that the next one is to have: one that
// the Certificate, or one of its name, has left behind makes room.
func TestRequestInTheWay(t *testing.T) {
	former := crt(func(c *cmv1.Certificate) { c.UID = "former" })
	other := crt(func(c *cmv1.Certificate) { c.Name, c.UID = "other", "other" })
	madeFor := func(name string) func(*cmv1.CertificateRequest) {
		return func(r *cmv1.CertificateRequest) {
			r.OwnerReferences, r.Annotations[cmv1.CertificateNameKey] = nil, name
		}
	}
	const taken = "; delete it, or give the Certificate another name"
	for _, test := range []struct {
		name            string
		owner           *cmv1.Certificate
		change          func(*cmv1.CertificateRequest)
		stale           bool
		reason, message string
	}{
		{"ours", crt(), nil, true, "", ""},
		{"ours, of another revision", crt(), func(r *cmv1.CertificateRequest) {
			r.Annotations[cmv1.CertificateRequestRevisionAnnotationKey] = "7"
		}, false, "", ""},
		{"ours, being deleted", crt(), func(r *cmv1.CertificateRequest) {
			r.DeletionTimestamp, r.Finalizers = &metav1.Time{Time: now}, []string{"example.com/x"}
		}, false, "", "one of this name is being deleted; if it does not go, see its finalizers"},
		{"ours, and it does not go", former, func(r *cmv1.CertificateRequest) {
			r.Finalizers = []string{"example.com/x"}
		}, false, "RequestFailed", "one of this name was deleted and is there again; find what creates it, or, if it is being deleted, see its finalizers"},
		{"that of a Certificate before", former, nil, false, "", ""},
		{"that of a Certificate before, issued", former, func(r *cmv1.CertificateRequest) {
			lifecycletest.Signed(now.Add(-lifecycletest.Day), now.Add(lifecycletest.Day))(r)
		}, false, "", ""},
		{"left behind without an owner", crt(), madeFor("web"), false, "", ""},
		{"another's", other, nil, false, "RequestFailed", `the name is taken by one that belongs to Certificate "other"` + taken},
		{"another's, without an owner", crt(), madeFor("other"), false, "RequestFailed", `the name is taken by one that was made for Certificate "other"` + taken},
		{"a Deployment's", crt(), func(r *cmv1.CertificateRequest) {
			r.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "d"}}
		}, false, "RequestFailed", `the name is taken by one that belongs to Deployment "web"` + taken},
		{"another kind of Certificate's", crt(), func(r *cmv1.CertificateRequest) {
			r.OwnerReferences = []metav1.OwnerReference{{APIVersion: "networking.internal.knative.dev/v1alpha1", Kind: "Certificate", Name: "web", UID: "k"}}
		}, false, "RequestFailed", `the name is taken by one that belongs to Certificate "web" of networking.internal.knative.dev` + taken},
		{"ours, of another version", former, func(r *cmv1.CertificateRequest) {
			r.OwnerReferences[0].APIVersion = "cert-manager.io/v1alpha2"
		}, false, "", ""},
		{"a person's", crt(), func(r *cmv1.CertificateRequest) {
			r.OwnerReferences, r.Spec.Username = nil, "alice"
		}, false, "RequestFailed", `the name is taken by one that was created by "alice"` + taken},
		{"nobody's", crt(), func(r *cmv1.CertificateRequest) { r.OwnerReferences = nil }, false, "RequestFailed", "the name is taken by one that was not made for a Certificate" + taken},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := lifecycletest.NewRequest(test.owner, key(2), 1, func(r *cmv1.CertificateRequest) { r.Name = "web-1" })
			if test.change != nil {
				test.change(r)
			}
			f := newFakes(t, nil, r)
			s := f.start(t, config)
			w := s.load(t, crt())
			w.note().hold(key(1), now)
			err := w.Do(t.Context(), core.CreateRequest{Revision: 1})
			if test.stale != errors.Is(err, cluster.ErrStale) {
				t.Fatalf("error %v", err)
			}
			switch f := fault.Of(err); {
			case test.stale:
				return
			case test.message == "":
				if err != nil {
					t.Fatal(err)
				}
			case f == nil || f.Class != fault.Transient || f.Reason != test.reason || f.Message != test.message:
				t.Errorf("got %+v", f)
			}
			there := &cmv1.CertificateRequest{}
			if err := f.objects.Get(t.Context(), client.ObjectKeyFromObject(r), there); err != nil {
				t.Fatal(err)
			}
			if replaced := there.UID != r.UID; replaced != (test.message == "") {
				t.Errorf("replaced %t", replaced)
			}
		})
	}
}

// TestActionsThatFail has actions that find something else than was decided on,
// or that cannot be done at all.
func TestActionsThatFail(t *testing.T) {
	s := newFakes(t, []runtime.Object{&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "web-tls", ResourceVersion: "8"}}}).start(t, config)
	w := s.load(t, crt(func(c *cmv1.Certificate) { c.Spec.SecretName = "gone" }))
	if err := w.Do(t.Context(), core.ReuseKey{}); !errors.Is(err, cluster.ErrStale) {
		t.Errorf("reuse the key of a Secret that is gone: %v", err)
	}
	w = s.load(t, crt())
	w.State.Secret = &facts.Secret{ResourceVersion: "6"}
	if err := w.Do(t.Context(), core.RepairSecret{}); !errors.Is(err, cluster.ErrStale) || !w.Applied {
		t.Errorf("repair a Secret that has changed: %v, applied %t", err, w.Applied)
	}
	w = s.load(t, crt(func(c *cmv1.Certificate) { c.Spec.IPAddresses = []string{"no address"} }))
	w.note().hold(key(1), now)
	if err := w.Do(t.Context(), core.CreateRequest{Revision: 1}); err == nil || fault.Of(err).Class != fault.Permanent || fault.Of(err).Reason != "RequestFailed" {
		t.Errorf("request what cannot be: %v", err)
	}
	if err := w.Do(t.Context(), nil); err == nil {
		t.Error("an unknown action succeeds")
	}
}

// TestAnswer has the certificate of a request in memory, at the API server, or
// another there than was decided on.
func TestAnswer(t *testing.T) {
	object := crt()
	r := lifecycletest.NewRequest(object, key(1), 1, lifecycletest.Signed(now, now.Add(life)))
	r.Status.CA = []byte("ca")
	s := newFakes(t, nil, r).start(t, config)
	w, known := s.load(t, object), facts.OfRequest(r, pki.Limits{})
	s.Answers.Put(r.UID, cluster.Answer{Chain: r.Status.Certificate, CA: []byte("from memory")})
	for _, want := range []string{"from memory", "ca"} {
		answer, err := w.answer(t.Context(), known)
		if err != nil || string(answer.CA) != want || string(answer.Chain) != string(r.Status.Certificate) {
			t.Errorf("got %q, error %v, want %q", answer.CA, err, want)
		}
	}
	s.Answers.Put(r.UID, cluster.Answer{Chain: []byte("another")})
	if answer, err := w.answer(t.Context(), known); err != nil || string(answer.CA) != "ca" {
		t.Errorf("another certificate in memory: got %q, error %v", answer.CA, err)
	}
	old := *known
	old.Answer.Digest[0]++
	if _, err := w.answer(t.Context(), &old); !errors.Is(err, cluster.ErrStale) {
		t.Errorf("another certificate at the API server: %v", err)
	}
}

// TestGenerateAside has an RSA key made beside the reconcile, which then wakes
// the Certificate.
func TestGenerateAside(t *testing.T) {
	s := newFakes(t, nil).start(t, config)
	queue := controller.NewQueue(t.Name(), controller.Backoff(time.Second, time.Second))
	defer queue.ShutDown()
	if err := s.driver.Requeue.Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	object := crt(func(c *cmv1.Certificate) { c.Spec.PrivateKey = nil })
	w := s.load(t, object)
	if err := w.Do(t.Context(), core.GenerateKey{Spec: core.KeySpecOf(&object.Spec), Begins: true}); err != nil {
		t.Fatal(err)
	}
	if m := w.State.Memory; m.Key != nil || !m.BegunAt.Equal(now) || !m.AbsentAt.Equal(now) {
		t.Errorf("memory %+v", m)
	}
	if woken, _ := queue.Get(); woken.NamespacedName != subject {
		t.Errorf("%s is woken", woken)
	}
	if m := s.load(t, object).State.Memory; m.Key == nil || m.Generating {
		t.Errorf("the key is not there: %+v", m)
	}
}

// TestMemoryOfActions has what the actions that write nothing remember.
func TestMemoryOfActions(t *testing.T) {
	s := newFakes(t, nil).start(t, config)
	w := s.load(t, crt())
	do := func(a interface{ String() string }) core.Memory {
		t.Helper()
		if err := w.Do(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		return w.State.Memory
	}
	spec := pki.KeySpec{Algorithm: pki.ECDSA, Size: 256}
	if m := do(core.GenerateKey{Spec: spec}); m.Key == nil || !m.BegunAt.IsZero() || !m.AbsentAt.Equal(now) {
		t.Errorf("an issuance of somebody else's: %+v", m)
	}
	if m := do(core.GenerateKey{Spec: spec, Begins: true}); !m.BegunAt.Equal(now) {
		t.Errorf("an issuance: %+v", m)
	}
	s.clock.Step(time.Second)
	if m := do(core.GenerateKey{Spec: spec, Begins: true}); !m.BegunAt.Equal(now) {
		t.Errorf("an issuance that goes on: %+v", m)
	}
	if m := do(core.Announce{}); !m.BegunAt.IsZero() || m.Key == nil {
		t.Errorf("announced: %+v", m)
	}
	if m := do(core.Forget{}); m != (core.Memory{}) || s.memory.Len() != 0 {
		t.Errorf("forgotten: %+v", m)
	}
}

// TestSignsInline has issuers that sign in this process, and those that do not.
func TestSignsInline(t *testing.T) {
	ca := cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "ca"}}
	for _, test := range []struct {
		name   string
		issuer *cmv1.ClusterIssuer
		may    bool
		fail   error
		want   bool
	}{
		{"CA", clusterIssuer(ca, cmmeta.ConditionTrue), true, nil, true},
		{"CA that is not ready", clusterIssuer(ca, cmmeta.ConditionFalse), true, nil, false},
		{"CA whose requests others approve", clusterIssuer(ca, cmmeta.ConditionTrue), false, nil, false},
		{"CA, no answer about approval", clusterIssuer(ca, cmmeta.ConditionTrue), true, errors.New("no answer"), false},
		{"Vault", clusterIssuer(cmv1.IssuerConfig{Vault: &cmv1.VaultIssuer{}}, cmmeta.ConditionTrue), true, nil, true},
		{"ACME", clusterIssuer(cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{}}, cmmeta.ConditionTrue), true, nil, false},
		{"no issuer", nil, true, nil, false},
	} {
		var objects []client.Object
		if test.issuer != nil {
			objects = append(objects, test.issuer)
		}
		f := newFakes(t, nil, objects...)
		f.approves(test.may, test.fail)
		if got := f.start(t, config).load(t, crt()).SignsInline; got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}

// TestSecretOwner has Certificates with one Secret name.
func TestSecretOwner(t *testing.T) {
	older := crt(func(c *cmv1.Certificate) {
		c.Name, c.UID, c.CreationTimestamp = "older", "older", metav1.NewTime(now.Add(-life))
	})
	s := newFakes(t, nil, crt(), older).start(t, config)
	if got := s.load(t, crt()).SecretOwnedBy; got != "older" {
		t.Errorf("the younger's Secret is owned by %q", got)
	}
	if got := s.load(t, older).SecretOwnedBy; got != "" {
		t.Errorf("the older's Secret is owned by %q", got)
	}
	if got := s.load(t, crt(func(c *cmv1.Certificate) { c.Spec.SecretName = "x" })).SecretOwnedBy; got != "" {
		t.Errorf("a Secret of its own is owned by %q", got)
	}
}

func TestNextKeyName(t *testing.T) {
	s := newFakes(t, nil).start(t, config)
	if got := s.load(t, crt(func(c *cmv1.Certificate) { c.Status.NextPrivateKeySecretName = ptr.To("web-x") })).nextKeyName(); got != "web-x" {
		t.Errorf("got %q, not the name in the status", got)
	}
	w := s.load(t, crt(func(c *cmv1.Certificate) { c.Name = strings.Repeat("x", 253) }))
	if got := w.nextKeyName(); len(got) != 253 || got != w.nextKeyName() {
		t.Errorf("got %q", got)
	}
}

// TestKeyOfAnotherCertificate holds that a key that is made beside the workers
// does not take the place of the one that the certificate was decided for,
// between the decision and the write.
func TestKeyOfAnotherCertificate(t *testing.T) {
	object := crt()
	r := lifecycletest.NewRequest(object, key(1), 1, lifecycletest.Signed(now, now.Add(life)))
	f := newFakes(t, nil, object, r)
	f.signsInline(t)
	s := f.start(t, config)
	m := s.memory.Of(subject, object.UID, nil)
	m.hold(key(1), now)
	w := s.load(t, object)
	action, ok := w.Next(now).Do.(core.StoreSecret)
	if !ok {
		t.Fatal("the certificate is not stored")
	}
	m.hold(key(2), now)
	if err := w.Do(t.Context(), action); !errors.Is(err, cluster.ErrStale) {
		t.Errorf("error %v, want %v", err, cluster.ErrStale)
	}
}

// TestControllerOf has the controllers of cert-manager whose work the actions are.
func TestControllerOf(t *testing.T) {
	for _, test := range []struct {
		action plan.Action
		want   string
	}{
		{core.GenerateKey{}, "certificates-key-manager"},
		{core.ReuseKey{}, "certificates-key-manager"},
		{core.StoreKey{}, "certificates-key-manager"},
		{core.DeleteKeys{}, "certificates-key-manager"},
		{core.CreateRequest{}, "certificates-request-manager"},
		{core.DeleteRequests{}, "certificates-request-manager"},
		{core.DeleteRevisions{}, "certificates-revision-manager"},
		{core.StoreSecret{}, "certificates-issuing"},
		{core.RepairSecret{}, "certificates-issuing"},
		{core.Announce{}, ""},
		{core.Forget{}, ""},
	} {
		if got := (*work)(nil).ControllerOf(test.action); got != test.want {
			t.Errorf("%s counts as %q, want %q", test.action, got, test.want)
		}
	}
}
