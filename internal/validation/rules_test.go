package validation_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/yaml"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/validation"
	"github.com/everleaf/everleaf/internal/validation/validationtest"
)

// user is who makes requests.
var user = authenticationv1.UserInfo{
	Username: "admin", Groups: []string{"system:masters", "system:authenticated"},
	Extra: map[string]authenticationv1.ExtraValue{"authentication.kubernetes.io/credential-id": {"a", "b"}},
}

var decoder = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{cmv1.AddToScheme, acmev1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()

func decode(tb testing.TB, data []byte) runtime.Object {
	tb.Helper()
	object, _, err := decoder.Decode(data, nil, nil)
	if err != nil {
		tb.Fatalf("%v\n%.1000s", err, data)
	}
	return object
}

func parse(tb testing.TB, text string) runtime.Object {
	tb.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		tb.Fatalf("%v\n%.1000s", err, text)
	}
	return decode(tb, data)
}

// create is what the webhook does about a new object, whose status the API server
// has dropped.
func create(object runtime.Object) validation.Result {
	switch o := object.(type) {
	case *cmv1.Certificate:
		return validation.Certificate(o, validation.DefaultGates)
	case *cmv1.CertificateRequest:
		identify(o)
		o.Status = cmv1.CertificateRequestStatus{}
		return validation.Result{Errors: validation.Requester(nil, o, user)}.With(validation.CertificateRequestCreate(o, pki.Limits{}))
	case cmv1.GenericIssuer:
		return validation.Issuer(o.GetSpec())
	default:
		return validation.Result{}
	}
}

// identify does what the mutation does.
func identify(cr *cmv1.CertificateRequest) {
	cr.Spec.Username, cr.Spec.UID, cr.Spec.Groups, cr.Spec.Extra = user.Username, user.UID, user.Groups, nil
	for key, values := range user.Extra {
		cr.Spec.Extra = map[string][]string{key: values}
	}
}

// update is what the webhook does about an object that is written in place of
// another.
func update(old, object runtime.Object) validation.Result {
	switch o := object.(type) {
	case *cmv1.CertificateRequest:
		was := old.(*cmv1.CertificateRequest)
		return validation.Result{Errors: validation.Requester(was, o, user)}.With(validation.CertificateRequestUpdate(was, o))
	case cmv1.GenericIssuer:
		return validation.IssuerUpdate(old.(cmv1.GenericIssuer).GetSpec(), o.GetSpec())
	case *acmev1.Order:
		return validation.OrderUpdate(old.(*acmev1.Order), o)
	case *acmev1.Challenge:
		return validation.ChallengeUpdate(old.(*acmev1.Challenge), o)
	default:
		return create(object)
	}
}

// answer does to a case what the API server and the webhook do.
func answer(tb testing.TB, c validationtest.Case) validation.Result {
	tb.Helper()
	object := parse(tb, c.Object)
	if c.Stored == "" {
		return create(object)
	}
	old := parse(tb, c.Stored)
	if cr, ok := old.(*cmv1.CertificateRequest); ok {
		identify(cr)
		keepIdentity(cr, object.(*cmv1.CertificateRequest))
	}
	if now := object.(metav1.Object); now.GetAnnotations() == nil {
		now.SetAnnotations(old.(metav1.Object).GetAnnotations())
	}
	// The object without its status, then the status alone.
	result := update(old, withStatusOf(tb, object, old))
	if len(result.Errors) > 0 {
		return result
	}
	return update(old, withStatusOf(tb, old, object))
}

// keepIdentity adds what a client does not change, unless a case says something
// else.
func keepIdentity(old, cr *cmv1.CertificateRequest) {
	if cr.Spec.Request == nil {
		return
	}
	if cr.Spec.Username == "" {
		cr.Spec.Username = old.Spec.Username
	}
	if cr.Spec.Groups == nil {
		cr.Spec.Groups = old.Spec.Groups
	}
	if cr.Spec.Extra == nil {
		cr.Spec.Extra = old.Spec.Extra
	}
}

// withStatusOf is an object with the status of another.
func withStatusOf(tb testing.TB, object, other runtime.Object) runtime.Object {
	tb.Helper()
	fields := func(o runtime.Object) map[string]any {
		all, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			tb.Fatal(err)
		}
		return all
	}
	merged := fields(object)
	merged["status"] = fields(other)["status"]
	data, err := json.Marshal(merged)
	if err != nil {
		tb.Fatal(err)
	}
	return decode(tb, data)
}

// refusalOf is the text of the errors.
func refusalOf(r validation.Result) string { return validation.Text(r.Errors, r.MoreErrors) }

// TestCases asks this package what TestRules of package admission asks the API
// server.
func TestCases(t *testing.T) {
	cases := validationtest.Cases()
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		t.Run(name, func(t *testing.T) {
			got := answer(t, c)
			if diff := cmp.Diff(c.Refusal, validation.Text(got.Errors, got.MoreErrors)); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.Warnings, got.Advice()); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestStoredTemplates: an issuer that is stored with a template that no object can be made
// from can be written as long as its spec stays as it is.
func TestStoredTemplates(t *testing.T) {
	stored := validationtest.WithSolver(`http01: {ingress: {podTemplate: {metadata: {labels: {a: a/b}}}}}`)
	changed := validationtest.WithSolver(`http01: {ingress: {class: a, podTemplate: {metadata: {labels: {a: a/b}}}}}`)
	if text := refusalOf(update(parse(t, stored), parse(t, stored))); text != "" {
		t.Errorf("as it is: %s", text)
	}
	if text := refusalOf(update(parse(t, stored), parse(t, changed))); text == "" {
		t.Error("changed: it is accepted")
	}
}

func TestAdvice(t *testing.T) {
	for name, want := range validationtest.Advice() {
		crt := parse(t, validationtest.Certificate("")).(*cmv1.Certificate)
		crt.Spec.DNSNames = append(crt.Spec.DNSNames, name)
		got := validation.Certificate(crt, validation.DefaultGates)
		if len(got.Errors) > 0 {
			t.Errorf("%q is refused: %v", name, got.Errors)
		}
		var warnings []string
		if want != "" {
			warnings = []string{`spec.dnsNames[1]: Invalid value: "` + name + `": ` + validationtest.NoDNSName + want}
		}
		if diff := cmp.Diff(warnings, got.Warnings); diff != "" {
			t.Errorf("%q (-want +got):\n%s", name, diff)
		}
	}
}

// TestRecordedAccepted holds that every object that cert-manager wrote can be
// created, and written again as it is, without a warning.
func TestRecordedAccepted(t *testing.T) {
	data, err := os.ReadFile("../../api/crds/testdata/recorded.json")
	if err != nil {
		t.Fatal(err)
	}
	var objects []json.RawMessage
	if err := json.Unmarshal(data, &objects); err != nil {
		t.Fatal(err)
	}
	for _, data := range objects {
		object := decode(t, data)
		kind, name := object.GetObjectKind().GroupVersionKind().Kind, object.(metav1.Object).GetName()
		for what, got := range map[string]validation.Result{"create": create(object.DeepCopyObject()), "update": update(object, object)} {
			if diff := cmp.Diff(validation.Result{}, got); diff != "" {
				t.Errorf("%s %s/%s (-want +got):\n%s", what, kind, name, diff)
			}
		}
	}
}
