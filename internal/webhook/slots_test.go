package webhook

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/semaphore"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/validation"
)

// TestManyErrors holds that an object with any number of errors has a short answer
// and a short line in the log.
func TestManyErrors(t *testing.T) {
	wrong := strings.TrimSuffix(strings.Repeat(`"x",`, 40000), ",")
	req := request(create, certificates, "Certificate", `{HEAD,"spec":{"secretName":"s","ipAddresses":[`+wrong+`],"dnsNames":[`+strings.ReplaceAll(wrong, "x", "x y")+`],"issuerRef":{"name":"ca"}}}`, "")
	req.Name, req.UserInfo.Username = strings.Repeat("n", 1<<20), strings.Repeat("u", 1<<20)
	var lines []string
	log := funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{Verbosity: 2})
	got := guard(&Validator{Gates: validation.DefaultGates, Limits: pki.DefaultLimits}, log).Handle(t.Context(), admission.Request{AdmissionRequest: req})
	if want := `, spec.ipAddresses[9]: Invalid value: "x": invalid IP address, and 39990 more errors]`; got.Allowed || !strings.HasSuffix(got.Result.Message, want) || len(got.Result.Message) > 1024 {
		t.Errorf("%d bytes: %.2000s", len(got.Result.Message), got.Result.Message)
	}
	if len(got.Warnings) != validation.MaxFindings+1 || got.Warnings[validation.MaxFindings] != "and 39990 more warnings" {
		t.Errorf("%d warnings: %.2000q", len(got.Warnings), got.Warnings)
	}
	if len(lines) != 1 || len(lines[0]) > 6*maxLogged {
		t.Errorf("the log has %d lines: %.8000s", len(lines), lines)
	}
}

// asking is an Approval that does something when it is asked.
type asking func()

func (a asking) Signer(context.Context, schema.GroupKind) (*Signer, error) {
	a()
	return nil, errors.New("no route")
}

func (asking) Allowed(context.Context, authenticationv1.UserInfo, string) bool { return false }

func TestSlots(t *testing.T) { synctest.Test(t, testSlots) }

func testSlots(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	const busy = "the webhook has too many requests, and this one was not looked at in time (context canceled); try again later"
	cr := crJSON(t, ann)
	certificate := request(create, certificates, "Certificate", `{HEAD,"spec":{"secretName":"s","dnsNames":["a.example"],"issuerRef":{"name":"ca"}}}`, "")
	one := &slots{semaphore.NewWeighted(1)}
	v := &Validator{Limits: pki.DefaultLimits, slots: one}
	for what, handler := range map[string]admission.Handler{"validate": v, "mutate": one.bound(admission.HandlerFunc(Mutate))} {
		answer := func(ctx context.Context) admissionv1.AdmissionResponse {
			return handler.Handle(ctx, admission.Request{AdmissionRequest: certificate}).AdmissionResponse
		}
		want := refused(http.StatusServiceUnavailable, "", busy)
		want.UID = ""
		if !one.free.TryAcquire(1) {
			t.Fatal("the slot is taken")
		}
		// The context ends while the request waits.
		waiting, stop := context.WithCancel(t.Context())
		answers := make(chan admissionv1.AdmissionResponse)
		go func() { answers <- answer(waiting) }()
		synctest.Wait()
		stop()
		if diff := cmp.Diff(want, <-answers); diff != "" {
			t.Errorf("%s without a slot -want +got:\n%s", what, diff)
		}
		one.free.Release(1)
		if diff := cmp.Diff(want, answer(ended)); diff != "" {
			t.Errorf("%s too late -want +got:\n%s", what, diff)
		}
		if got := answer(t.Context()); !got.Allowed {
			t.Errorf("%s with a slot: %v", what, got.Result)
		}
	}
	// Who asks the API server leaves the slot to others.
	var asked bool
	v.Approval = asking(func() {
		if asked = one.free.TryAcquire(1); asked {
			one.free.Release(1)
		}
	})
	v.Handle(t.Context(), admission.Request{AdmissionRequest: request(update, requests+"/status", "CertificateRequest", strings.TrimSuffix(cr, "}")+condition("Approved")+"}", cr)})
	if !asked {
		t.Error("a question to the API server holds a slot")
	}
}
