package diagnosis

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/propagation"
)

// case of a Certificate that is a minute old and being issued by a ready ACME issuer,
// with its request, Order and a Challenge that is presented.
func stuck(changes ...func(*Evidence)) Evidence {
	old := metav1.NewTime(noon.Add(-time.Minute))
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "shop", Name: name, CreationTimestamp: old}
	}
	e := Evidence{
		Version: Version, At: noon, Subject: Ref{cmv1.CertificateKind, "shop", "www"},
		Certificate: &cmv1.Certificate{
			ObjectMeta: meta("www"), Spec: cmv1.CertificateSpec{SecretName: "www-tls"},
			Status: cmv1.CertificateStatus{Conditions: []cmv1.CertificateCondition{
				{Type: cmv1.CertificateConditionReady, Status: cmmeta.ConditionFalse, Reason: "DoesNotExist"},
				{Type: cmv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue, Reason: "DoesNotExist"},
			}},
		},
		Request: &cmv1.CertificateRequest{
			ObjectMeta: meta("www-1"),
			Status:     cmv1.CertificateRequestStatus{Conditions: []cmv1.CertificateRequestCondition{{Type: cmv1.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue}}},
		},
		Order: &acmev1.Order{ObjectMeta: meta("www-1-1"), Status: acmev1.OrderStatus{URL: "https://ca.example/order/1", State: acmev1.Pending}},
		Challenges: []acmev1.Challenge{{
			ObjectMeta: meta("www-1-1-1"),
			Spec:       acmev1.ChallengeSpec{DNSName: "www.example.com", Type: acmev1.ACMEChallengeTypeDNS01, IssuerRef: cmmeta.IssuerReference{Name: "ca"}},
			Status:     acmev1.ChallengeStatus{State: acmev1.Pending, Presented: true, Processing: true},
		}},
		Issuer: &Issuer{Ref: Ref{cmv1.IssuerKind, "shop", "ca"}, Group: "cert-manager.io", Found: true, Spec: &cmv1.IssuerSpec{}, Status: &cmv1.IssuerStatus{
			Conditions: []cmv1.IssuerCondition{{Type: cmv1.IssuerConditionReady, Status: cmmeta.ConditionTrue}},
		}},
	}
	for _, change := range changes {
		change(&e)
	}
	return e
}

func reason(text string) func(*Evidence) {
	return func(e *Evidence) { e.Challenges[0].Status.Reason = text }
}

func unpresented(e *Evidence) { e.Challenges[0].Status.Presented = false }

func ended(state acmev1.State, text string) func(*Evidence) {
	return func(e *Evidence) {
		e.Challenges[0].Status.State, e.Challenges[0].Status.Reason = state, text
		e.Order.Status.State = state
	}
}

func seenFrom(from Place, v propagation.View) func(*Evidence) {
	return func(e *Evidence) {
		e.Sightings = append(e.Sightings, Sighting{Challenge: "www-1-1-1", From: from, Provider: "the Cloudflare API", View: &v})
	}
}

func TestExplain(t *testing.T) {
	certificate := func(status cmmeta.ConditionStatus, why, message string) func(*Evidence) {
		return func(e *Evidence) {
			c := &e.Certificate.Status.Conditions[1]
			c.Status, c.Reason, c.Message = status, why, message
		}
	}
	notReady := func(e *Evidence) {
		c := &e.Issuer.Status.Conditions[0]
		c.Status, c.Reason, c.Message = cmmeta.ConditionFalse, "ErrRegisterACMEAccount", "no such host"
	}
	nothingBelow := func(e *Evidence) { e.Order, e.Challenges = nil, nil }
	absent := view(by(leads(inside, nil)), at("ns1", lacks))
	present := view(by(leads(inside, asked("NOERROR", has))), at("ns1"))
	for name, tt := range map[string]struct {
		evidence Evidence
		// want are code, object and a part of the message of each verdict.
		want [][3]string
	}{
		"issued": {
			stuck(func(e *Evidence) {
				e.Certificate.Status.Conditions[0].Status, e.Certificate.Status.Conditions[1].Status = cmmeta.ConditionTrue, cmmeta.ConditionFalse
			}),
			[][3]string{{"Healthy", "Certificate shop/www", "issued and up to date"}},
		},
		"issued, and its CA advises": {
			stuck(func(e *Evidence) {
				s := &e.Certificate.Status
				s.Conditions[0].Status, s.Conditions[1].Status = cmmeta.ConditionTrue, cmmeta.ConditionFalse
				s.RenewalTime = &metav1.Time{Time: noon.Add(time.Hour)}
				s.ACME = &cmv1.CertificateACMEStatus{ARI: &cmv1.ACMERenewalInfo{ExplanationURL: "https://ca.example/why", SuggestedWindow: &cmv1.ACMERenewalWindow{
					Start: metav1.Time{Time: noon}, End: metav1.Time{Time: noon.Add(2 * time.Hour)},
				}}}
			}),
			[][3]string{{"Healthy", "Certificate shop/www", "issued and up to date; it is renewed at 2026-11-26T13:00:00Z, in the window that its CA suggests (https://ca.example/why)"}},
		},
		"issued, and not renewed as its CA advises": {
			stuck(func(e *Evidence) {
				s := &e.Certificate.Status
				s.Conditions[0].Status, s.Conditions[1].Status = cmmeta.ConditionTrue, cmmeta.ConditionFalse
				s.RenewalTime = &metav1.Time{Time: noon.Add(3 * time.Hour)}
				s.ACME = &cmv1.CertificateACMEStatus{ARI: &cmv1.ACMERenewalInfo{SuggestedWindow: &cmv1.ACMERenewalWindow{
					Start: metav1.Time{Time: noon}, End: metav1.Time{Time: noon.Add(2 * time.Hour)},
				}}}
			}),
			[][3]string{{"Healthy", "Certificate shop/www", "issued and up to date; it is renewed at"}},
		},
		"issued, and its windows have a mistake": {
			stuck(nothingBelow, func(e *Evidence) {
				e.Certificate.Status.Conditions = []cmv1.CertificateCondition{{Type: cmv1.CertificateConditionReady, Status: cmmeta.ConditionFalse, Reason: "WindowError", Message: "bad cron"}}
				e.Certificate.Status.RenewalTime = &metav1.Time{Time: noon.Add(time.Hour)}
			}),
			[][3]string{{"RenewalWindows", "Certificate shop/www", "the certificate is valid, but its renewal cannot follow spec.renewal: bad cron; status.renewalTime is"}},
		},
		"issued too often": {
			stuck(certificate(cmmeta.ConditionFalse, "TooManyIssuances", "The certificate was issued 3 times within 1h"), nothingBelow),
			[][3]string{{"IssuancesHalted", "Certificate shop/www", "issued 3 times within 1h"}},
		},
		"only Ready says something": {
			stuck(nothingBelow, func(e *Evidence) {
				e.Request, e.Issuer.Status.Conditions[0].Status = nil, cmmeta.ConditionTrue
				e.Certificate.Status.Conditions = []cmv1.CertificateCondition{{Type: cmv1.CertificateConditionReady, Status: cmmeta.ConditionFalse, Reason: "SecretMismatch", Message: "another key"}}
			}),
			[][3]string{{"InProgress", "Certificate shop/www", "another key"}},
		},
		"issued, and the renewal fails": {
			stuck(certificate(cmmeta.ConditionFalse, "Failed", "the CA refused: urn:ietf:params:acme:error:rejectedIdentifier; next try at 2026-11-26T13:00:00Z"), nothingBelow, func(e *Evidence) {
				e.Certificate.Status.Conditions[0].Status = cmmeta.ConditionTrue
				e.Certificate.Status.LastFailureTime = &metav1.Time{Time: noon.Add(-time.Minute)}
			}),
			[][3]string{{"CARefuses", "Certificate shop/www", "rejectedIdentifier"}},
		},
		"there is none": {
			Evidence{At: noon, Subject: Ref{cmv1.CertificateKind, "shop", "ww"}},
			[][3]string{{"NotFound", "Certificate shop/ww", "does not exist"}},
		},
		"nobody works": {
			stuck(nothingBelow, func(e *Evidence) { e.Certificate.Status, e.Request = cmv1.CertificateStatus{}, nil }),
			[][3]string{{"NoController", "Certificate shop/www", "no controller"}},
		},
		"not approved": {
			stuck(nothingBelow, func(e *Evidence) { e.Request.Status.Conditions = nil }),
			[][3]string{{"NotApproved", "CertificateRequest shop/www-1", `nobody has approved the request to Issuer "" for 60 seconds`}},
		},
		"not approved, as the Certificate says at once": {
			stuck(nothingBelow, certificate(cmmeta.ConditionTrue, "DoesNotExist", `Secret does not exist; waiting: CertificateRequest "www-1" has to be approved`), func(e *Evidence) {
				e.Request.Status.Conditions, e.Request.CreationTimestamp = nil, metav1.NewTime(noon.Add(-3*time.Second))
			}),
			[][3]string{{"NotApproved", "CertificateRequest shop/www-1", "nobody has approved the request"}},
		},
		"denied": {
			stuck(nothingBelow, func(e *Evidence) {
				e.Request.Status.Conditions = []cmv1.CertificateRequestCondition{{
					Type: cmv1.CertificateRequestConditionDenied, Status: cmmeta.ConditionTrue, Reason: "policy", Message: "no wildcards",
				}}
			}),
			[][3]string{{"Denied", "CertificateRequest shop/www-1", "policy: no wildcards"}},
		},
		"a type of issuer to come": {
			stuck(nothingBelow, certificate(cmmeta.ConditionTrue, "DoesNotExist", `Secret does not exist; waiting: This version of everleaf has no issuers of type "vault": CertificateRequest "www-1" is left alone`)),
			[][3]string{{"IssuerUnserved", "Certificate shop/www", `This version of everleaf has no issuers of type "vault"`}},
		},
		"a type of issuer to come, that cert-manager has verified": {
			stuck(nothingBelow, func(e *Evidence) {
				e.Subject, e.Certificate, e.Request = e.Issuer.Ref, nil, nil
				e.Events = []Event{{Object: e.Issuer.Ref, Message: `This version of everleaf has no issuers of type "vault": nothing is signed`, Last: metav1.NewTime(noon)}}
			}),
			[][3]string{{"IssuerUnserved", "Issuer shop/ca", `no issuers of type "vault"`}},
		},
		"no password for a keystore": {
			stuck(nothingBelow, certificate(cmmeta.ConditionTrue, "DoesNotExist", `Secret does not exist; waiting: failed to add keystores to Secret: fetching PKCS12 keystore password from Secret: secret "pw" not found; create it with an entry "p"`)),
			[][3]string{{"KeystorePassword", "Secret shop/pw", `failed to add keystores to Secret: fetching PKCS12`}},
		},
		"no password for a changed keystore": {
			stuck(nothingBelow, func(e *Evidence) {
				e.Certificate.Status.Conditions = []cmv1.CertificateCondition{{Type: cmv1.CertificateConditionReady, Status: cmmeta.ConditionTrue}}
				e.Events = []Event{{
					Object: Ref{cmv1.CertificateKind, "shop", "www"}, Reason: "KeystorePasswordSecretNotFound", Last: metav1.NewTime(noon),
					Message: `failed to add keystores to Secret: JKS keystore password Secret contains no data for key "p"; add it to Secret "pw"`,
				}}
			}),
			[][3]string{{"Healthy", "Certificate shop/www", "issued and up to date"}, {"KeystorePassword", "Secret shop/pw", `no data for key "p"`}},
		},
		"an external issuer is silent": {
			stuck(nothingBelow, func(e *Evidence) {
				e.Request.Spec.IssuerRef = cmmeta.IssuerReference{Group: "example.com", Kind: "Bar", Name: "foo"}
				e.Issuer = nil
			}),
			[][3]string{{"IssuerSilent", "CertificateRequest shop/www-1", `Bar.example.com "foo" has not answered the request for 60 seconds`}},
		},
		"the issuer is not ready": {stuck(nothingBelow, notReady), [][3]string{{"IssuerNotReady", "Issuer shop/ca", "ErrRegisterACMEAccount: no such host"}}},
		"no issuer": {
			stuck(nothingBelow, func(e *Evidence) { e.Issuer.Found, e.Issuer.Status = false, nil }),
			[][3]string{{"IssuerMissing", "Issuer shop/ca", "does not exist"}},
		},
		"another Certificate owns the Secret": {
			stuck(func(e *Evidence) {
				e.Secret, e.Rivals = &Secret{Name: "www-tls", Found: true, Certificate: "other"}, []string{"other"}
			}),
			[][3]string{{"SecretOwned", "Secret shop/www-tls", `belongs to Certificate "other"`}},
		},
		"the condition says so": {
			stuck(certificate(cmmeta.ConditionFalse, "SecretShared", `Secret "shop/www-tls" belongs to Certificate "other"`), nothingBelow),
			[][3]string{{"SecretOwned", "Secret shop/www-tls", `belongs to Certificate "other"`}},
		},
		"an admission webhook refuses": {
			stuck(nothingBelow, certificate(cmmeta.ConditionTrue, "DoesNotExist", `waiting: CertificateRequest "shop/www-1" cannot be created: admission webhook "policy.example.com" denies it`)),
			[][3]string{{"AdmissionRefuses", "Certificate shop/www", `the admission webhook "policy.example.com" does not let everleaf write`}},
		},
		"an admission webhook is down": {
			stuck(nothingBelow, func(e *Evidence) {
				e.Events = []Event{{Object: Ref{cmv1.CertificateKind, "shop", "www"}, Message: `Internal error occurred: failed calling webhook "a.example.com": timeout`, Last: metav1.NewTime(noon)}}
			}),
			[][3]string{{"AdmissionRefuses", "Certificate shop/www", `"a.example.com"`}},
		},
		"the CA limits": {
			stuck(func(e *Evidence) {
				e.Challenges = nil
				e.Order.Status.Reason = "429 urn:ietf:params:acme:error:rateLimited: too many certificates; retry after 2026-11-26 14:00:00 UTC"
			}),
			[][3]string{{"RateLimited", "Order shop/www-1-1", "the CA limits requests"}},
		},
		"the provider limits": {
			stuck(unpresented, reason("the Cloudflare API limits calls (HTTP 429); the next try is at 2026-11-26T12:05:00Z")),
			[][3]string{{"RateLimited", "Challenge shop/www-1-1-1", "the DNS provider limits requests"}},
		},
		"the provider refuses": {
			stuck(unpresented, reason("the Cloudflare API refuses the token")),
			[][3]string{{"ProviderFails", "Challenge shop/www-1-1-1", "not presented: the Cloudflare API refuses the token"}},
		},
		"waiting for others": {
			stuck(unpresented, reason("Waiting for one of the 60 places for challenges in progress (--max-concurrent-challenges): others are before it")),
			[][3]string{{"WaitingForOthers", "Challenge shop/www-1-1-1", "60 places"}},
		},
		"absent, from both places": {
			stuck(seenFrom(FromController, absent), seenFrom(FromCommand, absent)),
			[][3]string{{"RecordAbsent", "Challenge shop/www-1-1-1", "the Cloudflare API reported that it was written"}},
		},
		"the controllers see it, the command does not": {
			stuck(reason("Waiting for DNS-01 challenge propagation"), seenFrom(FromController, present), seenFrom(FromCommand, absent)),
			[][3]string{
				{"InProgress", "Challenge shop/www-1-1-1", "Waiting for DNS-01 challenge propagation"},
				{"Propagated", "Challenge shop/www-1-1-1", "every name server"},
				{"RecordAbsent", "Challenge shop/www-1-1-1", "no name server"},
			},
		},
		"propagated, and the wait goes on": {
			stuck(reason("Waiting for DNS-01 challenge propagation: resolvers of the CA may keep an older answer"), seenFrom(FromController, present)),
			[][3]string{
				{"InProgress", "Challenge shop/www-1-1-1", "resolvers of the CA may keep"},
				{"Propagated", "Challenge shop/www-1-1-1", "every name server"},
			},
		},
		"the CA did not see it": {
			stuck(ended(acmev1.Invalid, "403 urn:ietf:params:acme:error:unauthorized: No TXT record found"), seenFrom(FromCommand, absent)),
			[][3]string{{"CADoesNotSee", "Challenge shop/www-1-1-1", "No TXT record found"}, {"RecordAbsent", "Challenge shop/www-1-1-1", "no name server"}},
		},
		"the CA's far places got no answer": {
			stuck(ended(acmev1.Invalid, "400 urn:ietf:params:acme:error:dns: During secondary validation: DNS problem: query timed out"), seenFrom(FromCommand, present)),
			[][3]string{
				{"CADoesNotSee", "Challenge shop/www-1-1-1", "the network between the CA and the name servers is the likely cause"},
				{"Propagated", "Challenge shop/www-1-1-1", "every name server"},
			},
		},
		"CAA, says the CA": {
			stuck(ended(acmev1.Invalid, "403 urn:ietf:params:acme:error:caa: CAA record for www.example.com prevents issuance")),
			[][3]string{{"CAAForbids", "Challenge shop/www-1-1-1", "prevents issuance"}},
		},
		"a list": {
			stuck(reason("Waiting for DNS-01 challenge propagation: ns2 answers NXDOMAIN"), func(e *Evidence) {
				e.Challenges[0].Status.PresentedAt = &metav1.Time{Time: noon.Add(-time.Minute)}
			}),
			[][3]string{{"NotPropagated", "Challenge shop/www-1-1-1", "ns2 answers NXDOMAIN"}},
		},
		"no solver": {
			stuck(nothingBelow, func(e *Evidence) {
				e.Order = &acmev1.Order{Status: acmev1.OrderStatus{State: acmev1.Errored, Reason: "Failed to determine a valid solver configuration for the set of domains on the Order: none matches"}}
				e.Order.Name = "www-1-1"
			}),
			[][3]string{{"NoSolver", "Order shop/www-1-1", "none matches"}},
		},
		"an old event beside what is seen now": {
			stuck(seenFrom(FromController, absent), func(e *Evidence) {
				e.Events = []Event{{Object: Ref{cmv1.CertificateKind, "shop", "www"}, Message: "HTTP 429; the next try is at 2026-11-26T11:52:00Z", Last: metav1.NewTime(noon.Add(-9 * time.Minute))}}
			}),
			[][3]string{{"RecordAbsent", "Challenge shop/www-1-1-1", "no name server"}},
		},
		"an issuer that may not be read": {
			stuck(seenFrom(FromController, absent), func(e *Evidence) { e.Issuer.Found, e.Issuer.Unread, e.Issuer.Status = false, true, nil }),
			[][3]string{{"RecordAbsent", "Challenge shop/www-1-1-1", "no name server"}},
		},
		"the provider fails, and the zone is lame": {
			stuck(unpresented, reason("Error presenting challenge: REFUSED"), seenFrom(FromController, view(by(leads(inside, nil)), at("ns1", refuses)))),
			[][3]string{{"ProviderFails", "Challenge shop/www-1-1-1", "REFUSED"}, {"LameDelegation", "Challenge shop/www-1-1-1", "do not serve it"}},
		},
		"nothing is wrong": {stuck(), [][3]string{{"InProgress", "Challenge shop/www-1-1-1", "the challenge is presented"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Explain(tt.evidence)
			if len(got) != len(tt.want) {
				t.Fatalf("%+v", got)
			}
			for i, v := range got {
				want := tt.want[i]
				if string(v.Code) != want[0] || v.Object.String() != want[1] || !strings.Contains(v.Message, want[2]) {
					t.Errorf("%s (%s): %s\nwant %v", v.Code, v.Object, v.Message, want)
				}
			}
		})
	}
}

// What a Challenge's status says is the main cause, in one sentence.
func TestCause(t *testing.T) {
	c := &stuck().Challenges[0]
	for name, tt := range map[string]struct {
		view propagation.View
		want string
	}{
		"lame":       {view(by(leads(inside, nil)), at("ns1", refuses)), "the name servers that are named for example.com. do not serve it: ns1.example.com. (192.0.2.1:53) answers REFUSED"},
		"absent":     {view(by(leads(inside, nil)), at("ns1", lacks)), "no name server of example.com. has the record: ns1.example.com. (192.0.2.1:53) answers NXDOMAIN; the Cloudflare API reported that it was written"},
		"propagated": {view(by(leads(inside, nil)), at("ns1")), ""},
		"nothing":    {view(nil), ""},
	} {
		if got := Cause(c, "the Cloudflare API", tt.view); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// What ends by itself says when.
func TestUntil(t *testing.T) {
	for text, want := range map[string]string{
		"refused; next try at 2026-11-26T13:00:00Z":                       "2026-11-26T13:00:00Z",
		"refused; the next try is at 2026-11-26T13:00:00Z":                "2026-11-26T13:00:00Z",
		"Waiting until 2026-11-26T13:00:00Z: the ACME server limits":      "2026-11-26T13:00:00Z",
		"too many certificates, retry after 2026-11-26 13:00:00 UTC: see": "2026-11-26T13:00:00Z",
		"the next try is within 5m":                                       "",
	} {
		got := ""
		if at := timeIn(text); at != nil {
			got = at.Format(time.RFC3339)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", text, diff)
		}
	}
}
