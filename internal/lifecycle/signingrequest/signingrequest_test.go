package signingrequest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

var now = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

func TestSignerOf(t *testing.T) {
	for name, want := range map[string]Signer{
		"clusterissuers.cert-manager.io/mesh.ca": {Kind: "ClusterIssuer", Name: "mesh.ca"},
		"issuers.cert-manager.io/ns.my.ca":       {Kind: "Issuer", Namespace: "ns", Name: "my.ca"},
		"issuers.cert-manager.io/foo":            {Kind: "Issuer", Name: "foo"},
		"issuers.example.com/ns.ca":              {},
		"orders.cert-manager.io/ns.ca":           {},
		"issuers.cert-manager.io/ns.ca/x":        {},
		"kubernetes.io/kubelet-serving":          {},
		"cert-manager.io":                        {},
	} {
		if got, ok := SignerOf(name); got != want || ok != (want != Signer{}) {
			t.Errorf("%s: got %+v, %t", name, got, ok)
		}
	}
}

func TestDuration(t *testing.T) {
	seconds := int32(3600)
	with := map[string]string{"experimental.cert-manager.io/request-duration": "2h"}
	for _, test := range []struct {
		annotations map[string]string
		expires     *int32
		want        time.Duration
	}{{nil, nil, pki.DefaultDuration}, {nil, &seconds, time.Hour}, {with, nil, 2 * time.Hour}, {with, &seconds, 2 * time.Hour}} {
		r := &Object{ObjectMeta: metav1.ObjectMeta{Annotations: test.annotations}, Spec: certificatesv1.CertificateSigningRequestSpec{ExpirationSeconds: test.expires}}
		if got, err := Duration(r); got != test.want || err != nil {
			t.Errorf("got %s, want %s, error %v", got, test.want, err)
		}
	}
}

// approved is the state of an approved request for a CA issuer that is ready.
func approved(change func(*State)) State {
	s := State{
		Object: &Object{
			ObjectMeta: metav1.ObjectMeta{Name: "r", UID: "u"},
			Status: certificatesv1.CertificateSigningRequestStatus{Conditions: []certificatesv1.CertificateSigningRequestCondition{
				{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue},
			}},
		},
		Signer: Signer{Kind: "Issuer", Namespace: "ns", Name: "ca"}, Namespace: "ns", MayReference: true,
		Issuer: &facts.Issuer{
			Spec:      &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "ca"}}},
			Supported: true, Ready: true,
		},
		Copied: func(string) bool { return true },
	}
	if change != nil {
		change(&s)
	}
	return s
}

// seen is what a plan does, in short.
type seen struct {
	action, event string
	failed        bool
	certificate   string
}

func see(p Plan) seen {
	var s seen
	if p.Do != nil {
		s.action = p.Do.String()
	}
	for _, e := range p.Events {
		s.event += map[bool]string{true: "Warning ", false: "Normal "}[e.Warning] + e.Reason + ": " + e.Message
	}
	for _, c := range p.Status.Conditions {
		s.failed = s.failed || c.Type == certificatesv1.CertificateFailed && c.Status == corev1.ConditionTrue
	}
	s.certificate = string(p.Status.Certificate)
	return s
}

const announced = "announce what the request waits for"

func TestNext(t *testing.T) {
	annotate := func(key, value string) func(*State) {
		return func(s *State) { s.Object.Annotations = map[string]string{key: value} }
	}
	add := func(of certificatesv1.RequestConditionType) func(*State) {
		return func(s *State) {
			s.Object.Status.Conditions = append(s.Object.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: of, Status: corev1.ConditionTrue})
		}
	}
	const duration = "experimental.cert-manager.io/request-duration"
	waits := "Normal WaitingApproval: Waiting for the Approved condition before issuing"
	for name, test := range map[string]struct {
		change func(*State)
		want   seen
	}{
		"sign":              {nil, seen{action: "sign"}},
		"failed":            {add(certificatesv1.CertificateFailed), seen{failed: true}},
		"denied":            {add(certificatesv1.CertificateDenied), seen{}},
		"not approved":      {func(s *State) { s.Object.Status.Conditions = nil }, seen{action: announced, event: waits}},
		"certificate there": {func(s *State) { s.Object.Status.Certificate = []byte("x") }, seen{certificate: "x"}},
		"no issuer": {
			func(s *State) { s.Issuer = nil },
			seen{action: announced, event: "Warning IssuerNotFound: Referenced Issuer ns/ca not found"},
		},
		"no ClusterIssuer": {
			func(s *State) { s.Issuer, s.Signer = nil, Signer{Kind: "ClusterIssuer", Name: "mesh-ca"} },
			seen{action: announced, event: "Warning IssuerNotFound: Referenced ClusterIssuer /mesh-ca not found"},
		},
		"said already": {func(s *State) {
			s.Issuer, s.Announced = nil, Wait{"IssuerNotFound", "Referenced Issuer ns/ca not found"}
		}, seen{}},
		"no type": {
			func(s *State) { s.Issuer.Spec = &cmv1.IssuerSpec{} },
			seen{action: announced, event: "Warning IssuerTypeMissing: Referenced Issuer ns/ca is missing type"},
		},
		"left to others": {func(s *State) { s.Issuer.Left = true }, seen{}},
		"may not reference": {
			func(s *State) { s.MayReference = false },
			seen{failed: true, event: "Warning DeniedReference: Requester may not reference Namespaced Issuer ns/ca"},
		},
		"bad duration": {
			annotate(duration, "soon"),
			seen{failed: true, event: `Warning ErrorParseDuration: Failed to parse requested duration: failed to parse requested duration on annotation "experimental.cert-manager.io/request-duration": time: invalid duration "soon"`},
		},
		"short": {
			annotate(duration, "9m"),
			seen{failed: true, event: "Warning InvalidDuration: CertificateSigningRequest minimum allowed duration is 10m0s, requested 9m0s"},
		},
		"denied reference comes before the duration": {
			func(s *State) { s.MayReference = false; annotate(duration, "9m")(s) },
			seen{failed: true, event: "Warning DeniedReference: Requester may not reference Namespaced Issuer ns/ca"},
		},
		"not ready": {
			func(s *State) { s.Issuer.Ready = false },
			seen{action: announced, event: "Warning IssuerNotReady: Referenced Issuer ns/ca does not have a Ready status condition"},
		},
		"signed": {
			func(s *State) { s.Outcome = &request.Outcome{Chain: []byte("pem"), CA: []byte("ca")} },
			seen{certificate: "pem", event: "Normal CertificateIssued: Certificate fetched from issuer successfully"},
		},
		"pending": {func(s *State) {
			s.Outcome = &request.Outcome{Pending: &request.Pending{Until: now.Add(time.Minute), Annotations: map[string]string{"a": "b"}}}
		}, seen{action: "keep the issuer's state in the annotations"}},
		"order failed": {func(s *State) {
			s.Issuer.Spec = &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{}}}
			s.Orders = []*facts.Order{{Namespace: "ns", Name: "o", State: acmev1.Errored, Reason: "why"}}
		}, seen{failed: true, event: `Warning OrderFailed: Failed to wait for order resource ns/o to become ready: order is in "errored" state: why`}},
	} {
		if diff := cmp.Diff(test.want, see(approved(test.change).Next(now)), cmp.AllowUnexported(seen{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestFailed has what a signer's failure means: what a user can fix is waited for.
func TestFailed(t *testing.T) {
	const annotation = "experimental.cert-manager.io/private-key-secret-name"
	keyed := func(s *State) { s.Object.Annotations = map[string]string{annotation: "key"} }
	for _, test := range []struct {
		err  error
		want seen
		wait time.Duration
	}{
		{fault.New(fault.Permanent, "SigningError", "Error signing certificate: x"), seen{failed: true, event: "Warning SigningError: Error signing certificate: x"}, 0},
		{fault.New(fault.Permanent, "MissingAnnotation", "x"), seen{failed: true, event: `Warning MissingAnnotation: Missing private key reference annotation: "` + annotation + `"`}, 0},
		{fault.New(fault.Permanent, "ErrorKeyMatch", "x"), seen{failed: true, event: "Warning ErrorKeyMatch: Referenced private key in Secret does not match that in the request"}, 0},
		{fault.New(fault.User, "MissingSecret", "x"), seen{action: announced, event: "Warning SecretNotFound: Referenced Secret ns/key not found"}, fault.UserRetry},
		{fault.New(fault.User, "ErrorParsingKey", "x").Because(errors.New("no PEM")), seen{action: announced, event: "Warning ErrorParsingKey: Failed to parse signing key from secret ns/key: no PEM"}, fault.UserRetry},
		{fault.New(fault.User, "SecretMissing", "Referenced secret ns/ca not found"), seen{action: announced, event: "Warning SecretMissing: Referenced secret ns/ca not found"}, fault.UserRetry},
		{fault.New(fault.Transient, "SecretGetError", "no answer"), seen{action: announced, event: "Warning SecretGetError: no answer; the next try is within 5m"}, plan.Remote.Min},
	} {
		p := approved(keyed).Failed(plan.Failure{Action: Sign{}, Err: test.err}, now)
		if diff := cmp.Diff(test.want, see(p), cmp.AllowUnexported(seen{})); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.err, diff)
		}
		if wait := time.Duration(0); test.wait > 0 {
			if wait = p.Until.Sub(now); wait != test.wait {
				t.Errorf("%v: asked again after %s, want %s", test.err, wait, test.wait)
			}
		}
	}
}

// TestVenafiWords holds what is said of a Venafi issuer that has failed, or has signed.
func TestVenafiWords(t *testing.T) {
	venafi := func(s *State) {
		s.Issuer.Spec = &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{Venafi: &cmv1.VenafiIssuer{}}}
	}
	for _, test := range []struct {
		err  error
		want seen
	}{
		{fault.New(fault.Permanent, "RequestError", "Failed to request certificate from Certificate Manager: x"), seen{failed: true, event: "Warning ErrorRequest: Failed to request Certificate Manager certificate: x"}},
		{fault.New(fault.User, "RetrieveError", "Failed to obtain certificate from Certificate Manager: x"), seen{action: announced, event: "Warning ErrorRetrieve: Failed to obtain Certificate Manager certificate: x"}},
		{fault.New(fault.Permanent, "CustomFieldsError", "x"), seen{failed: true, event: "Warning ErrorCustomFields: x"}},
		{fault.New(fault.User, "SecretMissing", "x"), seen{action: announced, event: "Warning SecretNotFound: x"}},
		{fault.New(fault.User, "VenafiInitError", "x"), seen{action: announced, event: "Warning ErrorVenafiInit: x"}},
		{fault.New(fault.User, "", "x"), seen{action: announced, event: "Warning SigningError: x"}},
	} {
		p := approved(venafi).Failed(plan.Failure{Action: Sign{}, Err: test.err}, now)
		if diff := cmp.Diff(test.want, see(p), cmp.AllowUnexported(seen{})); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.err, diff)
		}
	}
	p := approved(func(s *State) { venafi(s); s.Outcome = &request.Outcome{Chain: []byte("x")} }).Next(now)
	if got := see(p).event; got != "Normal CertificateIssued: Certificate fetched from Certificate Manager issuer successfully" {
		t.Errorf("issued: %q", got)
	}
	if p := approved(func(s *State) { venafi(s); s.Issuer.Orders = true }).Next(now); p.Do != plan.Action(Sign{}) || len(p.Confirm) != 1 {
		t.Errorf("does %v and confirms %v, want to sign once the request is confirmed: it becomes an order", p.Do, p.Confirm)
	}
}

// TestVaultWords holds what is said of a Vault issuer that has failed, or has signed.
func TestVaultWords(t *testing.T) {
	vault := func(s *State) {
		s.Issuer.Spec = &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{Vault: &cmv1.VaultIssuer{}}}
	}
	for _, test := range []struct {
		err  error
		want seen
	}{
		{fault.New(fault.Permanent, "SigningError", "Vault failed to sign certificate: x"), seen{failed: true, event: "Warning ErrorSigning: Vault failed to sign: x"}},
		{fault.New(fault.User, "SecretMissing", "Required secret resource not found: x"), seen{action: announced, event: "Warning SecretNotFound: Required secret resource not found: x"}},
		{fault.New(fault.User, "VaultInitError", "Failed to initialise vault client for signing: x"), seen{action: announced, event: "Warning ErrorVaultInit: Failed to initialise vault client for signing: x"}},
	} {
		p := approved(vault).Failed(plan.Failure{Action: Sign{}, Err: test.err}, now)
		if diff := cmp.Diff(test.want, see(p), cmp.AllowUnexported(seen{})); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.err, diff)
		}
	}
	p := approved(func(s *State) { vault(s); s.Outcome = &request.Outcome{Chain: []byte("x")} }).Next(now)
	if got := see(p).event; got != "Normal CertificateIssued: Certificate signed successfully" {
		t.Errorf("issued: %q", got)
	}
	if got := approved(vault).Unwritten("x"); got.Reason != "ErrorUpdate" {
		t.Errorf("unwritten: %+v", got)
	}
}
