package lifecycle

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/pki"
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
	announced := func(c *Certificate) { c.Object.Status = begun("web-k") }
	stored := func(c *Certificate) { c.Keys = []*SecretFacts{nextKey("web-k", key(1))} }
	memory := func(age time.Duration) func(*Certificate) {
		return func(c *Certificate) {
			c.ShortCut, c.Memory = true, &MemoryKey{Digest: pki.DigestOf(key(1).Public()), Born: now.Add(-age)}
		}
	}
	requested := func(k, revision int, change ...func(*cmv1.CertificateRequest)) func(*Certificate) {
		return func(c *Certificate) {
			c.Requests = append(c.Requests, request(c.Object, key(k), revision, change...))
		}
	}
	issued := signed(now, now.Add(90*day))
	pendingOn := func(message string) func(*cmv1.CertificateRequest) {
		return requestIs(cmv1.CertificateRequestConditionReady, cmmeta.ConditionFalse, "Pending", message, now)
	}
	tests := []struct {
		name  string
		state []func(*Certificate)
		want  func(*Certificate, *CertificatePlan)
	}{
		{"nothing yet", nil, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Status = CertificateGenerateKey, begun("")
			p.Events = []Event{{Reason: "Issuing", Message: noSecret, Component: componentTrigger}}
		}},
		{"announced, no key", []func(*Certificate){announced}, func(c *Certificate, p *CertificatePlan) {
			p.Step = CertificateGenerateKey
		}},
		{"key in memory", []func(*Certificate){memory(0), func(c *Certificate) { c.ShortCut = false }}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Status = CertificateStoreKey, begun("")
		}},
		{"key stored, no status", []func(*Certificate){stored}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Revision, p.Persist, p.Status, p.Keys = CertificateCreateRequest, 1, Before, begun("web-k"), c.Keys
		}},
		{"status, no request", []func(*Certificate){announced, stored}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Revision, p.Persist, p.Keys = CertificateCreateRequest, 1, Before, c.Keys
		}},
		{"status names a key that is gone, another is there", []func(*Certificate){announced, func(c *Certificate) {
			c.Keys = []*SecretFacts{nextKey("web-x", key(1))}
		}}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Revision, p.Persist, p.Status, p.Keys = CertificateCreateRequest, 1, Before, begun("web-x"), c.Keys
		}},
		{"requested", []func(*Certificate){announced, stored, requested(1, 1)}, func(c *Certificate, p *CertificatePlan) {}},
		{"requested, no status", []func(*Certificate){stored, requested(1, 1)}, func(c *Certificate, p *CertificatePlan) {
			p.Status = begun("web-k")
		}},
		{"request lost, status forgot the key", []func(*Certificate){stored, func(c *Certificate) { c.Object.Status = begun("") }}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Revision, p.Persist, p.Status, p.Keys = CertificateCreateRequest, 1, Before, begun("web-k"), c.Keys
		}},
		{"request waits for something", []func(*Certificate){announced, stored, requested(1, 1, pendingOn("no issuer"))}, func(c *Certificate, p *CertificatePlan) {
			p.Status.Conditions[0].Message = noSecret + "; waiting: no issuer"
		}},
		{"request waits for something else", []func(*Certificate){announced, stored, func(c *Certificate) {
			c.Object.Status.Conditions[0].Message += "; waiting: no issuer"
		}, requested(1, 1, pendingOn(`Waiting on certificate issuance from order app/web-1-7: "pending": name server x: REFUSED`))}, func(c *Certificate, p *CertificatePlan) {
			p.Status.Conditions[0].Message = noSecret + "; waiting: name server x: REFUSED"
		}},
		{"request waits for its order", []func(*Certificate){announced, stored, func(c *Certificate) {
			c.Object.Status.Conditions[0].Message += "; waiting: no issuer"
		}, requested(1, 1, pendingOn(`Waiting on certificate issuance from order app/web-1-7: "pending"`))}, func(c *Certificate, p *CertificatePlan) {
			p.Status.Conditions[0].Message = noSecret
		}},
		{"issued", []func(*Certificate){announced, stored, requested(1, 1, issued)}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Requests, p.Keys = CertificateStoreSecret, c.Requests, c.Keys
		}},
		{"requested, key lost", []func(*Certificate){announced, requested(1, 1)}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Requests = CertificateDeleteRequests, c.Requests
		}},
		{"issued, key lost", []func(*Certificate){announced, requested(1, 1, issued)}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Requests = CertificateDeleteRequests, c.Requests
		}},
		{"failed, key lost: not counted", []func(*Certificate){announced, requested(1, 1, failedAt(now, "no"))}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Requests = CertificateDeleteRequests, c.Requests
		}},
		{"request leaves", []func(*Certificate){announced, stored, requested(1, 1, func(r *cmv1.CertificateRequest) { r.DeletionTimestamp = at(now) })}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Revision, p.Persist, p.Keys = CertificateCreateRequest, 1, Before, c.Keys
		}},
		{"request for another key", []func(*Certificate){announced, stored, requested(2, 1, issued)}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Requests = CertificateDeleteRequests, c.Requests
		}},
		{"request for another spec", []func(*Certificate){announced, stored, requested(1, 1, issued), func(c *Certificate) {
			c.Object.Spec.IsCA = true
		}}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Requests = CertificateDeleteRequests, c.Requests
		}},
		{"request without a revision", []func(*Certificate){announced, stored, requested(1, 0), requested(1, 1, issued)}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Requests = CertificateDeleteRequests, c.Requests[:1]
		}},
		{"request of nonsense", []func(*Certificate){announced, stored, requested(1, 1, func(r *cmv1.CertificateRequest) { r.Spec.Request = []byte("x") })}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Requests = CertificateDeleteRequests, c.Requests
		}},
		{"request of another revision", []func(*Certificate){announced, stored, requested(1, 7, issued)}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Revision, p.Persist, p.Keys = CertificateCreateRequest, 1, Before, c.Keys
		}},
		{"two requests, one issued", []func(*Certificate){announced, stored, requested(1, 1), requested(1, 1, issued)}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Requests, p.Keys = CertificateStoreSecret, c.Requests[1:], c.Keys
		}},
		{"key does not follow the spec", []func(*Certificate){announced, stored, func(c *Certificate) { c.Object.Spec.PrivateKey.Size = 384 }}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Keys = CertificateDeleteKeys, c.Keys
		}},
		{"key cannot be read", []func(*Certificate){announced, func(c *Certificate) {
			c.Keys = []*SecretFacts{nextKey("web-k", key(1), func(s *corev1.Secret) { s.Data = map[string][]byte{"tls.key": []byte("x")} })}
		}}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Keys = CertificateDeleteKeys, c.Keys
		}},
		{"several keys: the one in the status stays", []func(*Certificate){announced, func(c *Certificate) {
			c.Keys = []*SecretFacts{nextKey("web-a", key(2)), nextKey("web-k", key(1)), nextKey("web-z", key(3))}
		}, requested(2, 1)}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Keys = CertificateDeleteKeys, []*SecretFacts{c.Keys[0], c.Keys[2]}
		}},
		{"several keys: the requested one stays", []func(*Certificate){func(c *Certificate) {
			c.Object.Status = begun("")
			c.Keys = []*SecretFacts{nextKey("web-a", key(2)), nextKey("web-k", key(1)), nextKey("web-z", key(3))}
		}, requested(1, 1)}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Keys = CertificateDeleteKeys, []*SecretFacts{c.Keys[0], c.Keys[2]}
		}},
		{"several keys: the oldest stays", []func(*Certificate){func(c *Certificate) {
			c.Object.Status = begun("")
			c.Keys = []*SecretFacts{nextKey("web-b", key(2)), nextKey("web-a", key(1)), nextKey("web-z", key(3), func(s *corev1.Secret) {
				s.CreationTimestamp = metav1.NewTime(born.Add(-1))
			})}
		}}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Keys = CertificateDeleteKeys, c.Keys[:2]
		}},

		{"short cut: nothing is stored", []func(*Certificate){memory(0)}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Revision, p.Persist, p.Status, p.Until = CertificateCreateRequest, 1, NotYet, begun(""), now.Add(2*time.Second)
		}},
		{"short cut: requested", []func(*Certificate){memory(time.Second), requested(1, 1)}, func(c *Certificate, p *CertificatePlan) {
			p.Persist, p.Status, p.Until = NotYet, begun(""), now.Add(time.Second)
		}},
		{"short cut: issued", []func(*Certificate){memory(time.Second), requested(1, 1, issued)}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Persist, p.Status, p.Until, p.Requests = CertificateStoreSecret, NotYet, begun(""), now.Add(time.Second), c.Requests
		}},
		{"short cut: too slow", []func(*Certificate){memory(2 * time.Second), requested(1, 1)}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Status = CertificateStoreKey, begun("")
		}},
		{"short cut: stored in the end", []func(*Certificate){stored, func(c *Certificate) { c.ShortCut = true }, requested(1, 1)}, func(c *Certificate, p *CertificatePlan) {
			p.Status = begun("web-k")
		}},
		{"short cut: request of an earlier process", []func(*Certificate){memory(0), requested(2, 1, issued)}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Persist, p.Status, p.Until, p.Requests = CertificateDeleteRequests, NotYet, begun(""), now.Add(2*time.Second), c.Requests
		}},
		{"short cut: crash before the key's end", []func(*Certificate){func(c *Certificate) { c.ShortCut = true }, requested(1, 1, issued)}, func(c *Certificate, p *CertificatePlan) {
			p.Step, p.Persist, p.Status, p.Requests = CertificateDeleteRequests, NotYet, begun(""), c.Requests
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := Certificate{Object: certificate(), Backoff: DefaultBackoff}
			for _, f := range test.state {
				f(&c)
			}
			want := CertificatePlan{Issuing: true, Status: *c.Object.Status.DeepCopy()}
			test.want(&c, &want)
			samePlan(t, want, NextCertificate(c, now))
		})
	}
}
