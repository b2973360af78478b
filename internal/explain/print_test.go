package explain

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/diagnosis"
)

// Evidence may come from a file that somebody has written.
func FuzzPrint(f *testing.F) {
	f.Add(`{"version":"everleaf.io/evidence/v1","subject":{"kind":"Issuer","name":"a"},"issuer":{"kind":"Issuer","name":"a","found":true}}`)
	f.Add(`{"subject":{"kind":"Challenge","name":"a"},"challenges":[{"metadata":{"name":"a"},"spec":{"type":"DNS-01"},"status":{"presented":true}}],
		"sightings":[{"challenge":"a","view":{"servers":[{"rcode":"REFUSED"},{"target":"x."}],"caa":[{"rcode":"SERVFAIL"}]}},{"challenge":"a","from":"command"}]}`)
	f.Add(`{"subject":{"kind":"Challenge","name":"a"},"challenges":[{"metadata":{"name":"a"},"spec":{"type":"HTTP-01","dnsName":"b"},"status":{"presented":true}}],
		"edges":[{"kind":"Ingress","name":"i","hosts":["b"],"addresses":["192.0.2.1"],"class":"c","challenge":"a","own":true}],
		"sightings":[{"challenge":"a","from":"command","http":{"report":{"name":"b","answers":[{"address":"192.0.2.5","status":404},{"proxy":"http://p","failure":"Timeout"},
		{"address":"::1","redirects":[{"to":"https://b","certificate":"has expired"}],"status":200,"content":"Page"}],"lookups":[{"type":"A"},{"type":"AAAA","failure":"Timeout"}]}}},
		{"challenge":"a","from":"controller","http":{"report":{"name":"b"},"circumstances":{"route":{"kind":"Ingress","name":"i"},"responder":{"at":"p"}}}}]}`)
	f.Add(`{"subject":{"kind":"Certificate","name":"a"},"certificate":{"status":{"conditions":[{"type":"Ready","status":"True"}]}},"order":{},"request":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var e diagnosis.Evidence
		if json.Unmarshal([]byte(text), &e) != nil {
			return
		}
		verdicts := diagnosis.Explain(e)
		if len(verdicts) == 0 {
			t.Error("no verdict")
		}
		Print(io.Discard, e, verdicts)
		PrintOverview(io.Discard, []diagnosis.Evidence{e}, nil)
	})
}

// A terminal takes no orders from what foreign servers answered.
func TestPrintEscapes(t *testing.T) {
	var out strings.Builder
	e := diagnosis.Evidence{Subject: diagnosis.Ref{Kind: "Certificate", Name: "a\x1b[0m"}, Missing: []string{"\x1b[31mred\x1b[0m"}}
	Print(&out, e, diagnosis.Explain(e))
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("%q", out.String())
	}
}

// If the controllers ask nobody, their reason stands in the place of their view.
func TestPrintProblem(t *testing.T) {
	var out strings.Builder
	e := diagnosis.Evidence{Sightings: []diagnosis.Sighting{
		{Challenge: "a", From: diagnosis.FromController, Problem: "no name server is asked for this Challenge: The Challenge is not controlled by an Order"},
	}}
	Print(&out, e, diagnosis.Explain(e))
	if want := "\nWhat the controllers see: no name server is asked for this Challenge: The Challenge is not controlled by an Order.\n"; !strings.Contains(out.String(), want) {
		t.Errorf("it does not say %q: %s", want, out.String())
	}
}

// What an issuer says comes once.
func TestPrintIssuer(t *testing.T) {
	const refused = `vault.example: it does not know the role "web": create it with vault write`
	ref := diagnosis.Ref{Kind: "Issuer", Namespace: "shop", Name: "vault"}
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	e := diagnosis.Evidence{
		At: at, Subject: ref,
		Issuer: &diagnosis.Issuer{Ref: ref, Found: true, Status: &cmv1.IssuerStatus{Conditions: []cmv1.IssuerCondition{{
			Type: cmv1.IssuerConditionReady, Status: cmmeta.ConditionFalse, Reason: "VaultError", Message: refused + "; the next try is within 5m",
		}}}},
		Events: []diagnosis.Event{{Object: ref, Reason: "VaultError", Message: refused, Last: metav1.NewTime(at), Count: 3}},
	}
	want := `Issuer  vault  not ready: (see the cause)
Event of Issuer vault: VaultError: (see the cause) (2026-11-26T12:00:00Z, 3 times)

Cause: IssuerNotReady (Issuer shop/vault)
  the issuer is not ready: VaultError: vault.example: it does not know the role "web": create it with vault write; the next try is within 5m.
  What to do:
    - correct what the message names; the certificates go on by themselves once the issuer is ready
`
	var out strings.Builder
	Print(&out, e, diagnosis.Explain(e))
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
