package diagnosis

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// requested is a Certificate whose request waits at a ready issuer of Vault, and says why.
func requested(message string, changes ...func(*Evidence)) Evidence {
	e := stuck(func(e *Evidence) {
		e.Order, e.Challenges = nil, nil
		e.Issuer.Spec.Vault = &cmv1.VaultIssuer{}
		e.Request.Status.Conditions = append(e.Request.Status.Conditions, cmv1.CertificateRequestCondition{
			Type: cmv1.CertificateRequestConditionReady, Status: cmmeta.ConditionFalse, Reason: "Pending", Message: message,
		})
	})
	for _, change := range changes {
		change(&e)
	}
	return e
}

func TestIssuerFails(t *testing.T) {
	const (
		sealed  = `Vault failed to sign certificate: failed to sign certificate by vault: vault.example answered HTTP 503 to /v1/pki/sign/web: Vault is sealed; unseal it ("vault operator unseal"); the next try is within 5m`
		down    = "Failed to initialise Certificate Manager client for signing: OAuth token request failed: tpp.example: connection refused; the next try is within 5m"
		limited = "Failed to initialise vault client for signing: vault.example answered HTTP 429 to /v1/auth/approle/login; the next try is at 2026-11-26T13:00:00Z"
		behind  = "Not signed yet: waiting for the Vault server vault.example, which has not answered other requests in time"
		goesOn  = "the request waits, and everleaf goes on by itself at the next try: there is nothing to delete or to renew"
		correct = "correct what the message names: see whether the issuer's server runs, can be reached from the cluster, and accepts the issuer's credentials"
	)
	venafi := func(e *Evidence) { e.Issuer.Spec.Vault, e.Issuer.Spec.Venafi = nil, &cmv1.VenafiIssuer{} }
	about := Ref{cmv1.CertificateRequestKind, "shop", "www-1"}
	fails := func(message string, fix ...string) Verdict {
		return Verdict{Code: IssuerFails, Object: about, Message: "Issuer shop/ca is ready, but cannot sign at present: " + message, Fix: fix}
	}
	at := metav1.Date(2026, 11, 26, 13, 0, 0, 0, noon.Location())
	later := fails(limited, correct, goesOn)
	later.NextTry = &at.Time
	for name, tt := range map[string]struct {
		evidence Evidence
		want     Verdict
	}{
		"sealed":          {requested(sealed), fails(sealed, "unseal Vault, on each of its nodes:", "$ vault operator unseal", goesOn)},
		"down":            {requested(down, venafi), fails(down, correct, goesOn)},
		"limits":          {requested(limited), later},
		"behind others":   {requested(behind), fails(behind, unheard...)},
		"on its way":      {requested("certificate is requested", venafi), Verdict{Code: InProgress, Object: about, Message: "certificate is requested"}},
		"of another type": {requested(down, func(e *Evidence) { e.Issuer.Spec.Vault = nil }), Verdict{Code: InProgress, Object: about, Message: down}},
		"unread": {
			requested(down, func(e *Evidence) { e.Issuer.Unread, e.Issuer.Spec, e.Issuer.Status = true, nil, nil }),
			Verdict{Code: InProgress, Object: about, Message: down},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff([]Verdict{tt.want}, Explain(tt.evidence)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestIssuerNotReady(t *testing.T) {
	unready := func(why, message string) func(*Evidence) {
		return func(e *Evidence) {
			c := &e.Issuer.Status.Conditions[0]
			c.Status, c.Reason, c.Message = cmmeta.ConditionFalse, why, message
		}
	}
	itself := func(e *Evidence) { e.Subject, e.Certificate, e.Request = e.Issuer.Ref, nil, nil }
	const (
		behind  = "Error initializing issuer: waiting for the Vault server vault.example, which has not answered other requests in time"
		correct = "correct what the message names; the certificates go on by themselves once the issuer is ready"
	)
	of := Ref{cmv1.IssuerKind, "shop", "ca"}
	for name, tt := range map[string]struct {
		evidence Evidence
		want     Verdict
	}{
		"of a Certificate": {
			requested("no", unready("VaultError", "sealed")),
			Verdict{Code: IssuerNotReady, Object: of, Message: "the issuer is not ready: VaultError: sealed", Fix: []string{correct, "$ kubectl describe issuer -n shop ca"}},
		},
		"itself": {
			requested("no", unready("VaultError", "sealed"), itself),
			Verdict{Code: IssuerNotReady, Object: of, Message: "the issuer is not ready: VaultError: sealed", Fix: []string{correct}},
		},
		"waits for a server": {
			requested("no", unready("ErrInitIssuer", behind), itself),
			Verdict{Code: IssuerNotReady, Object: of, Message: "the issuer is not ready: ErrInitIssuer: " + behind, Fix: unheard},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff([]Verdict{tt.want}, Explain(tt.evidence)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// After a failure, a repair at a server shows at no object.
func TestFailedIssuance(t *testing.T) {
	const refused = "Vault failed to sign certificate: permission denied; next try at 2026-11-26T13:00:00Z"
	at := metav1.Date(2026, 11, 26, 13, 0, 0, 0, noon.Location())
	got := Explain(stuck(func(e *Evidence) {
		e.Order, e.Challenges, e.Request = nil, nil, nil
		c := &e.Certificate.Status.Conditions[1]
		c.Status, c.Reason, c.Message = cmmeta.ConditionFalse, "Failed", refused
		e.Certificate.Status.LastFailureTime = &metav1.Time{Time: noon}
	}))
	want := []Verdict{{
		Code: Failed, Object: Ref{cmv1.CertificateKind, "shop", "www"}, Message: refused, NextTry: &at.Time,
		Fix: []string{
			"correct what the message names; everleaf tries again by itself, and at once when the Certificate or the issuer changes",
			"after a repair elsewhere, such as at the CA's server or in DNS, have everleaf try at once:",
			"$ everleaf renew www -n shop",
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
