package apicheck

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/controlplane"
)

func TestMain(m *testing.M) { os.Exit(controlplane.Main(m)) }

// TestLive asks a real API server, at first with the policies of everleaf local. The
// steps depend on each other.
func TestLive(t *testing.T) {
	cp := controlplane.Shared(t)
	namespace := controlplane.Namespace(t, cp, nil)
	core, err := kubernetes.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	cluster := live{cp, core, namespace}

	cluster.becomes(t, "policies", map[Admission]string{Auto: "", Policies: "", Webhook: textNotValidated})
	t.Run("no right", func(t *testing.T) { cluster.withoutRight(t) })

	// The API server has the configuration of a webhook which is not there.
	configuration := cluster.configure(t, registrationv1.WebhookClientConfig{
		Service: &registrationv1.ServiceReference{Namespace: local.Namespace, Name: "cert-manager-webhook", Path: ptr.To("/validate")},
	})
	cluster.becomes(t, "no service", map[Admission]string{Auto: textService, Policies: textService, Webhook: textService})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	cluster.reconfigure(t, configuration, registrationv1.WebhookClientConfig{URL: ptr.To("https://" + closed.Addr().String() + "/validate")})
	cluster.becomes(t, "refused", map[Admission]string{Auto: textRefused})
	server := httptest.NewTLSServer(webhook{})
	defer server.Close()
	address, right := server.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	cluster.reconfigure(t, configuration, registrationv1.WebhookClientConfig{URL: ptr.To(address + "/validate"), CABundle: cp.RESTConfig().CAData})
	cluster.becomes(t, "wrong CA", map[Admission]string{Auto: textCA, Policies: textCA, Webhook: textCA})
	cluster.reconfigure(t, configuration, registrationv1.WebhookClientConfig{URL: ptr.To(address + "/validate"), CABundle: right})
	cluster.becomes(t, "both", map[Admission]string{Auto: "", Policies: ""})

	// Without policies, and with the webhook.
	cluster.removePolicies(t)
	cluster.becomes(t, "no mutation", map[Admission]string{Auto: textNotMutated, Webhook: textNotMutated, Policies: textPolicyNotMutated})
	cluster.mutate(t, registrationv1.WebhookClientConfig{URL: ptr.To(address + "/mutate"), CABundle: right})
	cluster.becomes(t, "webhook", map[Admission]string{Auto: "", Webhook: "", Policies: textPolicyNotValidated})
	if err := core.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(t.Context(), configuration, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	cluster.becomes(t, "no validation", map[Admission]string{Auto: textNotValidated, Webhook: textNotValidated, Policies: textPolicyNotValidated})

	objects, err := dynamic.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	if list, err := objects.Resource(cmv1.SchemeGroupVersion.WithResource("certificaterequests")).List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) > 0 {
		t.Errorf("%d requests were stored, %v", len(list.Items), err)
	}
	crds := objects.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	if err := crds.Delete(t.Context(), "certificaterequests.cert-manager.io", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	cluster.becomes(t, "no CRDs", map[Admission]string{Auto: textCRDs, Webhook: textCRDs, Policies: textCRDs})
}

type live struct {
	*local.ControlPlane
	core      kubernetes.Interface
	namespace string
}

// becomes waits until the checks of the three kinds say what is wanted; "" is ready. The
// API server applies configurations and policies with a delay.
func (l live) becomes(t *testing.T, step string, want map[Admission]string) {
	t.Helper()
	for by, text := range want {
		check, err := New(l.RESTConfig(), l.namespace, by)
		if err != nil {
			t.Fatal(err)
		}
		err = Wait(t.Context(), clock.RealClock{}, 30*time.Second, 50*time.Millisecond, func(ctx context.Context) error {
			err := check.Once(ctx)
			var notReady *NotReady
			switch {
			case err == nil && text == "", errors.As(err, &notReady) && notReady.Text == text:
				return nil
			case err == nil:
				return errors.New("it is ready")
			}
			return err
		}, func(error) {})
		if err != nil {
			t.Fatalf("%s, %s: want %q, got %v", step, by, text, err)
		}
	}
}

func (l live) withoutRight(t *testing.T) {
	config, err := l.ConfigFor("jane")
	if err != nil {
		t.Fatal(err)
	}
	check, err := New(config, l.namespace, Auto)
	if err != nil {
		t.Fatal(err)
	}
	var notReady *NotReady
	if err := check.Once(t.Context()); !errors.As(err, &notReady) || notReady.Text != textFailed || notReady.Hint != hintRole {
		t.Errorf("got %v", err)
	}
}

// webhookName is the name that a part of the API.
const webhookName = "webhook.cert-manager.io"

func rules(operations ...registrationv1.OperationType) []registrationv1.RuleWithOperations {
	return []registrationv1.RuleWithOperations{{Operations: operations, Rule: registrationv1.Rule{
		APIGroups: []string{"cert-manager.io"}, APIVersions: []string{"v1"}, Resources: []string{"certificaterequests"},
	}}}
}

// configure stores a validating webhook and returns the configuration's name.
func (l live) configure(t *testing.T, where registrationv1.WebhookClientConfig) string {
	t.Helper()
	stored, err := l.core.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(t.Context(), &registrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		Webhooks: []registrationv1.ValidatingWebhook{{
			Name: webhookName, Rules: rules(registrationv1.Create, registrationv1.Update), ClientConfig: where,
			SideEffects: ptr.To(registrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return stored.Name
}

func (l live) reconfigure(t *testing.T, name string, where registrationv1.WebhookClientConfig) {
	t.Helper()
	all := l.core.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	stored, err := all.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stored.Webhooks[0].ClientConfig = where
	if _, err := all.Update(t.Context(), stored, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// mutate stores a mutating webhook.
func (l live) mutate(t *testing.T, where registrationv1.WebhookClientConfig) {
	t.Helper()
	_, err := l.core.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(t.Context(), &registrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		Webhooks: []registrationv1.MutatingWebhook{{
			Name: webhookName, Rules: rules(registrationv1.Create), ClientConfig: where,
			SideEffects: ptr.To(registrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// removePolicies deletes the policies for CertificateRequests.
func (l live) removePolicies(t *testing.T) {
	t.Helper()
	policies := l.core.AdmissionregistrationV1()
	err := errors.Join(
		policies.ValidatingAdmissionPolicyBindings().Delete(t.Context(), "certificaterequests.cert-manager.io", metav1.DeleteOptions{}),
		policies.MutatingAdmissionPolicyBindings().Delete(t.Context(), "certificaterequests-identity.cert-manager.io", metav1.DeleteOptions{}),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// webhook does of cert-manager's what the check looks at.
type webhook struct{}

func (webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var object cmv1.CertificateRequest
	if err := json.Unmarshal(review.Request.Object.Raw, &object); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	switch {
	case r.URL.Path == "/mutate":
		review.Response.PatchType = ptr.To(admissionv1.PatchTypeJSONPatch)
		review.Response.Patch = []byte(`[{"op":"add","path":"/spec/username","value":"` + review.Request.UserInfo.Username + `"}]`)
	case !strings.HasPrefix(string(object.Spec.Request), "-----BEGIN "):
		review.Response.Allowed = false
		review.Response.Result = &metav1.Status{Message: "spec.request: Invalid value: no PEM", Code: http.StatusForbidden}
	}
	review.Request = nil
	_ = json.NewEncoder(w).Encode(review)
}
