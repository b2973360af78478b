package integration

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/venafi"
)

// venafiLab is a lab with a Certificate Manager.
type venafiLab struct {
	*lab
	server *venafi.Server
	// run starts the controllers again.
	run func()
	// stop stops them.
	stop func()
}

// newVenafiLab returns a lab whose controllers have the Issuer tpp with a token.
func newVenafiLab(t *testing.T) *venafiLab {
	t.Helper()
	t.Parallel()
	cluster := harness.Shared(t)
	v := &venafiLab{lab: &lab{Cluster: cluster, ns: cluster.Namespace(t), traffic: &harness.Traffic{}}, server: venafi.New(t)}
	v.run = func() {
		v.stop = cluster.Run(t, harness.Controllers{Config: v.traffic.Record, Options: within(v.ns, func(o *operator.Options) {
			o.VendorHTTP = v.server.Client()
		})})
	}
	v.store(t, "token", map[string]string{"access-token": venafi.Token})
	v.issuer(t, "tpp", "token", `Kube\web`)
	v.run()
	return v
}

// store stores the entries of a Secret.
func (v *venafiLab) store(t *testing.T, name string, data map[string]string) {
	t.Helper()
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v.ns, Name: name}, StringData: data}
	err := v.Create(t.Context(), object)
	if err != nil {
		err = v.Update(t.Context(), object)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// issuer applies an Issuer of the self-hosted server.
func (v *venafiLab) issuer(t *testing.T, name, secret, zone string) {
	t.Helper()
	v.Apply(t, v.ns, fmt.Sprintf(`
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: %s}
spec: {venafi: {zone: %s, tpp: {url: "%s/vedsdk", credentialsRef: {name: %s}, caBundle: %s}}}
`, name, quoted(zone), v.server.URL, secret, base64.StdEncoding.EncodeToString(v.server.CA)))
}

// quoted is a text in YAML.
func quoted(text string) string {
	out, _ := json.Marshal(text)
	return string(out)
}

// ask applies a Certificate with a common name.
func (v *venafiLab) ask(t *testing.T, name, issuer string) {
	t.Helper()
	v.certificate(t, name, fmt.Sprintf(`{secretName: %s, commonName: %s.example.com, dnsNames: [%s.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: %s}}`, name, name, name, issuer))
}

// says waits for an Issuer whose Ready condition has a status, a reason and words.
func (v *venafiLab) says(t *testing.T, issuer string, status cmmeta.ConditionStatus, reason, words string) {
	t.Helper()
	harness.Eventually(t, patience, func() error {
		i := &cmv1.Issuer{}
		if err := v.Get(t.Context(), client.ObjectKey{Namespace: v.ns, Name: issuer}, i); err != nil {
			return err
		}
		c := condition.Find(i.Status.Conditions, cmv1.IssuerConditionReady)
		if c == nil || c.Status != status || c.Reason != reason || !strings.Contains(c.Message, words) || c.ObservedGeneration != i.Generation {
			return fmt.Errorf("Issuer %s has %+v", issuer, c)
		}
		return nil
	})
}

// requestSays waits for a CertificateRequest whose Ready condition has a reason and words.
func (v *venafiLab) requestSays(t *testing.T, name, reason, words string) *cmv1.CertificateRequest {
	t.Helper()
	r := &cmv1.CertificateRequest{}
	harness.Eventually(t, patience, func() error {
		*r = cmv1.CertificateRequest{}
		if err := v.Get(t.Context(), client.ObjectKey{Namespace: v.ns, Name: name}, r); err != nil {
			return err
		}
		c := condition.Find(r.Status.Conditions, cmv1.CertificateRequestConditionReady)
		if c == nil || c.Reason != reason || !strings.Contains(c.Message, words) {
			return fmt.Errorf("CertificateRequest %s has %+v", name, c)
		}
		return nil
	})
	return r
}

// TestVenafiIssues has an issuer with each kind of credentials, and zones in all forms.
func TestVenafiIssues(t *testing.T) {
	v := newVenafiLab(t)
	v.store(t, "user", map[string]string{"username": venafi.Username, "password": venafi.Password})
	v.store(t, "key", map[string]string{"api-key": venafi.APIKey})
	v.store(t, "client", map[string]string{"client-id": venafi.NGTSClient, "client-secret": venafi.NGTSSecret})
	v.issuer(t, "password", "user", `\VED\Policy\Kube\web`)
	v.issuer(t, "doubled", "token", `Kube\\web`)
	v.Apply(t, v.ns, fmt.Sprintf(`
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: saas}
spec: {venafi: {zone: 'Shop App\Default Tmpl', cloud: {url: "%s", apiTokenSecretRef: {name: key, key: api-key}}}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: ngts}
spec: {venafi: {zone: 'Shop App\Default Tmpl', ngts: {url: "%s/ngts", tokenEndpoint: "%s/oauth2/access_token", tsgID: "%s", credentialsRef: {name: client}}}}
`, v.server.URL, v.server.URL, v.server.URL, venafi.TSGID))
	issuers := []string{"tpp", "password", "doubled", "saas", "ngts"}
	for _, name := range issuers {
		v.ask(t, "by-"+name, name)
	}
	for _, name := range issuers {
		v.says(t, name, cmmeta.ConditionTrue, "Certificate Manager issuer started", "Certificate Manager issuer started")
		v.revision(t, "by-"+name, 1)
		s := v.secret(t, "by-"+name)
		chain, err := pki.ParseChain(s.Data[corev1.TLSCertKey], pki.Limits{})
		if err != nil || len(chain) != 2 || chain[0].Subject.CommonName != "by-"+name+".example.com" || !bytes.Equal(s.Data["ca.crt"], v.server.CA) {
			t.Errorf("%s: %d certificates, error %v", name, len(chain), err)
		}
	}
}

// TestVenafiApproval: a person approves a request, and the controllers start again in the
// meantime: the server gets one request, and the annotation that names it is stored.
func TestVenafiApproval(t *testing.T) {
	v := newVenafiLab(t)
	v.server.Hold()
	v.ask(t, "web", "tpp")
	const waits = "certificate still in a pending state, the request will be retried: Pending workflow approval"
	r := v.requestSays(t, "web-1", "Pending", waits)
	if got := r.Annotations[cmv1.VenafiPickupIDAnnotationKey]; got != venafi.PolicyFolder+`\web.example.com` {
		t.Errorf("pickup id %q", got)
	}
	looks := v.server.Count("/retrieve")
	v.stop()
	v.run()
	harness.Eventually(t, patience, func() error {
		if n := v.server.Count("/retrieve"); n <= looks {
			return fmt.Errorf("%d looks after the start", n-looks)
		}
		return nil
	})
	v.server.Approve()
	v.revision(t, "web", 1)
	if n := v.server.Count("/certificates/request"); n != 1 {
		t.Errorf("%d requests at the server", n)
	}
	if n := v.server.Count("/certificates/reset"); n != 1 {
		t.Errorf("%d resets at the server", n)
	}
}

// TestVenafiCutOff: connections end after the server has taken a request, and it gets no
// second one.
func TestVenafiCutOff(t *testing.T) {
	v := newVenafiLab(t)
	v.store(t, "key", map[string]string{"api-key": venafi.APIKey})
	v.Apply(t, v.ns, fmt.Sprintf(`
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: saas}
spec: {venafi: {zone: 'Shop App\Default Tmpl', cloud: {url: "%s", apiTokenSecretRef: {name: key, key: api-key}}}}
`, v.server.URL))
	for _, name := range []string{"tpp", "saas"} {
		v.says(t, name, cmmeta.ConditionTrue, "Certificate Manager issuer started", "")
	}
	v.server.Script("/certificates/request", venafi.Answer{Cut: true})
	v.server.Script("/certificaterequests", venafi.Answer{Cut: true})
	for _, name := range []string{"tpp", "saas"} {
		v.ask(t, "by-"+name, name)
	}
	for _, name := range []string{"tpp", "saas"} {
		v.revision(t, "by-"+name, 1)
	}
	if n := v.server.Requests(); n != 2 {
		t.Errorf("%d requests at the server for 2 Certificates", n)
	}
}

// TestVenafiOneName: two Certificates have one common name in one zone, and one object at
// the server. Each gets a certificate for its own key, in one request.
func TestVenafiOneName(t *testing.T) {
	v := newVenafiLab(t)
	v.server.Hold()
	names := []string{"one", "two"}
	spec := `{secretName: %s, commonName: web.example.com, dnsNames: [web.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: tpp}}`
	v.certificate(t, names[0], fmt.Sprintf(spec, names[0]))
	v.requestSays(t, "one-1", "Pending", "certificate still in a pending state")
	v.certificate(t, names[1], fmt.Sprintf(spec, names[1]))
	v.requestSays(t, "two-1", "Pending", `another request for the name "web.example.com" in zone "Kube\\web" waits for its certificate`)
	v.server.Approve()
	for _, name := range names {
		v.revision(t, name, 1)
		if n := len(v.requests(t, name)); n != 1 {
			t.Errorf("%s has had %d requests", name, n)
		}
		s := v.secret(t, name)
		if _, err := tls.X509KeyPair(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if calls, objects := v.server.Count("/certificates/request"), v.server.Requests(); calls != 2 || objects != 1 {
		t.Errorf("%d requests at the server for %d objects", calls, objects)
	}
}

// TestVenafiDeleted: nothing is asked any more for a request that is gone.
func TestVenafiDeleted(t *testing.T) {
	v := newVenafiLab(t)
	v.server.Hold()
	v.ask(t, "web", "tpp")
	r := v.requestSays(t, "web-1", "Pending", "certificate is requested")
	crt := v.crt(t, "web")
	v.server.Silence()
	harness.Eventually(t, patience, func() error {
		if v.server.Waiting() == 0 {
			return fmt.Errorf("no look yet")
		}
		return nil
	})
	for _, o := range []client.Object{crt, r} {
		if err := client.IgnoreNotFound(v.Delete(t.Context(), o)); err != nil {
			t.Fatal(err)
		}
	}
	// The call that is under way ends with the request, although the server is silent.
	harness.Eventually(t, patience, func() error {
		if n := v.server.Waiting(); n > 0 {
			return fmt.Errorf("%d calls are under way", n)
		}
		return nil
	})
	v.server.Speak()
	v.server.Calls()
	v.ask(t, "other", "tpp")
	v.requestSays(t, "other-1", "Pending", "certificate still in a pending state")
	for _, c := range v.server.Calls() {
		if strings.Contains(c.Body, "web.example.com") {
			t.Errorf("asked for a request that is gone: %s", c.Path)
		}
	}
}

// TestVenafiExpiredToken: an expired token keeps the issuer from being ready, and requests
// wait; with another one in the Secret both go on, without a restart.
func TestVenafiExpiredToken(t *testing.T) {
	v := newVenafiLab(t)
	v.says(t, "tpp", cmmeta.ConditionTrue, "Certificate Manager issuer started", "")
	v.server.Revoke()
	v.ask(t, "web", "tpp")
	// The issuer may have been looked at again before.
	v.requestSays(t, "web-1", "Pending", "OAuth token request failed: ")
	// A second issuer with the token finds it at its check.
	v.issuer(t, "late", "token", `Kube\web`)
	v.says(t, "late", cmmeta.ConditionFalse, "AuthFailed", "OAuth token request failed: tppClient.VerifyAccessToken: the server answers 401 Unauthorized: ")
	v.ask(t, "late", "late")
	v.requestSays(t, "late-1", "Pending", "OAuth token request failed")
	v.server.Accept("another-token")
	changed := time.Now()
	v.store(t, "token", map[string]string{"access-token": "another-token", "refresh-token": "ignored"})
	v.says(t, "late", cmmeta.ConditionTrue, "Certificate Manager issuer started", "")
	t.Logf("ready %s after the change", time.Since(changed).Round(time.Millisecond))
	for _, name := range []string{"web", "late"} {
		v.revision(t, name, 1)
		if n := len(v.requests(t, name)); n != 1 {
			t.Errorf("%s has had %d requests", name, n)
		}
	}
}

// TestVenafiRefuses has what the server, its policy or a mistake in an annotation refuses.
func TestVenafiRefuses(t *testing.T) {
	v := newVenafiLab(t)
	v.issuer(t, "nowhere", "token", "Kube/web")
	v.Apply(t, v.ns, `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: guid}
spec: {venafi: {zone: 0f3f9a5e-1111-2222-3333-7a3b1c5d9e00, cloud: {apiTokenSecretRef: {name: token, key: access-token}}}}
`)
	v.says(t, "guid", cmmeta.ConditionFalse, "ErrorSetup", `spec.venafi.zone: Invalid value: "0f3f9a5e-1111-2222-3333-7a3b1c5d9e00"`)
	v.ask(t, "zone", "nowhere")
	v.certificate(t, "subject", `{secretName: subject, dnsNames: [subject.example.com], issuerRef: {name: tpp}}`)
	v.Apply(t, v.ns, `
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: fields, annotations: {venafi.cert-manager.io/custom-fields: '[{"name": "a", "value": "b"},]'}}
spec: {secretName: fields, commonName: fields.example.com, issuerRef: {name: tpp}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: type, annotations: {venafi.cert-manager.io/custom-fields: '[{"name": "a", "value": "b", "type": "x"}]'}}
spec: {secretName: type, commonName: type.example.com, issuerRef: {name: tpp}}
`)
	for name, words := range map[string]string{
		"zone":    `zone "Kube/web": the server answers 400 Bad Request: PolicyDN: \VED\Policy\Kube/web does not exist`,
		"subject": "Certificate requests submitted to Venafi issuers must have the 'commonName' field",
		"fields":  `Failed to parse fields-1 "venafi.cert-manager.io/custom-fields" annotation`,
		"type":    `certificate request contains an invalid custom fields type: "x"`,
	} {
		v.requestSays(t, name+"-1", "Failed", words)
		v.IssuingHolds(t, v.ns, name, patience, words)
	}
	v.server.Script("/certificates/request", venafi.Answer{Status: 400, Body: `{"Error":"Need a certificate authority (CADN)."}`})
	v.ask(t, "ca", "tpp")
	v.requestSays(t, "ca-1", "Failed", "the server answers 400 Bad Request: Need a certificate authority (CADN).")
	v.server.Policy("WhitelistedDomains", []string{"corp.test"})
	v.ask(t, "policy", "tpp")
	v.requestSays(t, "policy-1", "Failed", "common name policy.example.com is not allowed in this policy")
	v.server.Policy("WhitelistedDomains", []string{})
	v.server.DeliverForeignKeys()
	v.ask(t, "foreign", "tpp")
	if r := v.requestSays(t, "foreign-1", "Failed", "a certificate for another key"); len(r.Status.Certificate) > 0 {
		t.Error("the certificate is stored")
	}
}

// TestVenafiDeadServer: a server that does not answer delays only the issuers that need it.
func TestVenafiDeadServer(t *testing.T) {
	v := newVenafiLab(t)
	dead := venafi.New(t)
	v.Apply(t, v.ns, fmt.Sprintf(`
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: dead}
spec: {venafi: {zone: 'Kube\web', tpp: {url: "%s/vedsdk", credentialsRef: {name: token}, caBundle: %s}}}
`, dead.URL, base64.StdEncoding.EncodeToString(dead.CA)))
	v.says(t, "dead", cmmeta.ConditionTrue, "Certificate Manager issuer started", "")
	dead.Silence()
	const many = 20
	for i := range many {
		v.ask(t, fmt.Sprintf("dead-%d", i), "dead")
	}
	harness.Eventually(t, patience, func() error {
		if dead.Waiting() == 0 {
			return fmt.Errorf("nobody waits")
		}
		return nil
	})
	for i := range 3 {
		v.ask(t, fmt.Sprintf("live-%d", i), "tpp")
	}
	for i := range 3 {
		v.Ready(t, v.ns, fmt.Sprintf("live-%d", i), patience)
	}
	if !slices.ContainsFunc(v.requests(t, "dead-0"), func(r cmv1.CertificateRequest) bool { return len(r.Status.Certificate) == 0 }) {
		t.Error("the dead server has answered")
	}
	dead.Speak()
	for i := range many {
		v.Ready(t, v.ns, fmt.Sprintf("dead-%d", i), patience)
	}
}

// TestVenafiSigningRequest has a CertificateSigningRequest signed after a person's
// approval: what names it at the server is in an annotation of its own.
func TestVenafiSigningRequest(t *testing.T) {
	l := newCSRLab(t, harness.Controllers{})
	v := &venafiLab{lab: l.lab, server: venafi.New(t)}
	v.server.Hold()
	v.store(t, "token", map[string]string{"access-token": venafi.Token})
	v.issuer(t, "tpp", "token", `Kube\web`)
	object := l.ask(t, csr{name: "venafi", signer: l.issuerSigner("tpp"), template: pki.Template{CommonName: "web.example.com"}})
	l.says(t, object, corev1.EventTypeNormal, "IssuancePending", "certificate still in a pending state")
	v.server.Approve()
	if chain := l.issued(t, object); len(chain) != 2 || chain[0].Subject.CommonName != "web.example.com" {
		t.Errorf("%d certificates", len(chain))
	}
	if err := v.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatal(err)
	}
	if got := object.Annotations[cmv1.CertificateSigningRequestVenafiPickupIDAnnotationKey]; got != venafi.PolicyFolder+`\web.example.com` {
		t.Errorf("pickup id %q", got)
	}
	if n := v.server.Count("/certificates/request"); n != 1 {
		t.Errorf("%d requests at the server", n)
	}
}
