package webhook

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	admissionmetrics "sigs.k8s.io/controller-runtime/pkg/webhook/admission/metrics"

	"github.com/everleaf/everleaf/internal/pki"
)

// broken is an Approval that panics.
type broken struct{}

func (broken) Signer(context.Context, schema.GroupKind) (*Signer, error) { panic("password") }

func (broken) Allowed(context.Context, authenticationv1.UserInfo, string) bool { return false }

func TestHandler(t *testing.T) {
	review := func(r admissionv1.AdmissionRequest) string {
		encoded, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":` + string(encoded) + `}`
	}
	answer := func(result string) string {
		return `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"1",` + result + `}}`
	}
	cr := crJSON(t, ann)
	approval := request(update, requests+"/status", "CertificateRequest", strings.TrimSuffix(cr, "}")+condition("Approved")+"}", cr)
	const json = "application/json"
	for name, test := range map[string]struct {
		path, content, body string
		status              int
		want                string
	}{
		"accepted":        {"/validate", json, review(request(create, "cert-manager.io/issuers", "Issuer", `{HEAD,"spec":{"selfSigned":{}}}`, "")), 200, answer(`"allowed":true,"status":{"metadata":{},"code":200}`)},
		"refused":         {"/validate", json, review(request(create, "cert-manager.io/issuers", "Issuer", `{HEAD,"spec":{}}`, "")), 200, answer(`"allowed":false,"status":{"metadata":{},"message":"spec: Required value: at least one issuer must be configured","reason":"Forbidden","code":403}`)},
		"mutated":         {"/mutate", json, review(request(update, requests, "CertificateRequest", cr, cr)), 200, answer(`"allowed":true,"status":{"metadata":{},"code":200}`)},
		"panic":           {"/validate", json, review(approval), 200, answer(`"allowed":false,"status":{"metadata":{},"message":"internal error: the webhook has failed; its log says why","code":500}`)},
		"no request":      {"/validate", json, `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":null}`, 200, `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"","allowed":false,"status":{"metadata":{},"message":"unknown operation \"\"","code":400}}}`},
		"empty body":      {"/validate", json, "", 200, `{"response":{"uid":"","allowed":false,"status":{"metadata":{},"message":"request body is empty","code":400}}}`},
		"other content":   {"/validate", "text/plain", "x", 200, `{"response":{"uid":"","allowed":false,"status":{"metadata":{},"message":"contentType=text/plain, expected application/json","code":400}}}`},
		"too large":       {"/mutate", json, strings.Repeat(" ", 7<<20), 200, `{"response":{"uid":"","allowed":false,"status":{"metadata":{},"message":"request entity is too large; limit is 7340032 bytes","code":413}}}`},
		"other path":      {"/convert", json, "{}", 404, "404 page not found"},
		"other programme": {"/", json, "{}", 404, "404 page not found"},
	} {
		t.Run(name, func(t *testing.T) {
			before := testutil.ToFloat64(admissionmetrics.WebhookPanics)
			handler, err := newHandler(&Validator{Limits: pki.DefaultLimits, Approval: broken{}}, logr.Discard())
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodPost, test.path, io.NopCloser(strings.NewReader(test.body)))
			if test.body == "" {
				r.Body = http.NoBody
			}
			r.Header.Set("Content-Type", test.content)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if diff := cmp.Diff(test.want, strings.TrimSpace(w.Body.String())); diff != "" || w.Code != test.status {
				t.Errorf("status %d, -want +got:\n%s", w.Code, diff)
			}
			if got := testutil.ToFloat64(admissionmetrics.WebhookPanics) - before; (got == 1) != (name == "panic") {
				t.Errorf("%v panics were counted", got)
			}
		})
	}
}
