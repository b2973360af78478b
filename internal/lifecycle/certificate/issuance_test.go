package certificate

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

const noSecret = "Issuing certificate as Secret does not exist"

// begun is the status of a first issuance, as it is stored.
func begun(name string) cmv1.CertificateStatus {
	s := cmv1.CertificateStatus{Conditions: []cmv1.CertificateCondition{
		issuingIs(cmmeta.ConditionTrue, "DoesNotExist", noSecret, now),
		readyIs(cmmeta.ConditionFalse, "DoesNotExist", noSecret, now),
	}}
	if name != "" {
		s.NextPrivateKeySecretName = &name
	}
	return s
}

// TestIssuance has every state in which an issuance can be found, by the same
// process or by one that comes after a crash.
func TestIssuance(t *testing.T) {
	announced := func(c *State) { c.Object.Status = begun("web-k") }
	create := func(p *Plan, k *facts.Secret) {
		p.Do, p.Persist, p.Confirm = CreateRequest{Revision: 1, Key: k}, plan.Before, []plan.Confirm{self}
		p.Events = []plan.Event{requestedEvent("web-1")}
	}
	deletes := func(p *Plan, requests ...*facts.Request) {
		failed := 0
		if len(requests) > 0 && requests[0].Failure != nil && requests[0].CSRError == "" {
			failed = 1
		}
		p.Do, p.Confirm = DeleteRequests{Requests: requests, FailedAttempts: failed}, []plan.Confirm{self}
	}
	deletesKeys := func(p *Plan, keys ...*facts.Secret) {
		p.Do, p.Confirm = DeleteKeys{keys}, []plan.Confirm{self}
	}
	stored := func(c *State) { c.Keys = []*facts.Secret{nextKey("web-k", key(1))} }
	memory := func(age time.Duration) func(*State) {
		return func(c *State) {
			c.SignsInline, c.Memory.Key = true, &MemoryKey{Digest: pki.DigestOf(key(1).Public()), CreatedAt: now.Add(-age), Name: "web-k"}
		}
	}
	requested := func(k, revision int, change ...func(*cmv1.CertificateRequest)) func(*State) {
		return func(c *State) {
			c.Requests = append(c.Requests, factsOf(newRequest(c.Object, key(k), revision, change...))...)
		}
	}
	begunBefore := func(ago time.Duration) func(*State) {
		return func(c *State) { c.Memory.BegunAt = now.Add(-ago) }
	}
	toApprove := func(p *Plan) {
		p.Status.Conditions[0].Message = noSecret + `; waiting: CertificateRequest "web-1" has to be approved`
	}
	storeKey := func(p *Plan) {
		p.Do, p.Confirm = StoreKey{}, []plan.Confirm{self}
		p.Events = []plan.Event{{
			Reason: "Generated", Message: `Stored new private key in temporary Secret resource "web-k"`,
			Component: "cert-manager-certificates-key-manager", Verbose: true,
		}}
	}
	regenerated := plan.Event{
		Reason: "Deleted", Message: "Regenerating private key due to change in fields: [spec.privateKey.size]",
		Component: "cert-manager-certificates-key-manager", Verbose: true,
	}
	beginning := plan.Event{Reason: "Issuing", Message: noSecret, Component: "cert-manager-certificates-trigger"}
	issued := signed(now, now.Add(90*day))
	pendingOn := func(message string) func(*cmv1.CertificateRequest) {
		return requestIs(cmv1.CertificateRequestConditionReady, cmmeta.ConditionFalse, "Pending", message, now)
	}
	order := func(reason string) func(*State) {
		return func(c *State) { c.Orders = map[types.UID]*facts.Order{c.Requests[0].UID: {Reason: reason}} }
	}
	tests := []struct {
		name  string
		state []func(*State)
		want  func(*State, *Plan)
	}{
		{"nothing yet", nil, func(c *State, p *Plan) {
			p.Do, p.Confirm, p.Status = GenerateKey{Spec: p256, Begins: true}, []plan.Confirm{self, target("")}, begun("")
		}},
		{"announced, no key", []func(*State){announced}, func(c *State, p *Plan) {
			p.Do, p.Confirm = GenerateKey{Spec: p256}, []plan.Confirm{self, target("")}
		}},
		{"key in memory", []func(*State){memory(0), func(c *State) { c.SignsInline = false }}, func(c *State, p *Plan) {
			p.Status = begun("")
			storeKey(p)
		}},
		{"key stored, no status", []func(*State){stored}, func(c *State, p *Plan) {
			p.Status = begun("web-k")
			create(p, c.Keys[0])
		}},
		{"status, no request", []func(*State){announced, stored}, func(c *State, p *Plan) {
			create(p, c.Keys[0])
		}},
		{"status names a key that is gone, another is there", []func(*State){announced, func(c *State) {
			c.Keys = []*facts.Secret{nextKey("web-x", key(1))}
		}}, func(c *State, p *Plan) {
			p.Status = begun("web-x")
			create(p, c.Keys[0])
		}},
		{"requested", []func(*State){announced, stored, requested(1, 1)}, func(c *State, p *Plan) { toApprove(p) }},
		{"requested, no status", []func(*State){stored, requested(1, 1)}, func(c *State, p *Plan) {
			p.Status = begun("web-k")
			toApprove(p)
		}},
		{"request lost, status forgot the key", []func(*State){stored, func(c *State) { c.Object.Status = begun("") }}, func(c *State, p *Plan) {
			p.Status = begun("web-k")
			create(p, c.Keys[0])
		}},
		{"request waits for something", []func(*State){announced, stored, requested(1, 1, pendingOn("no issuer"))}, func(c *State, p *Plan) {
			p.Status.Conditions[0].Message = noSecret + "; waiting: no issuer"
		}},
		{"request waits for something else", []func(*State){announced, stored, func(c *State) {
			c.Object.Status.Conditions[0].Message += "; waiting: no issuer"
		}, requested(1, 1, pendingOn(`Waiting on certificate issuance from order app/web-1-7: "pending": name server x: REFUSED`)), order("name server x: REFUSED")}, func(c *State, p *Plan) {
			p.Status.Conditions[0].Message = noSecret + "; waiting: name server x: REFUSED"
		}},
		{"request waits for its order", []func(*State){announced, stored, func(c *State) {
			c.Object.Status.Conditions[0].Message += "; waiting: no issuer"
		}, requested(1, 1, pendingOn(`Waiting on certificate issuance from order app/web-1-7: "pending"`)), order("")}, func(c *State, p *Plan) {
			p.Status.Conditions[0].Message = noSecret
		}},
		{"request waits for its order, which is not known", []func(*State){announced, stored, requested(1, 1, pendingOn(`Waiting on certificate issuance from order app/web-1-7: "pending": x`))}, func(*State, *Plan) {}},
		{"request waits for something else than its order", []func(*State){announced, stored, requested(1, 1, pendingOn("no issuer")), order("name server x: REFUSED")}, func(c *State, p *Plan) {
			p.Status.Conditions[0].Message = noSecret + "; waiting: no issuer"
		}},
		{"issued", []func(*State){announced, stored, requested(1, 1, issued)}, func(c *State, p *Plan) {
			p.Do, p.Confirm = StoreSecret{Request: c.Requests[0], Key: c.Keys[0]}, []plan.Confirm{self}
		}},
		{"requested, key lost", []func(*State){announced, requested(1, 1)}, func(c *State, p *Plan) {
			deletes(p, c.Requests...)
			p.Confirm = append(p.Confirm, noKey("web-k"))
		}},
		{"issued, key lost", []func(*State){announced, requested(1, 1, issued)}, func(c *State, p *Plan) {
			deletes(p, c.Requests...)
			p.Confirm = append(p.Confirm, noKey("web-k"))
		}},
		{"failed, key lost: not counted", []func(*State){announced, requested(1, 1, failedAt(now, "no"))}, func(c *State, p *Plan) {
			deletes(p, c.Requests...)
			p.Confirm = append(p.Confirm, noKey("web-k"))
		}},
		{"request leaves", []func(*State){announced, stored, requested(1, 1, func(r *cmv1.CertificateRequest) { r.DeletionTimestamp = at(now) })}, func(c *State, p *Plan) {
			create(p, c.Keys[0])
		}},
		{"request for another key", []func(*State){announced, stored, requested(2, 1, issued)}, func(c *State, p *Plan) {
			deletes(p, c.Requests...)
		}},
		{"request for another spec", []func(*State){announced, stored, requested(1, 1, issued), func(c *State) {
			c.Object.Spec.IsCA = true
		}}, func(c *State, p *Plan) {
			deletes(p, c.Requests...)
		}},
		{"request without a revision", []func(*State){announced, stored, requested(1, 0), requested(1, 1, issued)}, func(c *State, p *Plan) {
			deletes(p, c.Requests[0])
		}},
		{"request of nonsense", []func(*State){announced, stored, requested(1, 1, func(r *cmv1.CertificateRequest) { r.Spec.Request = []byte("x") })}, func(c *State, p *Plan) {
			deletes(p, c.Requests...)
		}},
		{"request of another revision", []func(*State){announced, stored, requested(1, 7, issued)}, func(c *State, p *Plan) {
			create(p, c.Keys[0])
		}},
		{"two requests, one issued", []func(*State){announced, stored, requested(1, 1), requested(1, 1, issued)}, func(c *State, p *Plan) {
			p.Do, p.Confirm = StoreSecret{Request: c.Requests[1], Key: c.Keys[0]}, []plan.Confirm{self}
		}},
		{"key does not follow the spec", []func(*State){announced, stored, func(c *State) { c.Object.Spec.PrivateKey.Size = 384 }}, func(c *State, p *Plan) {
			deletesKeys(p, c.Keys...)
			p.Events = []plan.Event{regenerated}
		}},
		{"key cannot be read", []func(*State){announced, func(c *State) {
			c.Keys = []*facts.Secret{nextKey("web-k", key(1), func(s *corev1.Secret) { s.Data = map[string][]byte{"tls.key": []byte("x")} })}
		}}, func(c *State, p *Plan) {
			deletesKeys(p, c.Keys...)
		}},
		{"several keys: the one in the status stays", []func(*State){announced, func(c *State) {
			c.Keys = []*facts.Secret{nextKey("web-a", key(2)), nextKey("web-k", key(1)), nextKey("web-z", key(3))}
		}, requested(2, 1)}, func(c *State, p *Plan) {
			deletesKeys(p, c.Keys[0], c.Keys[2])
		}},
		{"several keys: the requested one stays", []func(*State){func(c *State) {
			c.Object.Status = begun("")
			c.Keys = []*facts.Secret{nextKey("web-a", key(2)), nextKey("web-k", key(1)), nextKey("web-z", key(3))}
		}, requested(1, 1)}, func(c *State, p *Plan) {
			deletesKeys(p, c.Keys[0], c.Keys[2])
		}},
		{"several keys: the oldest stays", []func(*State){func(c *State) {
			c.Object.Status = begun("")
			c.Keys = []*facts.Secret{nextKey("web-b", key(2)), nextKey("web-a", key(1)), nextKey("web-z", key(3), func(s *corev1.Secret) {
				s.CreationTimestamp = metav1.NewTime(born.Add(-1))
			})}
		}}, func(c *State, p *Plan) {
			deletesKeys(p, c.Keys[:2]...)
		}},

		{"short cut: nothing is stored", []func(*State){memory(0)}, func(c *State, p *Plan) {
			create(p, nil)
			p.Confirm, p.Persist, p.Status, p.Until = nil, plan.Held, begun(""), now.Add(2*time.Second)
		}},
		{"short cut: requested", []func(*State){memory(time.Second), requested(1, 1)}, func(c *State, p *Plan) {
			p.Persist, p.Status, p.Until = plan.Held, begun(""), now.Add(time.Second)
			toApprove(p)
		}},
		{"short cut: issued", []func(*State){memory(time.Second), requested(1, 1, issued)}, func(c *State, p *Plan) {
			p.Do, p.Persist, p.Status, p.Until = StoreSecret{Request: c.Requests[0]}, plan.Held, begun(""), now.Add(time.Second)
		}},
		{"short cut: too slow", []func(*State){memory(2 * time.Second), requested(1, 1)}, func(c *State, p *Plan) {
			p.Status = begun("")
			storeKey(p)
		}},
		{"short cut: stored in the end", []func(*State){stored, func(c *State) { c.SignsInline = true }, requested(1, 1)}, func(c *State, p *Plan) {
			p.Status = begun("web-k")
			toApprove(p)
		}},
		{"short cut: request of an earlier process", []func(*State){memory(0), requested(2, 1, issued)}, func(c *State, p *Plan) {
			deletes(p, c.Requests...)
			p.Persist, p.Status, p.Until = plan.Held, begun(""), now.Add(2*time.Second)
		}},
		{"short cut: crash before the key's end", []func(*State){func(c *State) { c.SignsInline = true }, requested(1, 1, issued)}, func(c *State, p *Plan) {
			deletes(p, c.Requests...)
			p.Confirm = append(p.Confirm, noKey("web-k"))
			p.Persist, p.Status = plan.Held, begun("")
		}},
		{"short cut: no key yet", []func(*State){func(c *State) { c.SignsInline = true }}, func(c *State, p *Plan) {
			p.Do, p.Confirm = GenerateKey{Spec: p256, Begins: true}, []plan.Confirm{target("")}
			p.Persist, p.Status = plan.Held, begun("")
		}},
		{"short cut: issued, the Secret was looked for a moment ago", []func(*State){memory(time.Second), requested(1, 1, issued), func(c *State) {
			c.Memory.AbsentAt = now.Add(-2*time.Second + 1)
		}}, func(c *State, p *Plan) {
			p.Do, p.Persist, p.Status, p.Until = StoreSecret{Request: c.Requests[0], Absent: true}, plan.Held, begun(""), now.Add(time.Second)
		}},
		{"issued, the Secret was looked for long ago", []func(*State){announced, stored, requested(1, 1, issued), func(c *State) {
			c.Memory.AbsentAt = now.Add(-2 * time.Second)
		}}, func(c *State, p *Plan) {
			p.Do, p.Confirm = StoreSecret{Request: c.Requests[0], Key: c.Keys[0]}, []plan.Confirm{self}
		}},
		{"request without a key's name, key lost", []func(*State){announced, requested(1, 1, func(r *cmv1.CertificateRequest) {
			delete(r.Annotations, cmv1.CertificateRequestPrivateKeyAnnotationKey)
		})}, func(c *State, p *Plan) {
			deletes(p, c.Requests...)
		}},
		{"key is being made", []func(*State){func(c *State) { c.Memory.Generating, c.Memory.GeneratingSince = true, now }}, func(c *State, p *Plan) {
			p.Persist, p.Status, p.Until = plan.Held, begun(""), now.Add(time.Second)
		}},
		{"key is being made for a second", []func(*State){func(c *State) { c.Memory.Generating, c.Memory.GeneratingSince = true, now.Add(-time.Second) }}, func(c *State, p *Plan) {
			p.Status = begun("")
			p.Status.Conditions[0].Message += "; waiting: a private key (ECDSA 256) is being generated"
		}},

		{"begun a second ago", []func(*State){memory(0), begunBefore(time.Second)}, func(c *State, p *Plan) {
			create(p, nil)
			p.Confirm, p.Persist, p.Status, p.Until = nil, plan.Held, begun(""), now.Add(time.Second)
		}},
		{"begun two seconds ago", []func(*State){announced, stored, requested(1, 1), begunBefore(2 * time.Second)}, func(c *State, p *Plan) {
			p.Do, p.Events = Announce{}, []plan.Event{beginning}
		}},
		{"begun two seconds ago, request waits for something", []func(*State){announced, stored, func(c *State) {
			c.Object.Status.Conditions[0].Message += "; waiting: no issuer"
		}, requested(1, 1, pendingOn("no issuer")), begunBefore(2 * time.Second)}, func(c *State, p *Plan) {
			p.Do, p.Events = Announce{}, []plan.Event{beginning}
		}},
		{"begun by somebody else: requested since, and waiting", []func(*State){announced, stored, requested(1, 1), func(c *State) {
			c.Object.Status.Conditions[0].LastTransitionTime = at(born)
		}}, func(c *State, p *Plan) { toApprove(p) }},
		{"requested a moment ago", []func(*State){announced, stored, requested(1, 1, func(r *cmv1.CertificateRequest) { r.CreationTimestamp = *at(now.Add(-time.Second)) })}, func(c *State, p *Plan) {
			p.Until = now.Add(time.Second)
		}},
		{"approved, and not answered", []func(*State){announced, stored, requested(1, 1, requestIs(cmv1.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "x", "x", now))}, func(c *State, p *Plan) {
			p.Status.Conditions[0].Message = noSecret + `; waiting: ClusterIssuer.cert-manager.io "ca" has not answered CertificateRequest "web-1"`
		}},
		{"answered in an issuer's own words", []func(*State){announced, stored, requested(1, 1, requestIs(cmv1.CertificateRequestConditionReady, cmmeta.ConditionFalse, "Queued", "no desk is free", now))}, func(c *State, p *Plan) {
			p.Status.Conditions[0].Message = noSecret + "; waiting: no desk is free"
		}},
		{"answered by a reason alone", []func(*State){announced, stored, requested(1, 1, requestIs(cmv1.CertificateRequestConditionReady, cmmeta.ConditionUnknown, "Queued", "", now))}, func(c *State, p *Plan) {
			p.Status.Conditions[0].Message = noSecret + "; waiting: Queued"
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := State{Object: newCertificate(), Backoff: plan.DefaultIssuance}
			for _, f := range test.state {
				f(&c)
			}
			want := Plan{Status: *c.Object.Status.DeepCopy()}
			test.want(&c, &want)
			samePlan(t, want, c.Next(now))
		})
	}
}

// TestUnanswered has requests without a condition: who has to act, and how.
func TestUnanswered(t *testing.T) {
	approved := requestIs(cmv1.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "x", "x", now)
	pending := requestIs(cmv1.CertificateRequestConditionReady, cmmeta.ConditionFalse, "Pending", "Vault is sealed", now)
	const leftAlone = `This version of everleaf has no issuers of type "vault": CertificateRequest "web-1" is left alone; name another issuer in spec.issuerRef, or go back to what has signed before`
	for _, test := range []struct {
		name     string
		issuer   cmmeta.IssuerReference
		change   []func(*cmv1.CertificateRequest)
		want     string
		unserved facts.IssuerType
	}{
		{"ours", cmmeta.IssuerReference{Name: "ca"}, nil, `CertificateRequest "web-1" has to be approved`, ""},
		{"ours, with its group", cmmeta.IssuerReference{Name: "ca", Kind: "ClusterIssuer", Group: "cert-manager.io"}, nil, `CertificateRequest "web-1" has to be approved`, ""},
		{
			"a typo",
			cmmeta.IssuerReference{Name: "ca", Group: "certmanager.io"},
			nil,
			`CertificateRequest "web-1" has to be approved; everleaf does not approve requests for Issuer.certmanager.io "ca": install an approver for the group certmanager.io, or approve it with everleaf approve -n app web-1; if the group is a typo, set spec.issuerRef.group to cert-manager.io`,
			"",
		},
		{"approved", cmmeta.IssuerReference{Name: "ca", Group: "certmanager.io"}, []func(*cmv1.CertificateRequest){approved}, `Issuer.certmanager.io "ca" has not answered CertificateRequest "web-1"`, ""},
		{"of a type to come", cmmeta.IssuerReference{Name: "ca"}, nil, leftAlone, facts.IssuerVault},
		{"of a type to come, pending", cmmeta.IssuerReference{Name: "ca"}, []func(*cmv1.CertificateRequest){approved, pending}, leftAlone, facts.IssuerVault},
	} {
		c := State{Object: newCertificate(func(crt *cmv1.Certificate) { crt.Spec.IssuerRef = test.issuer }), Backoff: plan.DefaultIssuance, IssuerUnserved: test.unserved}
		c.Object.Status, c.Keys = begun("web-k"), []*facts.Secret{nextKey("web-k", key(1))}
		c.Requests = factsOf(newRequest(c.Object, key(1), 1, test.change...))
		p := c.Next(now.Add(day))
		_, cause, _ := strings.Cut(condition.Find(p.Status.Conditions, cmv1.CertificateConditionIssuing).Message, causeMark)
		if cause != test.want {
			t.Errorf("%s: %q, want %q", test.name, cause, test.want)
		}
	}
}
