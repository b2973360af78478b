package certificate

import (
	"crypto"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

const temporarySecret = "Issuing certificate as Secret contains a temporary certificate"

// temporaryFor is the Secret that the reconciler makes while a request waits.
func temporaryFor(c State, k crypto.Signer, change ...func(*corev1.Secret)) *facts.Secret {
	cert := must(pki.Temporary(TemplateOf(&c.Object.Spec), k, now, pki.Limits{}))
	meta := TemporaryMetadata(c, pki.FactsOf(must(pki.ParseChain(cert, pki.Limits{}))[0]))
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: c.Object.Namespace, Name: c.Object.Spec.SecretName, UID: "secret-uid", ResourceVersion: "s7",
			Labels: meta.Labels, Annotations: meta.Annotations, OwnerReferences: meta.OwnerReferences,
		},
		Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"tls.crt": cert, "tls.key": must(pki.EncodeKey(k, pki.PKCS8))},
	}
	manage(s)
	for _, f := range change {
		f(s)
	}
	return facts.OfSecret(s, pki.Limits{})
}

// TestTemporary has what a waiting request is for: a Secret that has nothing to
// serve gets a temporary certificate if the Certificate asks for one, and no
// other does.
func TestTemporary(t *testing.T) {
	const noIssuer = "no issuer"
	pending := requestIs(cmv1.CertificateRequestConditionReady, cmmeta.ConditionFalse, "Pending", noIssuer, now)
	unanswered := func(r *cmv1.CertificateRequest) { r.CreationTimestamp = metav1.NewTime(now.Add(-answeredWithin)) }
	fresh := func(r *cmv1.CertificateRequest) { r.CreationTimestamp = metav1.NewTime(now) }
	asks := func(value string) func(*cmv1.Certificate) {
		return func(crt *cmv1.Certificate) {
			crt.Annotations = map[string]string{cmv1.IssueTemporaryCertificateAnnotationKey: value}
		}
	}
	secret := func(change ...func(*corev1.Secret)) func(*State) {
		return func(c *State) {
			other := firstRequest(c.Object)
			c.Secret = secretFor(*c, other, key(2), change...)
		}
	}
	for name, test := range map[string]struct {
		asks    string
		request func(*cmv1.CertificateRequest)
		state   func(*State)
		want    bool
	}{
		"no Secret":                       {"true", pending, nil, true},
		"no Secret, known to be absent":   {"true", pending, func(c *State) { c.Memory.AbsentAt = now }, true},
		"nobody answers":                  {"true", unanswered, nil, true},
		"no answer yet":                   {"true", fresh, nil, false},
		"not asked for":                   {"", pending, nil, false},
		"False":                           {"false", pending, nil, false},
		"True":                            {"True", pending, nil, false},
		"yes":                             {"yes", pending, nil, false},
		"failed":                          {"true", failedAt(now, "no"), nil, false},
		"a Secret without a certificate":  {"true", pending, secret(func(s *corev1.Secret) { delete(s.Data, "tls.crt") }), true},
		"a Secret with another's key":     {"true", pending, secret(), true},
		"a Secret with a broken key":      {"true", pending, secret(func(s *corev1.Secret) { s.Data["tls.key"] = []byte("x") }), true},
		"a Secret of another Certificate": {"true", pending, func(c *State) { c.SecretOwnedBy = "other" }, false},
		"a valid pair, for other names":   {"true", pending, validPair(born.Add(90*day), "other.test"), false},
		"a valid pair that has expired":   {"true", pending, validPair(now.Add(-hour), "app.test"), false},
		"a temporary one":                 {"true", pending, func(c *State) { c.Secret = temporaryFor(*c, key(1)) }, false},
		"others change what is stored":    {"true", pending, func(c *State) { c.Memory.Temporaries = maxMade }, false},
		"the key is in memory (CA issuer)": {"true", pending, func(c *State) {
			c.Keys, c.SignsInline = nil, true
			c.Memory.Key = &MemoryKey{Digest: pki.DigestOf(key(1).Public()), CreatedAt: now, Name: "web-k"}
		}, false},
	} {
		c := State{Object: newCertificate(asks(test.asks)), Backoff: plan.DefaultIssuance, Keys: []*facts.Secret{nextKey("web-k", key(1))}}
		c.Object.Status = begun("web-k")
		r := newRequest(c.Object, key(1), 1, test.request)
		r.UID = types.UID("request")
		c.Requests, c.Memory.Request = factsOf(r), r.UID
		if test.state != nil {
			test.state(&c)
		}
		p := c.Next(now)
		do, ok := p.Do.(StoreTemporary)
		if ok != test.want {
			t.Errorf("%s: %v", name, p.Do)
			continue
		}
		if !ok {
			continue
		}
		if want := (StoreTemporary{Key: c.Keys[0], Absent: !c.Memory.AbsentAt.IsZero()}); do != want {
			t.Errorf("%s: %+v, want %+v", name, do, want)
		}
		version := ""
		if c.Secret != nil {
			version = c.Secret.ResourceVersion
		}
		samePlan(t, Plan{Do: do, Confirm: []plan.Confirm{self, target(version)}, Events: []plan.Event{{
			Reason: "Issuing", Message: "Issued temporary certificate", Component: "cert-manager-certificates-issuing",
		}}}, Plan{Do: p.Do, Confirm: p.Confirm, Events: p.Events})
	}
}

// validPair is a Secret with a pair that fits, of an earlier issuance.
func validPair(end time.Time, host string) func(*State) {
	return func(c *State) {
		was := newCertificate(func(crt *cmv1.Certificate) { crt.Spec.DNSNames = []string{host} })
		c.Secret = secretFor(*c, newRequest(was, key(2), 1, signed(end.Add(-90*day), end)), key(2))
	}
}

// TestTemporaryIsNotReady has what becomes of a Certificate with a temporary
// certificate: it is issued, now or after the back-off.
func TestTemporaryIsNotReady(t *testing.T) {
	c := State{Object: newCertificate(), Backoff: plan.DefaultIssuance}
	c.Secret = temporaryFor(c, key(1))
	p := c.Next(now)
	want := c.Object.Status.DeepCopy()
	want.Conditions = []cmv1.CertificateCondition{
		issuingIs(cmmeta.ConditionTrue, "IncorrectIssuer", temporarySecret, now),
		readyIs(cmmeta.ConditionFalse, "IncorrectIssuer", temporarySecret, now),
	}
	want.NotBefore, want.NotAfter, want.RenewalTime = at(now), at(now.Add(90*day)), at(now.Add(60*day))
	samePlan(t, Plan{
		Status: *want, Do: GenerateKey{Spec: p256, Begins: true}, Confirm: []plan.Confirm{self, target("s7")},
		Persist: p.Persist, Until: p.Until,
	}, p)

	attempts := 1
	c.Object.Status.FailedIssuanceAttempts, c.Object.Status.LastFailureTime = &attempts, at(now)
	if v := c.needsIssuing(now); v == nil || v.Message != temporarySecret {
		t.Errorf("after a failure: %v", v)
	}
	// One that an issuer has issued is none, nor is one that a user has put there.
	for name, change := range map[string]func(*corev1.Secret){
		"issued": func(s *corev1.Secret) {
			ref := c.Object.Spec.IssuerRef
			s.Annotations[cmv1.IssuerNameAnnotationKey], s.Annotations[cmv1.IssuerKindAnnotationKey] = ref.Name, ref.Kind
		},
		"somebody's": func(s *corev1.Secret) { s.Annotations = nil },
	} {
		if c.Secret = temporaryFor(c, key(1), change); c.needsIssuing(now) != nil {
			t.Errorf("%s: %v", name, c.needsIssuing(now))
		}
	}
}
