package statuspage

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func at(minutes int) time.Time {
	return time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC).Add(time.Duration(minutes) * time.Minute)
}

func ptr[T any](v T) *T { return &v }

// TestPrint has whole pages: one with everything, and one on which everything is missing.
func TestPrint(t *testing.T) {
	ready := []Condition{{"Ready", "True", "Ready", "Certificate is up to date and has not expired"}}
	for name, test := range map[string]struct {
		page Page
		want string
	}{
		"everything": {
			Page{
				Name: "www", Namespace: "shop", CreatedAt: at(-60), Conditions: ready, DNSNames: []string{"www.example.com", "example.com"},
				Events: Events{Items: []Event{
					{Type: "Normal", Reason: "Issuing", First: at(-30), Last: at(-5), Count: 3, From: "cert-manager-certificates-issuing", Message: "The certificate has been successfully issued\n"},
					{Type: "Warning", Reason: "Failed", First: at(-2), Last: at(-2), Count: 1, From: "x", Message: "no"},
				}},
				Issuer: Issuer{Name: "letsencrypt", Kind: "ClusterIssuer", Conditions: []Condition{{"Ready", "True", "ACMEAccountRegistered", "The ACME account was registered with the ACME server"}}},
				Secret: Secret{
					Name: "www-tls", IssuerCountry: []string{"US"}, IssuerOrganisation: []string{"CA", "Trust"}, IssuerCommonName: "R3",
					KeyUsage: []string{"Digital Signature", "Key Encipherment"}, ExtendedKeyUsages: []string{"Server Authentication"},
					PublicKeyAlgorithm: "RSA", SignatureAlgorithm: "SHA256-RSA", SubjectKeyID: "0a0b", AuthorityKeyID: "0c0d", SerialNumber: "03ff",
					Events: Events{Items: []Event{{Type: "Normal", Reason: "A", First: at(-1), Last: at(-1), Count: 1, From: "b", Message: "c"}}},
				},
				NotBefore: ptr(at(-60)), NotAfter: ptr(at(60)), RenewalTime: ptr(at(30)),
				Request: Request{Name: "www-2", Namespace: "shop", Conditions: []Condition{{"Approved", "True", "cert-manager.io", "Certificate request has been approved by cert-manager.io"}}},
				Order: &Order{Name: "www-2-1", State: "pending", FailureTime: ptr(at(-1)), Authorizations: []Authorization{
					{URL: "https://ca/a/1", Identifier: "example.com", InitialState: "pending", Wildcard: ptr(true)},
					{URL: "https://ca/a/2", Identifier: "www.example.com", InitialState: "valid"},
				}},
				Challenges: &Challenges{Items: []Challenge{{Name: "www-2-1-9", Type: "HTTP-01", Token: "tok", Key: "tok.key", State: "pending", Reason: "waiting", Presented: true}}},
			},
			`Name: www
Namespace: shop
Created at: 2026-11-27T09:00:00Z
Conditions:
  Ready: True, Reason: Ready, Message: Certificate is up to date and has not expired
DNS Names:
- www.example.com
- example.com
Events:
  Type     Reason   Age               From                               Message
  ----     ------   ----              ----                               -------
  Normal   Issuing  5m (x3 over 30m)  cert-manager-certificates-issuing  The certificate has been successfully issued
  Warning  Failed   2m                x                                  no
Issuer:
  Name: letsencrypt
  Kind: ClusterIssuer
  Conditions:
    Ready: True, Reason: ACMEAccountRegistered, Message: The ACME account was registered with the ACME server
  Events:  <none>
Secret:
  Name: www-tls
  Issuer Country: US
  Issuer Organisation: CA, Trust
  Issuer Common Name: R3
  Key Usage: Digital Signature, Key Encipherment
  Extended Key Usages: Server Authentication
  Public Key Algorithm: RSA
  Signature Algorithm: SHA256-RSA
  Subject Key ID: 0a0b
  Authority Key ID: 0c0d
  Serial Number: 03ff
  Events:
    Type    Reason  Age   From  Message
    ----    ------  ----  ----  -------
    Normal  A       60s   b     c
Not Before: 2026-11-27T09:00:00Z
Not After: 2026-11-27T11:00:00Z
Renewal Time: 2026-11-27T10:30:00Z
CertificateRequest:
  Name: www-2
  Namespace: shop
  Conditions:
    Approved: True, Reason: cert-manager.io, Message: Certificate request has been approved by cert-manager.io
  Events:  <none>
Order:
  Name: www-2-1
  State: pending, Reason: 
  Authorizations:
    URL: https://ca/a/1, Identifier: example.com, Initial State: pending, Wildcard: true
    URL: https://ca/a/2, Identifier: www.example.com, Initial State: valid, Wildcard: nil (bool pointer not set)
  FailureTime: 2026-11-27T09:59:00Z
Challenges:
- Name: www-2-1-9, Type: HTTP-01, Token: tok, Key: tok.key, State: pending, Reason: waiting, Processing: false, Presented: true
`,
		},
		"nothing": {
			Page{
				Name: "www", Namespace: "shop", CreatedAt: at(0), Events: Events{Problem: "cannot be read: no"},
				Issuer: Issuer{Problem: "error when getting Issuer: none"}, Secret: Secret{Problem: "error when finding Secret \"s\": none"},
				Request: Request{Problem: "No CertificateRequest found for this Certificate"},
				Order:   &Order{Problem: "No Order found for this Certificate"},
			},
			`Name: www
Namespace: shop
Created at: 2026-11-27T10:00:00Z
Conditions:
  No Conditions set
DNS Names:
Events:  <cannot be read: no>
error when getting Issuer: none
error when finding Secret "s": none
Not Before: <none>
Not After: <none>
Renewal Time: <none>
No CertificateRequest found for this Certificate
No Order found for this Certificate
`,
		},
		"an order without authorizations": {
			Page{Name: "www", Namespace: "shop", CreatedAt: at(0), Order: &Order{Name: "o", State: "errored", Reason: "why"}},
			`Name: www
Namespace: shop
Created at: 2026-11-27T10:00:00Z
Conditions:
  No Conditions set
DNS Names:
Events:  <none>
Issuer:
  Name: 
  Kind: 
  Conditions:
    No Conditions set
  Events:  <none>
Secret:
  Name: 
  Issuer Country: 
  Issuer Organisation: 
  Issuer Common Name: 
  Key Usage: 
  Extended Key Usages: 
  Public Key Algorithm: 
  Signature Algorithm: 
  Subject Key ID: 
  Authority Key ID: 
  Serial Number: 
  Events:  <none>
Not Before: <none>
Not After: <none>
Renewal Time: <none>
CertificateRequest:
  Name: 
  Namespace: 
  Conditions:
    No Conditions set
  Events:  <none>
Order:
  Name: o
  State: errored, Reason: why
  No Authorizations for this Order
`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := Print(&out, test.page, at(0)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, out.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
