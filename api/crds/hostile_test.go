package crds

import (
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// decoder returns what controllers decode objects with. If strict, it refuses
// fields that the types do not have.
func decoder(t testing.TB, strict bool) runtime.Decoder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{cmv1.AddToScheme, acmev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	if strict {
		return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	}
	return serializer.NewCodecFactory(scheme).UniversalDeserializer()
}

// TestAdmittedDecodes holds that what the API server admits can be decoded.
// Otherwise a user of one namespace could stop the controllers for all, because
// a list fails if one of its objects cannot be decoded.
func TestAdmittedDecodes(t *testing.T) {
	certificate := func(field string) string {
		return `{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: a},
			spec: {secretName: a, commonName: a, issuerRef: {name: a}, ` + field + `}}`
	}
	status := func(field string) string {
		return strings.TrimSuffix(certificate(""), "}") + `, status: {` + field + `}}`
	}
	request := func(field string) string {
		return `{apiVersion: cert-manager.io/v1, kind: CertificateRequest, metadata: {name: a},
			spec: {issuerRef: {name: a}, ` + field + `}}`
	}
	issuer := func(solver string) string {
		return `{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: a},
			spec: {acme: {server: a, privateKeySecretRef: {name: a}, solvers: [{` + solver + `}]}}}`
	}
	pod := func(field string) string {
		return issuer(`http01: {ingress: {podTemplate: {spec: {` + field + `}}}}`)
	}
	tests := map[string]struct {
		object   string
		admitted bool
	}{
		"whole float":                {certificate(`privateKey: {size: 2048.0}`), true},
		"huge float":                 {certificate(`privateKey: {algorithm: Ed25519, size: 1e30}`), false},
		"beyond int64":               {certificate(`privateKey: {algorithm: Ed25519, size: 99999999999999999999}`), false},
		"beyond int32":               {certificate(`revisionHistoryLimit: 99999999999`), false},
		"percentage beyond int32":    {certificate(`renewBeforePercentage: 99999999999`), false},
		"negative percentage":        {certificate(`renewBeforePercentage: -5`), true},
		"duration in days":           {certificate(`duration: 90d`), false},
		"empty duration":             {certificate(`duration: ""`), false},
		"duration out of range":      {certificate(`duration: 9999999999h`), false},
		"duration with a space":      {certificate(`duration: " 90h"`), false},
		"fractional duration":        {certificate(`duration: 1.5h`), true},
		"renewBefore in days":        {certificate(`renewBefore: 3d`), false},
		"window out of range":        {certificate(`renewal: {windows: [{cron: "@daily", windowDuration: 9999999999h}]}`), false},
		"window":                     {certificate(`renewal: {windows: [{cron: "@daily", windowDuration: 1.5h}]}`), true},
		"request duration in days":   {request(`request: YQ==, duration: 90d`), false},
		"request without padding":    {request(`request: YQ`), false},
		"request with a space":       {request(`request: " YQ=="`), false},
		"request in base64url":       {request(`request: _-==`), false},
		"request with trailing bits": {request(`request: YR==`), true},
		"wait in days":               {issuer(`http01: {ingress: {}}, waitInsteadOfSelfCheck: 1d`), false},
		"quantity":                   {pod(`resources: {limits: {cpu: 1e3}}`), true},
		"quantity as a number":       {pod(`resources: {limits: {cpu: 99999999999}}`), true},
		"quantity as a fraction":     {pod(`resources: {limits: {cpu: 1.5}}`), false},
		"quantity no parser takes":   {pod(`resources: {limits: {cpu: "1e1.5"}}`), true},
		"user beyond int64":          {pod(`securityContext: {runAsUser: 99999999999999999999}`), false},
		"time":                       {status(`notAfter: "2020-01-01T00:00:00Z"`), true},
		"time with nanoseconds":      {status(`notAfter: "2020-01-01T00:00:00.123456789+01:00"`), true},
		"lower-case time":            {status(`notAfter: "2020-01-01t00:00:00z"`), false},
		"offset out of range":        {status(`lastFailureTime: "2020-01-01T00:00:00+99:99"`), false},
		"time in a condition":        {status(`conditions: [{type: A, status: "True", lastTransitionTime: "2020-01-01t00:00:00z"}]`), false},
		"time in ARI":                {status(`acme: {ari: {suggestedWindow: {start: "2020-01-01t00:00:00z", end: "2020-01-01T00:00:00Z"}}}`), false},
	}
	kinds := admissions(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			object := parse(t, test.object)
			errs := kinds[object["kind"].(string)].create(t, object)
			if got := len(errs) == 0; got != test.admitted {
				t.Fatalf("admitted: %v, want %v; errors: %v", got, test.admitted, describe(errs))
			}
			if len(errs) > 0 {
				return
			}
			data, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := decoder(t, true).Decode(data, nil, nil); err != nil {
				t.Errorf("admitted, but cannot be decoded: %v", err)
			}
		})
	}
}

// FuzzAdmittedDecodes looks for objects of any kind for which the same does not
// hold.
func FuzzAdmittedDecodes(f *testing.F) {
	for _, object := range recordedObjects(f) {
		data, err := json.Marshal(object)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	kinds := admissions(f)
	decoder := decoder(f, false)
	f.Fuzz(func(t *testing.T, data []byte) {
		object := map[string]any{}
		if err := utiljson.Unmarshal(data, &object); err != nil {
			t.Skip()
		}
		name, _ := object["kind"].(string)
		kind, known := kinds[name]
		version, _ := object["apiVersion"].(string)
		if !known || !strings.HasSuffix(version, "cert-manager.io/v1") {
			t.Skip()
		}
		// The API server reads metadata by its own types.
		object["metadata"] = map[string]any{"name": "a"}
		object, _ = kind.prepare(object)
		if len(kind.admit(t.Context(), object)) > 0 {
			return
		}
		stored, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := decoder.Decode(stored, nil, nil); err != nil && !runtime.IsNotRegisteredError(err) {
			t.Errorf("admitted, but cannot be decoded: %v\n%s", err, stored)
		}
	})
}
