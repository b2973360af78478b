package webhook

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"

	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/validation"
)

// BenchmarkReview measures what one request costs, without TLS.
func BenchmarkReview(b *testing.B) {
	cr := crJSON(b, ann)
	for name, bench := range map[string]struct {
		path    string
		request admissionv1.AdmissionRequest
	}{
		"certificate":                 {"/validate", request(update, certificates+"/status", "Certificate", `{HEAD,"spec":{"secretName":"s","dnsNames":["a.example"],"issuerRef":{"name":"ca"}}}`, "")},
		"certificate request":         {"/validate", request(create, requests, "CertificateRequest", cr, "")},
		"status of a request":         {"/validate", request(update, requests+"/status", "CertificateRequest", cr, cr)},
		"identity of a request":       {"/mutate", request(create, requests, "CertificateRequest", cr, "")},
		"status of a challenge":       {"/validate", request(update, challenges+"/status", "Challenge", `{HEAD,"spec":{"token":"a"}}`, `{HEAD,"spec":{"token":"a"}}`)},
		"issuer with one ACME solver": {"/validate", request(create, "cert-manager.io/issuers", "Issuer", `{HEAD,"spec":{"acme":{"server":"https://acme.example","privateKeySecretRef":{"name":"a"},"solvers":[{"dns01":{"rfc2136":{"nameserver":"192.0.2.1"}}}]}}}`, "")},
	} {
		b.Run(name, func(b *testing.B) {
			handler, err := newHandler(&Validator{Gates: validation.DefaultGates, Limits: pki.DefaultLimits, Approval: theSigners()}, logr.Discard())
			if err != nil {
				b.Fatal(err)
			}
			body, err := json.Marshal(admissionv1.AdmissionReview{Request: &bench.request})
			if err != nil {
				b.Fatal(err)
			}
			text := `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview",` + string(body[1:])
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, bench.path, strings.NewReader(text))
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if !strings.Contains(w.Body.String(), `"allowed":true`) {
					b.Fatal(w.Body.String())
				}
			}
		})
	}
}
