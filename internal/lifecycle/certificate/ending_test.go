package certificate

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// TestIssuanceEnds has a first issuance whose key is stored, and each answer to
// its request.
func TestIssuanceEnds(t *testing.T) {
	const (
		prefix = "The certificate request has failed to complete and will be retried: "
		atOnce = "; to try at once after a repair: everleaf renew web -n app"
	)
	condition := func(kind cmv1.CertificateRequestConditionType, reason string) func(*cmv1.CertificateRequest) {
		return requestIs(kind, cmmeta.ConditionTrue, reason, "not allowed", now)
	}
	issued := signed(now, now.Add(90*day))
	tests := []struct {
		name            string
		answer          []func(*cmv1.CertificateRequest)
		reason, message string
		order           *facts.Order
	}{
		{"failed", []func(*cmv1.CertificateRequest){failedAt(now, "no")}, "Failed", "no", nil},
		{"failed by its Order", []func(*cmv1.CertificateRequest){failedAt(now, `Failed to wait for order resource "web-1-7" to become ready: order is in "errored" state: 403 no`)}, "Failed", "403 no", &facts.Order{Reason: "403 no"}},
		{"failed by its Order, in other words", []func(*cmv1.CertificateRequest){failedAt(now, `Failed to wait for order resource "x" to become ready: order is in "invalid" state: a state: b`)}, "Failed", "no address of y.example.com", &facts.Order{Reason: "no address of y.example.com"}},
		{"failed otherwise, beside an Order", []func(*cmv1.CertificateRequest){failedAt(now, "no")}, "Failed", "no", &facts.Order{Reason: "403 no"}},
		{"failed by its Order, which says nothing", []func(*cmv1.CertificateRequest){failedAt(now, `Failed to wait for order resource "web-1-7" to become ready: order is in "errored" state: `)}, "Failed", `Failed to wait for order resource "web-1-7" to become ready: order is in "errored" state: `, &facts.Order{}},
		{"denied", []func(*cmv1.CertificateRequest){condition(cmv1.CertificateRequestConditionDenied, "policy.example.com")}, "policy.example.com", "not allowed", nil},
		{"denied without a reason", []func(*cmv1.CertificateRequest){condition(cmv1.CertificateRequestConditionDenied, "")}, "Denied", "not allowed", nil},
		{"denied and issued", []func(*cmv1.CertificateRequest){condition(cmv1.CertificateRequestConditionDenied, "policy"), issued}, "policy", "not allowed", nil},
		{"invalid", []func(*cmv1.CertificateRequest){condition(cmv1.CertificateRequestConditionInvalidRequest, "OldKey")}, "OldKey", "not allowed", nil},
		{"expired", []func(*cmv1.CertificateRequest){signed(born, now)}, "InvalidCertificate", "The issuer returned a certificate that has expired on Sun, 22 Nov 2026 06:00:00 UTC", nil},
		{"nothing", []func(*cmv1.CertificateRequest){issued, func(r *cmv1.CertificateRequest) { r.Status.Certificate = nil }}, "InvalidCertificate", "The issuer returned a certificate that cannot be decoded: " + pki.ErrNoPEM.Error(), nil},
		{"another's", []func(*cmv1.CertificateRequest){issued, func(r *cmv1.CertificateRequest) { r.Status.Certificate = pki.EncodeChain(authority()) }}, "InvalidCertificate", "The issuer returned a certificate for another public key than the one requested", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := State{Object: newCertificate(), Backoff: plan.DefaultIssuance, Keys: []*facts.Secret{nextKey("web-k", key(1))}}
			c.Object.Status = begun("web-k")
			c.Object.Status.Conditions = append(c.Object.Status.Conditions, cmv1.CertificateCondition{Type: "example.com/Seen"})
			c.Requests = factsOf(newRequest(c.Object, key(1), 1, test.answer...))
			c.Orders = map[types.UID]*facts.Order{c.Requests[0].UID: test.order}
			want := Plan{Until: now.Add(hour), Status: *c.Object.Status.DeepCopy()}
			want.Status.Conditions[0] = issuingIs(cmmeta.ConditionFalse, test.reason, prefix+test.message+atOnce+"; next try at 2026-11-22T07:00:00Z", now)
			want.Status.LastFailureTime, want.Status.FailedIssuanceAttempts, want.Status.NextPrivateKeySecretName = at(now), ptr.To(1), nil
			want.Events = []plan.Event{{Warning: true, Reason: test.reason, Message: prefix + test.message + atOnce + "; next try at 2026-11-22T07:00:00Z", Component: "cert-manager-certificates-issuing"}}
			p := c.Next(now)
			samePlan(t, want, p)

			// It is counted once: what is left goes, and what comes next is to wait.
			c.Object.Status = p.Status
			want = Plan{Do: DeleteKeys{c.Keys}, Confirm: []plan.Confirm{self}, Persist: plan.Before, Status: p.Status, Until: now.Add(hour)}
			samePlan(t, want, c.Next(now))
			c.Keys = nil
			want = Plan{Status: p.Status, Until: now.Add(hour)}
			samePlan(t, want, c.Next(now))

			// Then the failed request makes room, and the second failure doubles
			// the wait.
			later := now.Add(hour)
			p = c.Next(later)
			want = Plan{Do: DeleteRequests{Requests: c.Requests, FailedAttempts: 1}, Confirm: []plan.Confirm{self, noKey("web-k")}, Status: p.Status, Until: p.Until}
			samePlan(t, want, p)
			c.Object.Status, c.Keys = p.Status, []*facts.Secret{nextKey("web-k", key(2))}
			if !issuing(p.Status) {
				t.Errorf("after the back-off: %+v", p)
			}
			c.Requests = factsOf(newRequest(c.Object, key(2), 1, failedAt(later, "no")))
			p = c.Next(later)
			if *p.Status.FailedIssuanceAttempts != 2 || !p.Until.Equal(later.Add(2*hour)) {
				t.Errorf("second failure: %d attempts, until %s", *p.Status.FailedIssuanceAttempts, p.Until)
			}
		})
	}
}

// TestStoredSecret has the certificate of a renewal in its Secret, and only the
// status missing.
func TestStoredSecret(t *testing.T) {
	for _, keys := range [][]*facts.Secret{nil, {nextKey("web-k", key(2))}} {
		c := issuedState()
		c.Object.Status.Conditions = append(c.Object.Status.Conditions, issuingIs(cmmeta.ConditionTrue, "ManuallyTriggered", "by hand", now),
			cmv1.CertificateCondition{Type: "example.com/Seen"})
		c.Object.Status.LastFailureTime, c.Object.Status.FailedIssuanceAttempts = at(born), ptr.To(3)
		c.Object.Status.NextPrivateKeySecretName = ptr.To("web-k")
		next := newRequest(c.Object, key(2), 2, signed(now, now.Add(90*day)))
		c.Requests, c.Keys = append(c.Requests, factsOf(next)...), keys
		c.Secret = secretFor(c, next, key(2))
		status := cmv1.CertificateStatus{
			Conditions: []cmv1.CertificateCondition{readyIs(cmmeta.ConditionTrue, "Ready", upToDate, born), {Type: "example.com/Seen"}},
			NotBefore:  at(now), NotAfter: at(now.Add(90 * day)), RenewalTime: at(now.Add(60 * day)), Revision: ptr.To(2),
		}
		// The end of the issuance is stored and announced by itself, whatever is
		// left in memory.
		want := Plan{Status: status, Until: now.Add(60 * day)}
		want.Events = []plan.Event{{Reason: "Issuing", Message: "The certificate has been successfully issued", Component: "cert-manager-certificates-issuing"}}
		samePlan(t, want, c.Next(now))
		c.Memory.AbsentAt = now
		samePlan(t, want, c.Next(now))

		// Then the stored keys go, what is kept in memory, and the old request.
		c.Object.Status = status
		want.Persist, want.Events = plan.Before, nil
		if keys != nil {
			want.Do, want.Confirm = DeleteKeys{keys}, []plan.Confirm{self}
			samePlan(t, want, c.Next(now))
			c.Keys = nil
		}
		want.Do, want.Confirm = Forget{}, nil
		samePlan(t, want, c.Next(now))
		c.Memory = Memory{}
		want.Do, want.Confirm = DeleteRevisions{c.Requests[:1]}, []plan.Confirm{self}
		samePlan(t, want, c.Next(now))
		c.Requests, c.Keys = c.Requests[1:], nil
		samePlan(t, Plan{Status: status, Until: now.Add(60 * day)}, c.Next(now))
	}
}

// TestSpacedName has certificates that were issued with spaces in DNS names.
func TestSpacedName(t *testing.T) {
	for want, names := range map[string][]string{
		"": {"www.example.com"},
		`spec.dnsNames[1] is " www.example.com", with a space that the certificate has too, so that clients do not accept the certificate for it: write it as "www.example.com"`:  {"example.com", " www.example.com"},
		`spec.dnsNames[0] is "www.example.com\t", with a space that the certificate has too, so that clients do not accept the certificate for it: write it as "www.example.com"`: {"www.example.com\t"},
		`spec.dnsNames[0] is "a b.example.com", with a space that the certificate has too, so that clients do not accept the certificate for it: a DNS name has no spaces`:        {"a b.example.com"},
	} {
		c := issuedState(func(crt *cmv1.Certificate) { crt.Spec.DNSNames = names })
		c.Object.Status.Revision = nil
		events := []plan.Event{{Reason: "Issuing", Message: "The certificate has been successfully issued", Component: "cert-manager-certificates-issuing"}}
		if want != "" {
			events = append(events, plan.Event{Warning: true, Reason: "InvalidName", Message: want, Component: "cert-manager-certificates-issuing"})
		}
		samePlan(t, events, c.Next(now).Events)
	}
}

// TestStoredSecretUnannounced has the same after an issuance that no status
// mentions, because its key was in memory only.
func TestStoredSecretUnannounced(t *testing.T) {
	c := issuedState()
	c.Object.Status = cmv1.CertificateStatus{}
	want := issuedState().Object.Status
	want.Conditions[0].LastTransitionTime = at(now)
	finished := Plan{
		Status: want, Until: born.Add(60 * day),
		Events: []plan.Event{{Reason: "Issuing", Message: "The certificate has been successfully issued", Component: "cert-manager-certificates-issuing"}},
	}
	samePlan(t, finished, c.Next(now))

	c.Memory.Key = &MemoryKey{Digest: pki.DigestOf(key(1).Public()), CreatedAt: now}
	samePlan(t, finished, c.Next(now))
	c.Object.Status = want
	samePlan(t, Plan{Do: Forget{}, Persist: plan.Before, Status: want, Until: born.Add(60 * day)}, c.Next(now))
}

// TestManualIssuing has Issuing set by others, for reasons of their own.
func TestManualIssuing(t *testing.T) {
	c := issuedState()
	by := issuingIs(cmmeta.ConditionTrue, "ManuallyTriggered", "Certificate re-issuance manually triggered", now)
	c.Object.Status.Conditions = append(c.Object.Status.Conditions, by)
	want := Plan{
		Do: GenerateKey{Spec: p256}, Confirm: []plan.Confirm{self, target("s7")},
		Status: *c.Object.Status.DeepCopy(), Until: born.Add(60 * day),
	}
	samePlan(t, want, c.Next(now))

	// A failure that is older belongs to an attempt before.
	c.Keys = []*facts.Secret{nextKey("web-k", key(2))}
	c.Requests = append(c.Requests, factsOf(newRequest(c.Object, key(2), 2, failedAt(now.Add(-hour), "no")))...)
	want.Do, want.Confirm = DeleteRequests{Requests: c.Requests[1:], FailedAttempts: 1}, []plan.Confirm{self}
	samePlan(t, want, c.Next(now))
}

// TestRotationNever has keys that must be kept.
func TestRotationNever(t *testing.T) {
	never := func(crt *cmv1.Certificate) { crt.Spec.PrivateKey.RotationPolicy = cmv1.RotationPolicyNever }
	by := issuingIs(cmmeta.ConditionTrue, "ManuallyTriggered", "by hand", now)
	generate := GenerateKey{Spec: p256}
	badKey := func(s *corev1.Secret) { s.Data["tls.key"] = []byte("x") }
	const cannot = `User intervention required: existing private key in Secret "web-tls" does not match requirements on Certificate resource, mismatching fields: [spec.privateKey.size], but cert-manager cannot create new private key as the Certificate's .spec.privateKey.rotationPolicy is unset or set to Never. To allow cert-manager to create a new private key you can set .spec.privateKey.rotationPolicy to 'Always' (this will result in the private key being regenerated every time a cert is renewed) `
	tests := []struct {
		name  string
		state func(*State)
		do    plan.Action
		event *plan.Event
		cause string
	}{
		{"reused", func(*State) {}, ReuseKey{}, &plan.Event{
			Reason: "Reused", Message: `Reusing private key stored in existing Secret resource "web-tls"`,
			Component: "cert-manager-certificates-key-manager", Verbose: true,
		}, ""},
		{"no Secret", func(c *State) { c.Secret = nil }, generate, nil, ""},
		{"no key", func(c *State) {
			c.Secret = secretFor(*c, firstRequest(c.Object), key(1), func(s *corev1.Secret) { delete(s.Data, "tls.key") })
		}, generate, nil, ""},
		{"unreadable key", func(c *State) { c.Secret = secretFor(*c, firstRequest(c.Object), key(1), badKey) }, generate, &plan.Event{
			Warning: true, Reason: "DecodeFailed", Component: "cert-manager-certificates-key-manager",
			Message: `Failed to decode private key stored in Secret "web-tls" - generating new key`,
		}, ""},
		{"unfit key", func(c *State) { c.Object.Spec.PrivateKey.Size = 384 }, nil, &plan.Event{
			Warning: true, Reason: "CannotRegenerateKey", Component: "cert-manager-certificates-key-manager", Message: cannot,
		}, `; waiting: the private key in Secret "web-tls" does not match the spec: [spec.privateKey.size], and spec.privateKey.rotationPolicy Never forbids a new one`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := issuedState(never)
			c.Object.Status.Conditions = append(c.Object.Status.Conditions, by)
			test.state(&c)
			p := c.Next(now)
			want := Plan{Do: test.do, Status: p.Status, Until: p.Until}
			if test.do != nil {
				want.Confirm = []plan.Confirm{self, target("s7")}
			}
			if c.Secret == nil {
				want.Confirm[1] = target("")
			}
			if test.event != nil {
				want.Events = []plan.Event{*test.event}
			}
			samePlan(t, want, p)
			issuing := by
			issuing.Message += test.cause
			samePlan(t, &issuing, condition.Find(p.Status.Conditions, cmv1.CertificateConditionIssuing))

			// What this process begins, it announces.
			if test.do == (ReuseKey{}) {
				c.Object.Status.Conditions = c.Object.Status.Conditions[:1]
				c.Object.Status.RenewalTime = nil
				samePlan[plan.Action](t, ReuseKey{Begins: true}, c.Next(born.Add(60*day)).Do)
			}
		})
	}
}

// TestUnrequestable has specs that no request can express.
func TestUnrequestable(t *testing.T) {
	next := func(change func(*cmv1.CertificateSpec)) Plan {
		return State{Object: newCertificate(func(crt *cmv1.Certificate) { change(&crt.Spec) }), Backoff: plan.DefaultIssuance}.Next(now)
	}
	for name, p := range map[string]Plan{
		"no Secret name": next(func(s *cmv1.CertificateSpec) { s.SecretName = "" }),
		"no such key":    next(func(s *cmv1.CertificateSpec) { s.PrivateKey.Size = 7 }),
	} {
		issuing := condition.Find(p.Status.Conditions, cmv1.CertificateConditionIssuing)
		if issuing == nil || issuing.Status != cmmeta.ConditionFalse || !strings.Contains(issuing.Message, "Failed to generate CSR: ") ||
			p.Do != nil || p.Persist != plan.AtEnd || *p.Status.FailedIssuanceAttempts != 1 || !p.Until.Equal(now.Add(hour)) {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// TestLeaving has nothing done for a Certificate that is being deleted.
func TestLeaving(t *testing.T) {
	c := State{Object: newCertificate(func(crt *cmv1.Certificate) { crt.DeletionTimestamp = at(now) })}
	samePlan(t, Plan{}, c.Next(now))
}

// TestIdle has a Certificate that needs no issuance.
func TestIdle(t *testing.T) {
	template := func(crt *cmv1.Certificate) {
		crt.Spec.SecretTemplate = &cmv1.CertificateSecretTemplate{Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"x/y": "z"}}
	}
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "Certificate", Name: "web", UID: "web-uid"}
	edit := func(change func(*corev1.Secret)) func(*State) {
		return func(c *State) { c.Secret = secretFor(*c, firstRequest(c.Object), key(1), change) }
	}
	leftover := []*facts.Secret{nextKey("web-k", key(2))}
	tests := []struct {
		name   string
		change func(*cmv1.Certificate)
		state  func(*State)
		want   plan.Action
	}{
		{"as it is", nil, func(*State) {}, nil},
		{"leftover key", nil, func(c *State) { c.Keys = leftover }, DeleteKeys{leftover}},
		{"new template", nil, func(c *State) { template(c.Object) }, RepairSecret{}},
		{"template", template, func(*State) {}, nil},
		{"template dropped", template, func(c *State) { c.Object.Spec.SecretTemplate = nil }, RepairSecret{}},
		{"annotation changed", nil, edit(func(s *corev1.Secret) { s.Annotations[cmv1.AltNamesAnnotationKey] = "x" }), RepairSecret{}},
		{"label lost", nil, edit(func(s *corev1.Secret) { s.Labels = nil }), RepairSecret{}},
		{"metadata of others", nil, edit(func(s *corev1.Secret) { s.Labels["theirs"], s.Annotations["theirs"] = "x", "x" }), nil},
		{"nothing is ours", nil, edit(func(s *corev1.Secret) { s.ManagedFields = nil }), RepairSecret{}},
		{"annotations are not ours", nil, func(c *State) { c.Secret.Managed.Annotations = nil }, RepairSecret{}},
		{"certificate is not ours", nil, func(c *State) { c.Secret.Managed.Data = []string{"tls.key"} }, RepairSecret{}},
		{"key is not ours", nil, func(c *State) { c.Secret.Managed.Data = []string{"tls.crt"} }, RepairSecret{}},
		{"owned by others' hand", nil, edit(func(s *corev1.Secret) { s.OwnerReferences = []metav1.OwnerReference{owner} }), nil},
		{"owned by our hand", nil, edit(func(s *corev1.Secret) { s.OwnerReferences = []metav1.OwnerReference{owner}; manage(s) }), RepairSecret{}},
		{"to be owned", nil, func(c *State) { c.OwnSecret = true }, RepairSecret{}},
		{"to be owned, by others' hand", nil, func(c *State) {
			c.OwnSecret = true
			c.Secret.OwnerReferences, c.Secret.Managed.Owners = []metav1.OwnerReference{owner}, nil
		}, RepairSecret{}},
		{"owned", nil, func(c *State) { c.OwnSecret = true; edit(func(*corev1.Secret) {})(c) }, nil},
		{"brought by a user", nil, edit(func(s *corev1.Secret) { s.Annotations, s.Labels, s.ManagedFields = nil, nil, nil }), RepairSecret{}},
		{"leftover memory", nil, func(c *State) { c.Memory.Key = &MemoryKey{CreatedAt: now} }, Forget{}},
		{"leftover of an issuance", nil, func(c *State) { c.Memory.Kept = true }, Forget{}},
		{"key is being made", nil, func(c *State) { c.Memory.Generating, c.Memory.Kept = true, true }, nil},
		{"applied, and changed by others", nil, func(c *State) { template(c.Object); c.Applied = true }, nil},
		{"a rival's", nil, func(c *State) { template(c.Object); c.SecretOwnedBy = "x" }, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var change []func(*cmv1.Certificate)
			if test.change != nil {
				change = append(change, test.change)
			}
			c := issuedState(change...)
			test.state(&c)
			want := Plan{Do: test.want, Status: *c.Object.Status.DeepCopy(), Until: born.Add(60 * day)}
			if test.want != nil {
				want.Persist = plan.Before
				if test.want != (Forget{}) {
					want.Confirm = []plan.Confirm{self}
				}
			}
			p := c.Next(now)
			if _, ok := p.Do.(RepairSecret); ok {
				// Why is in TestDrift.
				p.Do = RepairSecret{}
			}
			samePlan(t, want, p)
		})
	}
}
