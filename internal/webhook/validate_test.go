package webhook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/validation"
)

// signers is an Approval: the kinds that there are, and by user what is allowed.
type signers struct {
	kinds   map[schema.GroupKind]*Signer
	err     error
	allowed map[string]string
	asked   []string
}

func (s *signers) Signer(_ context.Context, kind schema.GroupKind) (*Signer, error) {
	return s.kinds[kind], s.err
}

func (s *signers) Allowed(_ context.Context, user authenticationv1.UserInfo, name string) bool {
	s.asked = append(s.asked, name)
	return s.allowed[user.Username] == name
}

func theSigners() *signers {
	return &signers{
		kinds: map[schema.GroupKind]*Signer{
			{Group: "cert-manager.io", Kind: "Issuer"}:        {schema.GroupResource{Group: "cert-manager.io", Resource: "issuers"}, true},
			{Group: "cert-manager.io", Kind: "ClusterIssuer"}: {schema.GroupResource{Group: "cert-manager.io", Resource: "clusterissuers"}, false},
		},
		allowed: map[string]string{"all": "issuers.cert-manager.io/*", "one": "issuers.cert-manager.io/team.ca", "cluster": "clusterissuers.cert-manager.io/ca", "wrong": "issuers.cert-manager.io/ca"},
	}
}

// request is an admission request about an object of a kind.
func request(operation admissionv1.Operation, resource, kind, object, old string) admissionv1.AdmissionRequest {
	group, plural, _ := strings.Cut(resource, "/")
	plural, sub, _ := strings.Cut(plural, "/")
	r := admissionv1.AdmissionRequest{
		UID:  "1",
		Kind: metav1.GroupVersionKind{Group: group, Version: "v1", Kind: kind}, Resource: metav1.GroupVersionResource{Group: group, Version: "v1", Resource: plural},
		SubResource: sub, Operation: operation, Namespace: "team", Name: "x",
		UserInfo: authenticationv1.UserInfo{Username: "ann", UID: "7", Groups: []string{"a", "b"}},
	}
	for _, o := range []struct {
		text string
		raw  *runtime.RawExtension
	}{{object, &r.Object}, {old, &r.OldObject}} {
		if o.text != "" {
			o.raw.Raw = []byte(strings.NewReplacer("HEAD", `"apiVersion":"`+group+`/v1","kind":"`+kind+`","metadata":{"name":"x","namespace":"team"}`).Replace(o.text))
		}
	}
	return r
}

const (
	create = admissionv1.Create
	update = admissionv1.Update

	certificates = "cert-manager.io/certificates"
	requests     = "cert-manager.io/certificaterequests"
	challenges   = "acme.cert-manager.io/challenges"
)

func crJSON(t testing.TB, identity string) string {
	t.Helper()
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	csr, err := pki.BuildRequest(pki.Template{DNSNames: []string{"example.com"}, Usages: []string{"digital signature", "key encipherment"}}, key, pki.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	return `{HEAD,"spec":{"request":"` + base64.StdEncoding.EncodeToString(csr) + `","issuerRef":{"name":"ca"}` + identity + `}}`
}

const ann = `,"username":"ann","uid":"7","groups":["b","a"]`

func condition(conditions ...string) string {
	var all []string
	for _, c := range conditions {
		all = append(all, `{"type":"`+c+`","status":"True","reason":"r","message":"m","lastTransitionTime":"2026-11-26T00:00:00Z"}`)
	}
	return `,"status":{"conditions":[` + strings.Join(all, ",") + `]}`
}

func refused(code int32, reason metav1.StatusReason, message string, warnings ...string) admissionv1.AdmissionResponse {
	return admissionv1.AdmissionResponse{UID: "1", Result: &metav1.Status{Code: code, Reason: reason, Message: message}, Warnings: warnings}
}

func denied(message string) admissionv1.AdmissionResponse {
	return refused(http.StatusForbidden, metav1.StatusReasonForbidden, message)
}

func allowed(warnings ...string) admissionv1.AdmissionResponse {
	return admissionv1.AdmissionResponse{UID: "1", Allowed: true, Result: &metav1.Status{Code: http.StatusOK}, Warnings: warnings}
}

func as(user string, r admissionv1.AdmissionRequest) admissionv1.AdmissionRequest {
	r.UserInfo.Username = user
	return r
}

func with(r admissionv1.AdmissionRequest, change func(*admissionv1.AdmissionRequest)) admissionv1.AdmissionRequest {
	change(&r)
	return r
}

func TestValidate(t *testing.T) {
	cr := crJSON(t, ann)
	approved := func(conditions ...string) string {
		return strings.TrimSuffix(cr, "}") + condition(conditions...) + "}"
	}
	decide := func(user, object string) admissionv1.AdmissionRequest {
		return as(user, request(update, requests+"/status", "CertificateRequest", object, cr))
	}
	issuedBy := func(ref string) func(r *admissionv1.AdmissionRequest) {
		return func(r *admissionv1.AdmissionRequest) {
			for _, raw := range []*runtime.RawExtension{&r.Object, &r.OldObject} {
				raw.Raw = []byte(strings.Replace(string(raw.Raw), `{"name":"ca"}`, ref, 1))
			}
		}
	}
	const mayNot = `status.conditions: Forbidden: user "ann" does not have permissions to set approved/denied conditions for issuer `
	tests := map[string]struct {
		request admissionv1.AdmissionRequest
		want    admissionv1.AdmissionResponse
	}{
		"certificate": {request(create, certificates, "Certificate", `{HEAD,"spec":{"secretName":"s","dnsNames":["a.example"],"issuerRef":{"name":"ca"}}}`, ""), allowed()},
		"one error": {
			request(create, certificates, "Certificate", `{HEAD,"spec":{"secretName":"s","dnsNames":["a.example"],"issuerRef":{"name":"ca"},"otherNames":[{"oid":"BAD_OID","utf8Value":"x"}]}}`, ""),
			denied(`spec.otherNames[0].oid: Invalid value: "BAD_OID": invalid oid syntax`),
		},
		"several errors": {
			request(update, certificates, "Certificate", `{HEAD,"spec":{"secretName":"s","dnsNames":["a.example"],"issuerRef":{"name":""},"revisionHistoryLimit":0}}`, ""),
			denied(`[spec.issuerRef.name: Required value: must be specified, spec.revisionHistoryLimit: Invalid value: 0: must not be less than 1]`),
		},
		"a status is checked, too": {
			request(update, certificates+"/status", "Certificate", `{HEAD,"spec":{"secretName":"s","dnsNames":["a.example"],"issuerRef":{"name":""}}}`, ""),
			denied(`spec.issuerRef.name: Required value: must be specified`),
		},
		"issuer":         {request(create, "cert-manager.io/issuers", "Issuer", `{HEAD,"spec":{"selfSigned":{}}}`, ""), allowed()},
		"empty issuer":   {request(create, "cert-manager.io/issuers", "Issuer", `{HEAD,"spec":{}}`, ""), denied("spec: Required value: at least one issuer must be configured")},
		"cluster issuer": {request(update, "cert-manager.io/clusterissuers", "ClusterIssuer", `{HEAD,"spec":{}}`, ""), denied("spec: Required value: at least one issuer must be configured")},

		"request":                       {request(create, requests, "CertificateRequest", cr, ""), allowed()},
		"request, dry run":              {with(request(create, requests, "CertificateRequest", cr, ""), func(r *admissionv1.AdmissionRequest) { r.DryRun = new(bool); *r.DryRun = true }), allowed()},
		"request of somebody else":      {as("eve", request(create, requests, "CertificateRequest", cr, "")), denied("spec.username: Forbidden: username identity must be that of the requester")},
		"request that cannot be read":   {request(create, requests, "CertificateRequest", `{HEAD,"spec":{"issuerRef":{"name":"ca"}}}`, ""), denied("[spec.uid: Forbidden: uid identity must be that of the requester, spec.username: Forbidden: username identity must be that of the requester, spec.groups: Forbidden: groups identity must be that of the requester, spec.request: Required value: must be specified]")},
		"identity that changes":         {request(update, requests, "CertificateRequest", strings.Replace(cr, `"uid":"7"`, `"uid":"8"`, 1), cr), denied("[spec.uid: Forbidden: uid identity cannot be changed once set, spec: Forbidden: cannot change spec after creation]")},
		"status by somebody else":       {as("eve", request(update, requests+"/status", "CertificateRequest", cr, cr)), allowed()},
		"approval":                      {decide("all", approved("Approved")), allowed()},
		"approval of one issuer":        {decide("one", approved("Approved")), allowed()},
		"approval, name of an Issuer":   {decide("wrong", approved("Approved")), denied(strings.Replace(mayNot, "ann", "wrong", 1) + "{ca  }")},
		"approval without permission":   {decide("ann", approved("Denied")), denied(mayNot + "{ca  }")},
		"approval and denial":           {decide("ann", approved("Approved", "Denied")), denied("[" + mayNot + "{ca  }, status.conditions: Forbidden: both 'Denied' and 'Approved' conditions cannot coexist]")},
		"approval, cluster issuer":      {with(decide("cluster", approved("Approved")), issuedBy(`{"name":"ca","kind":"ClusterIssuer"}`)), allowed()},
		"approval, unknown kind":        {with(decide("all", approved("Approved")), issuedBy(`{"name":"ca","kind":"Widget","group":"acme.corp"}`)), denied("spec.issuerRef: Forbidden: referenced signer resource does not exist: {ca Widget acme.corp}")},
		"approval that stays":           {as("eve", request(update, requests+"/status", "CertificateRequest", approved("Approved"), approved("Approved"))), allowed()},
		"approval that is taken back":   {as("all", request(update, requests+"/status", "CertificateRequest", cr, approved("Approved"))), denied("status.conditions: Forbidden: 'Approved' condition may not be modified once set")},
		"approval not in a status":      {as("eve", request(update, requests, "CertificateRequest", approved("Approved"), cr)), allowed()},
		"challenge":                     {request(create, challenges, "Challenge", `{HEAD,"spec":{"token":"a"}}`, ""), allowed()},
		"challenge that changes":        {request(update, challenges, "Challenge", `{HEAD,"spec":{"token":"a"}}`, `{HEAD,"spec":{"token":"b"}}`), denied("spec: Forbidden: challenge spec is immutable after creation")},
		"order that changes":            {request(update, "acme.cert-manager.io/orders", "Order", `{HEAD,"spec":{"request":"YQ=="}}`, `{HEAD,"spec":{"request":"Yg=="}}`), denied("spec.request: Forbidden: field is immutable once set")},
		"order":                         {request(create, "acme.cert-manager.io/orders", "Order", `{HEAD,"spec":{}}`, ""), allowed()},
		"delete":                        {request(admissionv1.Delete, certificates, "Certificate", "", `{HEAD}`), allowed()},
		"connect":                       {request(admissionv1.Connect, certificates, "Certificate", "", ""), allowed()},
		"unknown operation":             {request("PATCH", certificates, "Certificate", "", ""), refused(http.StatusBadRequest, "", `unknown operation "PATCH"`)},
		"no operation":                  {admissionv1.AdmissionRequest{UID: "1"}, refused(http.StatusBadRequest, "", `unknown operation ""`)},
		"no resource":                   {admissionv1.AdmissionRequest{UID: "1", Operation: create}, denied("internal error: admission request Resource field is unset")},
		"unknown resource":              {request(create, "cert-manager.io/widgets", "Widget", `{"spec":1}`, ""), allowed()},
		"unknown subresource":           {request(update, certificates+"/scale", "Scale", `{"spec":1}`, ""), allowed()},
		"older version of the resource": {with(request(create, "cert-manager.io/issuers", "Issuer", `{HEAD,"spec":{}}`, ""), func(r *admissionv1.AdmissionRequest) { r.Resource.Version = "v1alpha2" }), denied("spec: Required value: at least one issuer must be configured")},
		"object of another kind":        {request(create, requests, "Issuer", `{HEAD,"spec":{}}`, ""), denied("internal error: object in admission request is not of type *certmanager.CertificateRequest")},
		"old object of another kind":    {request(update, requests, "CertificateRequest", cr, `{"apiVersion":"cert-manager.io/v1","kind":"Issuer"}`), denied("internal error: oldObject in admission request is not of type *certmanager.CertificateRequest")},
		"challenge of another kind":     {request(update, challenges, "Order", `{HEAD}`, `{HEAD}`), denied("internal error: object in admission request is not of type *acme.Challenge")},
		"no object":                     {request(create, certificates, "Certificate", "", ""), refused(http.StatusBadRequest, "", "object: there is no content to decode")},
		"wrong type":                    {request(create, certificates, "Certificate", `{HEAD,"spec":"x"}`, ""), refused(http.StatusBadRequest, "", "object: json: cannot unmarshal string into Go struct field Certificate.spec of type v1.CertificateSpec")},
		"no old object":                 {request(update, challenges, "Challenge", `{HEAD}`, ""), refused(http.StatusBadRequest, "", "oldObject: there is no content to decode")},
		"name that no issuer signs":     {request(create, certificates, "Certificate", `{HEAD,"spec":{"secretName":"s","dnsNames":["https://a.example"],"issuerRef":{"name":"ca"}}}`, ""), allowed(`spec.dnsNames[0]: Invalid value: "https://a.example": is not a DNS name, and clients will not accept the certificate for it: leave out the scheme and what follows the name, or put a URI into uris`)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v := &Validator{Gates: validation.DefaultGates, Limits: pki.DefaultLimits, Approval: theSigners()}
			hook := &admission.Webhook{Handler: v}
			got := hook.Handle(t.Context(), admission.Request{AdmissionRequest: test.request})
			if diff := cmp.Diff(test.want, got.AdmissionResponse); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestApprovalAsks holds which permissions are asked for, in which order, and that
// a kind that cannot be looked up refuses.
func TestApprovalAsks(t *testing.T) {
	cr := crJSON(t, ann)
	approve := request(update, requests+"/status", "CertificateRequest", strings.TrimSuffix(cr, "}")+condition("Approved")+"}", cr)
	s := theSigners()
	v := &Validator{Approval: s}
	v.Handle(t.Context(), admission.Request{AdmissionRequest: approve})
	if diff := cmp.Diff([]string{"issuers.cert-manager.io/*", "issuers.cert-manager.io/team.ca"}, s.asked); diff != "" {
		t.Errorf("asked -want +got:\n%s", diff)
	}
	s.err = errors.New("no route")
	s.kinds = nil
	got := v.Handle(t.Context(), admission.Request{AdmissionRequest: approve})
	if want := "internal error: find the issuer kind Issuer of group cert-manager.io: no route"; got.Result.Message != want || got.Allowed {
		t.Errorf("got %q, want %q", got.Result.Message, want)
	}
}

func TestMutate(t *testing.T) {
	const spec = `{HEAD,"spec":{"request":"YQ==","issuerRef":{"name":"ca"},"username":"root","groups":["system:masters"]}}`
	patched := func(patch string) admissionv1.AdmissionResponse {
		r := allowed()
		kind := admissionv1.PatchTypeJSONPatch
		r.Patch, r.PatchType = []byte(patch), &kind
		return r
	}
	const identity = `{"op":"add","path":"/spec/uid","value":"7"},{"op":"add","path":"/spec/username","value":"ann"},{"op":"add","path":"/spec/groups","value":["a","b"]}`
	extra := func(r *admissionv1.AdmissionRequest) {
		r.UserInfo.Extra = map[string]authenticationv1.ExtraValue{"scopes": {"x", "y"}}
	}
	tests := map[string]struct {
		request admissionv1.AdmissionRequest
		want    admissionv1.AdmissionResponse
	}{
		"identity":        {request(create, requests, "CertificateRequest", spec, ""), patched("[" + identity + "]")},
		"dry run":         {with(request(create, requests, "CertificateRequest", spec, ""), func(r *admissionv1.AdmissionRequest) { r.DryRun = new(bool); *r.DryRun = true }), patched("[" + identity + "]")},
		"extra":           {with(request(create, requests, "CertificateRequest", spec, ""), extra), patched("[" + identity + `,{"op":"add","path":"/spec/extra","value":{"scopes":["x","y"]}}]`)},
		"extra of a user": {request(create, requests, "CertificateRequest", strings.Replace(spec, `"username"`, `"extra":{"a":["b"]},"username"`, 1), ""), patched("[" + identity + `,{"op":"remove","path":"/spec/extra"}]`)},
		"nobody": {
			with(request(create, requests, "CertificateRequest", spec, ""), func(r *admissionv1.AdmissionRequest) { r.UserInfo = authenticationv1.UserInfo{} }),
			patched(`[{"op":"add","path":"/spec/uid","value":""},{"op":"add","path":"/spec/username","value":""},{"op":"add","path":"/spec/groups","value":[]}]`),
		},
		"no spec":             {request(create, requests, "CertificateRequest", `{HEAD}`, ""), patched(`[{"op":"add","path":"/spec","value":{}},` + identity + "]")},
		"field Spec":          {request(create, requests, "CertificateRequest", `{HEAD,"Spec":{"extra":{}}}`, ""), patched(`[{"op":"add","path":"/spec","value":{}},` + identity + "]")},
		"update":              {request(update, requests, "CertificateRequest", spec, spec), allowed()},
		"other resource":      {request(create, certificates, "Certificate", spec, ""), allowed()},
		"no resource":         {admissionv1.AdmissionRequest{UID: "1", Operation: create}, refused(http.StatusInternalServerError, "", "internal error: admission request Resource field is unset")},
		"other kind":          {request(create, requests, "Issuer", `{HEAD}`, ""), refused(http.StatusInternalServerError, "", "internal error: object in admission request is not of type *certmanager.CertificateRequest")},
		"malformed":           {request(create, requests, "CertificateRequest", `{HEAD,"spec":[]}`, ""), refused(http.StatusBadRequest, "", "object: json: cannot unmarshal array into Go struct field CertificateRequest.spec of type v1.CertificateRequestSpec")},
		"delete without body": {request(admissionv1.Delete, requests, "CertificateRequest", "", ""), allowed()},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			hook := &admission.Webhook{Handler: admission.HandlerFunc(Mutate)}
			got := hook.Handle(t.Context(), admission.Request{AdmissionRequest: test.request})
			if diff := cmp.Diff(test.want, got.AdmissionResponse); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// FuzzReview holds that no request makes the handlers panic, that answers carry the
// UID of the request, and that only objects that are created are changed.
func FuzzReview(f *testing.F) {
	for _, r := range []admissionv1.AdmissionRequest{
		request(create, requests, "CertificateRequest", `{HEAD,"spec":{"extra":{"a":null},"usages":["x"],"request":"YQ=="},"status":{"conditions":[{"type":"Approved"}]}}`, ""),
		request(update, requests+"/status", "CertificateRequest", `{HEAD,"spec":null,"status":{"conditions":[{"type":"Approved"}]}}`, `{HEAD}`),
		request(update, "acme.cert-manager.io/orders", "Order", `{HEAD,"status":{"authorizations":[{"challenges":[{}]}]}}`, `{HEAD,"status":{"authorizations":[{"wildcard":true,"challenges":[{}]}]}}`),
		request(create, "cert-manager.io/issuers", "Issuer", `{HEAD,"spec":{"acme":{"solvers":[{"dns01":{"rfc2136":{}}},{}]},"vault":{"auth":{}}}}`, ""),
		request(create, certificates, "Certificate", `{HEAD,"spec":{"literalSubject":"CN=\\#","renewal":{"windows":[{}]},"keystores":{"jks":{}},"nameConstraints":{"permitted":{}}}}`, ""),
	} {
		data, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	v := &Validator{Gates: validation.DefaultGates, Limits: pki.DefaultLimits, Approval: theSigners()}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r admissionv1.AdmissionRequest
		if json.Unmarshal(data, &r) != nil {
			return
		}
		no := false
		for _, handler := range []admission.Handler{v, admission.HandlerFunc(Mutate)} {
			hook := &admission.Webhook{Handler: handler, RecoverPanic: &no}
			got := hook.Handle(t.Context(), admission.Request{AdmissionRequest: r})
			if got.UID != r.UID || got.Result == nil || (got.Result.Code == http.StatusOK) != got.Allowed {
				t.Errorf("%+v", got)
			}
			if got.Patch != nil && (!got.Allowed || r.Operation != create) {
				t.Errorf("a patch for %s, allowed %t", r.Operation, got.Allowed)
			}
		}
	})
}
