package certificate

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
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
	stored := func(c *State) { c.Keys = []*facts.Secret{nextKey("web-k", key(1))} }
	memory := func(age time.Duration) func(*State) {
		return func(c *State) {
			c.SignsInline, c.Memory = true, &MemoryKey{Digest: pki.DigestOf(key(1).Public()), CreatedAt: now.Add(-age)}
		}
	}
	requested := func(k, revision int, change ...func(*cmv1.CertificateRequest)) func(*State) {
		return func(c *State) {
			c.Requests = append(c.Requests, newRequest(c.Object, key(k), revision, change...))
		}
	}
	issued := signed(now, now.Add(90*day))
	pendingOn := func(message string) func(*cmv1.CertificateRequest) {
		return requestIs(cmv1.CertificateRequestConditionReady, cmmeta.ConditionFalse, "Pending", message, now)
	}
	tests := []struct {
		name  string
		state []func(*State)
		want  func(*State, *Plan)
	}{
		{"nothing yet", nil, func(c *State, p *Plan) {
			p.Step, p.Status = GenerateKey, begun("")
			p.Events = []plan.Event{{Reason: "Issuing", Message: noSecret, Component: componentTrigger}}
		}},
		{"announced, no key", []func(*State){announced}, func(c *State, p *Plan) {
			p.Step = GenerateKey
		}},
		{"key in memory", []func(*State){memory(0), func(c *State) { c.SignsInline = false }}, func(c *State, p *Plan) {
			p.Step, p.Status = StoreKey, begun("")
		}},
		{"key stored, no status", []func(*State){stored}, func(c *State, p *Plan) {
			p.Step, p.Revision, p.Persist, p.Status, p.Keys = CreateRequest, 1, plan.Before, begun("web-k"), c.Keys
		}},
		{"status, no request", []func(*State){announced, stored}, func(c *State, p *Plan) {
			p.Step, p.Revision, p.Persist, p.Keys = CreateRequest, 1, plan.Before, c.Keys
		}},
		{"status names a key that is gone, another is there", []func(*State){announced, func(c *State) {
			c.Keys = []*facts.Secret{nextKey("web-x", key(1))}
		}}, func(c *State, p *Plan) {
			p.Step, p.Revision, p.Persist, p.Status, p.Keys = CreateRequest, 1, plan.Before, begun("web-x"), c.Keys
		}},
		{"requested", []func(*State){announced, stored, requested(1, 1)}, func(c *State, p *Plan) {}},
		{"requested, no status", []func(*State){stored, requested(1, 1)}, func(c *State, p *Plan) {
			p.Status = begun("web-k")
		}},
		{"request lost, status forgot the key", []func(*State){stored, func(c *State) { c.Object.Status = begun("") }}, func(c *State, p *Plan) {
			p.Step, p.Revision, p.Persist, p.Status, p.Keys = CreateRequest, 1, plan.Before, begun("web-k"), c.Keys
		}},
		{"request waits for something", []func(*State){announced, stored, requested(1, 1, pendingOn("no issuer"))}, func(c *State, p *Plan) {
			p.Status.Conditions[0].Message = noSecret + "; waiting: no issuer"
		}},
		{"request waits for something else", []func(*State){announced, stored, func(c *State) {
			c.Object.Status.Conditions[0].Message += "; waiting: no issuer"
		}, requested(1, 1, pendingOn(`Waiting on certificate issuance from order app/web-1-7: "pending": name server x: REFUSED`))}, func(c *State, p *Plan) {
			p.Status.Conditions[0].Message = noSecret + "; waiting: name server x: REFUSED"
		}},
		{"request waits for its order", []func(*State){announced, stored, func(c *State) {
			c.Object.Status.Conditions[0].Message += "; waiting: no issuer"
		}, requested(1, 1, pendingOn(`Waiting on certificate issuance from order app/web-1-7: "pending"`))}, func(c *State, p *Plan) {
			p.Status.Conditions[0].Message = noSecret
		}},
		{"issued", []func(*State){announced, stored, requested(1, 1, issued)}, func(c *State, p *Plan) {
			p.Step, p.Requests, p.Keys = StoreSecret, c.Requests, c.Keys
		}},
		{"requested, key lost", []func(*State){announced, requested(1, 1)}, func(c *State, p *Plan) {
			p.Step, p.Requests = DeleteRequests, c.Requests
		}},
		{"issued, key lost", []func(*State){announced, requested(1, 1, issued)}, func(c *State, p *Plan) {
			p.Step, p.Requests = DeleteRequests, c.Requests
		}},
		{"failed, key lost: not counted", []func(*State){announced, requested(1, 1, failedAt(now, "no"))}, func(c *State, p *Plan) {
			p.Step, p.Requests = DeleteRequests, c.Requests
		}},
		{"request leaves", []func(*State){announced, stored, requested(1, 1, func(r *cmv1.CertificateRequest) { r.DeletionTimestamp = at(now) })}, func(c *State, p *Plan) {
			p.Step, p.Revision, p.Persist, p.Keys = CreateRequest, 1, plan.Before, c.Keys
		}},
		{"request for another key", []func(*State){announced, stored, requested(2, 1, issued)}, func(c *State, p *Plan) {
			p.Step, p.Requests = DeleteRequests, c.Requests
		}},
		{"request for another spec", []func(*State){announced, stored, requested(1, 1, issued), func(c *State) {
			c.Object.Spec.IsCA = true
		}}, func(c *State, p *Plan) {
			p.Step, p.Requests = DeleteRequests, c.Requests
		}},
		{"request without a revision", []func(*State){announced, stored, requested(1, 0), requested(1, 1, issued)}, func(c *State, p *Plan) {
			p.Step, p.Requests = DeleteRequests, c.Requests[:1]
		}},
		{"request of nonsense", []func(*State){announced, stored, requested(1, 1, func(r *cmv1.CertificateRequest) { r.Spec.Request = []byte("x") })}, func(c *State, p *Plan) {
			p.Step, p.Requests = DeleteRequests, c.Requests
		}},
		{"request of another revision", []func(*State){announced, stored, requested(1, 7, issued)}, func(c *State, p *Plan) {
			p.Step, p.Revision, p.Persist, p.Keys = CreateRequest, 1, plan.Before, c.Keys
		}},
		{"two requests, one issued", []func(*State){announced, stored, requested(1, 1), requested(1, 1, issued)}, func(c *State, p *Plan) {
			p.Step, p.Requests, p.Keys = StoreSecret, c.Requests[1:], c.Keys
		}},
		{"key does not follow the spec", []func(*State){announced, stored, func(c *State) { c.Object.Spec.PrivateKey.Size = 384 }}, func(c *State, p *Plan) {
			p.Step, p.Keys = DeleteKeys, c.Keys
		}},
		{"key cannot be read", []func(*State){announced, func(c *State) {
			c.Keys = []*facts.Secret{nextKey("web-k", key(1), func(s *corev1.Secret) { s.Data = map[string][]byte{"tls.key": []byte("x")} })}
		}}, func(c *State, p *Plan) {
			p.Step, p.Keys = DeleteKeys, c.Keys
		}},
		{"several keys: the one in the status stays", []func(*State){announced, func(c *State) {
			c.Keys = []*facts.Secret{nextKey("web-a", key(2)), nextKey("web-k", key(1)), nextKey("web-z", key(3))}
		}, requested(2, 1)}, func(c *State, p *Plan) {
			p.Step, p.Keys = DeleteKeys, []*facts.Secret{c.Keys[0], c.Keys[2]}
		}},
		{"several keys: the requested one stays", []func(*State){func(c *State) {
			c.Object.Status = begun("")
			c.Keys = []*facts.Secret{nextKey("web-a", key(2)), nextKey("web-k", key(1)), nextKey("web-z", key(3))}
		}, requested(1, 1)}, func(c *State, p *Plan) {
			p.Step, p.Keys = DeleteKeys, []*facts.Secret{c.Keys[0], c.Keys[2]}
		}},
		{"several keys: the oldest stays", []func(*State){func(c *State) {
			c.Object.Status = begun("")
			c.Keys = []*facts.Secret{nextKey("web-b", key(2)), nextKey("web-a", key(1)), nextKey("web-z", key(3), func(s *corev1.Secret) {
				s.CreationTimestamp = metav1.NewTime(born.Add(-1))
			})}
		}}, func(c *State, p *Plan) {
			p.Step, p.Keys = DeleteKeys, c.Keys[:2]
		}},

		{"short cut: nothing is stored", []func(*State){memory(0)}, func(c *State, p *Plan) {
			p.Step, p.Revision, p.Persist, p.Status, p.Until = CreateRequest, 1, plan.Held, begun(""), now.Add(2*time.Second)
		}},
		{"short cut: requested", []func(*State){memory(time.Second), requested(1, 1)}, func(c *State, p *Plan) {
			p.Persist, p.Status, p.Until = plan.Held, begun(""), now.Add(time.Second)
		}},
		{"short cut: issued", []func(*State){memory(time.Second), requested(1, 1, issued)}, func(c *State, p *Plan) {
			p.Step, p.Persist, p.Status, p.Until, p.Requests = StoreSecret, plan.Held, begun(""), now.Add(time.Second), c.Requests
		}},
		{"short cut: too slow", []func(*State){memory(2 * time.Second), requested(1, 1)}, func(c *State, p *Plan) {
			p.Step, p.Status = StoreKey, begun("")
		}},
		{"short cut: stored in the end", []func(*State){stored, func(c *State) { c.SignsInline = true }, requested(1, 1)}, func(c *State, p *Plan) {
			p.Status = begun("web-k")
		}},
		{"short cut: request of an earlier process", []func(*State){memory(0), requested(2, 1, issued)}, func(c *State, p *Plan) {
			p.Step, p.Persist, p.Status, p.Until, p.Requests = DeleteRequests, plan.Held, begun(""), now.Add(2*time.Second), c.Requests
		}},
		{"short cut: crash before the key's end", []func(*State){func(c *State) { c.SignsInline = true }, requested(1, 1, issued)}, func(c *State, p *Plan) {
			p.Step, p.Persist, p.Status, p.Requests = DeleteRequests, plan.Held, begun(""), c.Requests
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := State{Object: newCertificate(), Backoff: plan.DefaultIssuance}
			for _, f := range test.state {
				f(&c)
			}
			want := Plan{Issuing: true, Status: *c.Object.Status.DeepCopy()}
			test.want(&c, &want)
			samePlan(t, want, Next(c, now))
		})
	}
}
