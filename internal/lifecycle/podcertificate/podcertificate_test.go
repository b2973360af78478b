package podcertificate

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

var now = time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)

func stub(t *testing.T) []byte {
	t.Helper()
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA})
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// chain is a certificate that is valid for an hour.
func chain(t *testing.T, notBefore time.Time) []byte {
	t.Helper()
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA})
	if err != nil {
		t.Fatal(err)
	}
	csr, err := pki.UnsignedRequest(pki.Template{URIs: []string{"spiffe://cluster.local/ns/shop/sa/web"}}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	template, err := pki.CertificateFromRequest(csr, pki.SignOptions{NotBefore: notBefore, NotAfter: notBefore.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := pki.Sign(template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pki.EncodeChain(leaf)
}

// waiting is the state of a request to a CA issuer that is ready.
func waiting(t *testing.T, change func(*State)) State {
	t.Helper()
	s := State{
		Object: &Object{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "req-1", UID: "u"},
			Spec:       certificatesv1beta1.PodCertificateRequestSpec{ServiceAccountName: "web", StubPKCS10Request: stub(t)},
		},
		Signer: signingrequest.Signer{Kind: cmv1.ClusterIssuerKind, Name: "mesh"}, SignsBare: true,
		Issuer: &facts.Issuer{
			Spec:      &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "ca"}}},
			Supported: true, Ready: true,
		},
	}
	if change != nil {
		change(&s)
	}
	return s
}

func condition(of, reason, message string) certificatesv1beta1.PodCertificateRequestStatus {
	return certificatesv1beta1.PodCertificateRequestStatus{Conditions: []metav1.Condition{
		{Type: of, Status: metav1.ConditionTrue, Reason: reason, Message: message, LastTransitionTime: metav1.Time{Time: now}},
	}}
}

// ends is the plan that ends a request without a certificate.
func ends(of, reason, message string) Plan {
	return Plan{
		Manager: Manager, Status: condition(of, reason, message),
		Events: []plan.Event{{Warning: true, Reason: reason, Message: message, Component: Manager}},
	}
}

// waits is the plan that reports what a request waits for.
func waits(reason, message string) Plan {
	return Plan{
		Manager: Manager, Do: Announce{signingrequest.Wait{Reason: reason, Message: message}},
		Events: []plan.Event{{Warning: true, Reason: reason, Message: message, Component: Manager}},
	}
}

func TestNext(t *testing.T) {
	good, old := chain(t, now), chain(t, now.Add(-storable-time.Second))
	issued := condition("Issued", "CertificateIssued", "Certificate fetched from issuer successfully")
	issued.CertificateChain = string(good)
	issued.NotBefore, issued.BeginRefreshAt, issued.NotAfter = at(now), at(now.Add(40*time.Minute)), at(now.Add(time.Hour))
	event := plan.Event{Reason: "CertificateIssued", Message: "Certificate fetched from issuer successfully", Component: Manager, Verbose: true}
	answered := func(o request.Outcome) func(*State) { return func(s *State) { s.Outcome = &o } }
	ofType := func(c cmv1.IssuerConfig) func(*State) {
		return func(s *State) { s.Issuer.Spec, s.SignsBare = &cmv1.IssuerSpec{IssuerConfig: c}, false }
	}
	ended := func(of string) func(*State) {
		return func(s *State) { s.Object.Status = condition(of, "Any", "") }
	}
	idle := Plan{Manager: Manager}
	for name, test := range map[string]struct {
		change func(*State)
		want   Plan
	}{
		"sign":   {nil, Plan{Manager: Manager, Do: Sign{}}},
		"issued": {answered(request.Outcome{Chain: good}), Plan{Manager: Manager, Status: issued, Events: []plan.Event{event}}},
		"issued, with a warning": {
			answered(request.Outcome{Chain: good, WarningReason: "OutlivesIssuer", Warning: "The CA ends"}),
			Plan{Manager: Manager, Status: issued, Events: []plan.Event{
				{Warning: true, Reason: "OutlivesIssuer", Message: "The CA ends", Component: Manager}, event,
			}},
		},
		"signed too long ago": {answered(request.Outcome{Chain: old}), Plan{Manager: Manager, Do: Sign{}}},
		"no certificate": {
			answered(request.Outcome{}),
			ends("Failed", "SigningError", "The certificate cannot be read: no PEM data was found in given input"),
		},
		"later":          {func(s *State) { s.SignNotBefore = now.Add(time.Minute) }, Plan{Manager: Manager, Until: now.Add(time.Minute)}},
		"issued already": {ended("Issued"), Plan{Manager: Manager, Status: condition("Issued", "Any", "")}},
		"denied already": {ended("Denied"), Plan{Manager: Manager, Status: condition("Denied", "Any", "")}},
		"failed already": {ended("Failed"), Plan{Manager: Manager, Status: condition("Failed", "Any", "")}},
		"being deleted":  {func(s *State) { s.Object.DeletionTimestamp = at(now) }, idle},
		"no issuer":      {func(s *State) { s.Issuer = nil }, waits("IssuerNotFound", "Referenced ClusterIssuer mesh not found")},
		"said already": {func(s *State) {
			s.Issuer = nil
			s.Announced = signingrequest.Wait{Reason: "IssuerNotFound", Message: "Referenced ClusterIssuer mesh not found"}
		}, idle},
		"no type":   {ofType(cmv1.IssuerConfig{}), waits("IssuerTypeMissing", "Referenced ClusterIssuer mesh is missing type")},
		"not ready": {func(s *State) { s.Issuer.Ready = false }, waits("IssuerNotReady", "Referenced ClusterIssuer mesh does not have a Ready status condition")},
		"not ready, with a cause": {
			func(s *State) { s.Issuer.Ready, s.Issuer.Message = false, "no key" },
			waits("IssuerNotReady", "Referenced ClusterIssuer mesh does not have a Ready status condition: no key"),
		},
		"not supported": {
			func(s *State) { ofType(cmv1.IssuerConfig{Vault: &cmv1.VaultIssuer{}})(s); s.Issuer.Supported = false },
			waits("IssuerNotReady", "This version of everleaf cannot sign with issuers of type vault yet"),
		},
		"ACME": {
			ofType(cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{}}),
			ends("Denied", "UnsupportedIssuerType", "Referenced ClusterIssuer mesh is of type acme, which cannot sign for the key of a pod: use one of type ca"),
		},
		"Issuer": {
			func(s *State) {
				s.Signer = signingrequest.Signer{Kind: cmv1.IssuerKind, Namespace: "shop", Name: "ca"}
				s.Issuer = nil
			},
			ends("Denied", "UnsupportedSigner", "Pods get certificates from ClusterIssuers only: the signer name has to be clusterissuers.cert-manager.io/NAME"),
		},
		"annotations": {
			func(s *State) {
				s.Object.Spec.UnverifiedUserAnnotations = map[string]string{"b.org/x": "", "a.org/x": ""}
			},
			ends("Denied", "InvalidUnverifiedUserAnnotations", `everleaf takes no user annotations, and the request has "a.org/x": remove userAnnotations from the volume of the pod`),
		},
		"no key": {
			func(s *State) { s.Object.Spec.StubPKCS10Request = nil },
			ends("Denied", "UnsupportedKeyType", "The public key cannot be read: the request has no stubPKCS10Request: kubelets make it from Kubernetes 1.36 on"),
		},
		"bad key": {
			func(s *State) { s.Object.Spec.StubPKCS10Request = []byte{5} },
			ends("Denied", "UnsupportedKeyType", "The public key cannot be read: asn1: syntax error: truncated tag or length"),
		},
	} {
		if diff := cmp.Diff(test.want, waiting(t, test.change).Next(now)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestFailed has what a signer's failure means: a pod whose request has failed never
// starts, so that what a user can repair is waited for.
func TestFailed(t *testing.T) {
	wait := func(p Plan, until time.Duration) Plan {
		p.Until = now.Add(until)
		return p
	}
	held := func(p Plan) Plan {
		p.Hold = true
		return p
	}
	for _, test := range []struct {
		err  error
		want Plan
	}{
		{fault.New(fault.Permanent, "SigningError", "x"), ends("Failed", "SigningError", "x")},
		{fault.New(fault.User, "SecretMissing", "x"), wait(waits("SecretMissing", "x"), fault.UserRetry)},
		{errors.New("x"), held(wait(waits("SigningError", "x; the next try is within 5m"), plan.Remote.Min))},
		{fault.Until(now.Add(time.Minute), "Busy", "x"), wait(waits("Busy", "x; the next try is within 5m"), time.Minute)},
	} {
		if diff := cmp.Diff(test.want, waiting(t, nil).Failed(plan.Failure{Action: Sign{}, Err: test.err}, now)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.err, diff)
		}
	}
}

func TestWanted(t *testing.T) {
	r := &Object{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Spec: certificatesv1beta1.PodCertificateRequestSpec{ServiceAccountName: "web"}}
	uris := []string{"spiffe://example.org/ns/shop/sa/web"}
	if diff := cmp.Diff(pki.Template{URIs: uris, Usages: []string{"digital signature", "server auth", "client auth"}}, Wanted(r, "example.org", nil)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(pki.Template{URIs: uris, Usages: []string{"digital signature", "key encipherment", "server auth", "client auth"}}, Wanted(r, "example.org", &rsa.PublicKey{})); diff != "" {
		t.Errorf("RSA (-want +got):\n%s", diff)
	}
	if got := Duration(r); got != 24*time.Hour {
		t.Errorf("a request without maxExpirationSeconds is for %s", got)
	}
}
