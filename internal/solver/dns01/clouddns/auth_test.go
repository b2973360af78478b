package clouddns

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

type secrets map[string]map[string][]byte

func (s secrets) Read(_ context.Context, namespace, name string) (map[string][]byte, error) {
	return s[namespace+"/"+name], nil
}

type spec = acmev1.ACMEIssuerDNS01ProviderCloudDNS

func refTo(name, key string) *cmmeta.SecretKeySelector {
	return &cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: name}, Key: key}
}

// without returns a key without a field.
func without(field string) []byte {
	var key map[string]string
	_ = json.Unmarshal(keyJSON("dns", rsaKeys()[0]), &key)
	delete(key, field)
	text, _ := json.Marshal(key)
	return text
}

func deps(v *vendor) dns01.Deps {
	key := keyJSON("dns", rsaKeys()[0])
	var parsed struct {
		PrivateKey string `json:"private_key"`
	}
	_ = json.Unmarshal(key, &parsed)
	return dns01.Deps{Namespace: "ns", HTTP: v.client(), Secrets: secrets{"ns/google": {
		"key.json": key, "bom": append([]byte("\ufeff"), key...), "newline": append(key, '\n'),
		"pem": []byte(parsed.PrivateKey), "base64": []byte(base64.StdEncoding.EncodeToString(key)), "empty": {}, "object": []byte("{}"),
		"user": []byte(`{"type":"authorized_user","refresh_token":"secret"}`), "external": []byte(`{"type":"external_account","token_url":"https://attacker.example"}`),
		"no email": without("client_email"), "no key": without("private_key"), "text": []byte("secret"),
		"bad key": []byte(strings.ReplaceAll(string(key), "BEGIN PRIVATE KEY", "START")), "bad DER": []byte(strings.ReplaceAll(string(key), "-----\\nMI", "-----\\nAA")),
		"long key": []byte(strings.ReplaceAll(string(key), "-----BEGIN", strings.Repeat(" ", 13000)+"-----BEGIN")),
	}}}
}

func present(t *testing.T, d dns01.Deps, s spec) error {
	t.Helper()
	p, err := Factory().New(t.Context(), d, &dns01.Spec{CloudDNS: &s})
	if err != nil {
		return err
	}
	return p.Present(t.Context(), record)
}

func TestSpec(t *testing.T) {
	const prefix = "error instantiating google clouddns challenge solver: unable to construct clouddns provider: "
	const empty = prefix + "empty credentials; perhaps you meant to enable ambient credentials? The issuer may not use those of the environment: " +
		"set serviceAccountSecretRef, or the option --issuer-ambient-credentials for Issuers, --cluster-issuer-ambient-credentials for ClusterIssuers"
	not := func(key, why string) string {
		return fmt.Sprintf("%skey %q of Secret ns/google is not the JSON key of a service account (%s)", prefix, key, why)
	}
	for name, test := range map[string]struct {
		spec spec
		want string
	}{
		"key":         {spec{Project: project, ServiceAccount: refTo("google", "key.json")}, ""},
		"BOM":         {spec{Project: project, ServiceAccount: refTo("google", "bom")}, ""},
		"newline":     {spec{Project: project, ServiceAccount: refTo("google", "newline")}, ""},
		"nothing":     {spec{Project: project}, empty},
		"no name":     {spec{Project: project, ServiceAccount: refTo("", "")}, empty},
		"no Secret":   {spec{Project: project, ServiceAccount: refTo("other", "key.json")}, "error getting clouddns service account: the secret ns/other does not exist"},
		"no entry":    {spec{Project: project, ServiceAccount: refTo("google", "k")}, `specified key "k" not found in secret ns/google`},
		"empty entry": {spec{Project: project, ServiceAccount: refTo("google", "empty")}, `specified key "empty" not found in secret ns/google`},
		"project":     {spec{Project: "my/project", ServiceAccount: refTo("google", "key.json")}, prefix + `project "my/project" is not the id of a project`},
		"DNS name":    {spec{Project: project, HostedZoneName: "example.com", ServiceAccount: refTo("google", "key.json")}, prefix + `hostedZoneName "example.com" is not the name of a managed zone, such as example-com; it is not the zone's DNS name`},
		"PEM":         {spec{Project: project, ServiceAccount: refTo("google", "pem")}, not("pem", `it begins with "-----BEGIN": a bare private key?`)},
		"base64":      {spec{Project: project, ServiceAccount: refTo("google", "base64")}, not("base64", "it is base64 of JSON: put the JSON under stringData, or encode it once under data")},
		"text":        {spec{Project: project, ServiceAccount: refTo("google", "text")}, not("text", "it is not JSON")},
		"object":      {spec{Project: project, ServiceAccount: refTo("google", "object")}, not("object", "its type is not service_account")},
		"user":        {spec{Project: project, ServiceAccount: refTo("google", "user")}, not("user", "its type is authorized_user: the credentials of a user")},
		"external":    {spec{Project: project, ServiceAccount: refTo("google", "external")}, not("external", "its type is external_account: a configuration of workload identity federation")},
		"no email":    {spec{Project: project, ServiceAccount: refTo("google", "no email")}, not("no email", "it has no client_email")},
		"no key":      {spec{Project: project, ServiceAccount: refTo("google", "no key")}, not("no key", "it has no private_key")},
		"bad key":     {spec{Project: project, ServiceAccount: refTo("google", "bad key")}, not("bad key", "its private_key is not PEM")},
		"long key":    {spec{Project: project, ServiceAccount: refTo("google", "long key")}, not("long key", "its private_key has more than 13000 bytes")},
		"bad DER":     {spec{Project: project, ServiceAccount: refTo("google", "bad DER")}, not("bad DER", "its private_key cannot be read")},
	} {
		t.Run(name, func(t *testing.T) {
			// The issuer may not use these credentials.
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "testdata/none.json")
			v := newVendor(t)
			err := present(t, deps(v), test.spec)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			failsWith(t, err, fault.User, test.want)
			if len(v.seen) > 0 {
				t.Errorf("requests: %q", v.seen)
			}
		})
	}
}

// TestSharedToken holds that equal credentials share a token, and others do not.
func TestSharedToken(t *testing.T) {
	v := newVendor(t)
	d, f := deps(v), Factory()
	d.Secrets.(secrets)["ns/google"]["reader"] = keyJSON("reader", rsaKeys()[0])
	for i, key := range []string{"key.json", "key.json", "reader"} {
		var wg sync.WaitGroup
		for range 4 {
			p, err := f.New(t.Context(), d, &dns01.Spec{CloudDNS: &spec{Project: project, ServiceAccount: refTo("google", key)}})
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				if _, err := p.Zone(context.Background(), fqdn); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if want := []int{1, 1, 2}[i]; len(v.tokens) != want {
			t.Errorf("%d: %d tokens, want %d", i, len(v.tokens), want)
		}
	}
}

// TestRevokedToken holds that a token that Google refuses is not used again.
func TestRevokedToken(t *testing.T) {
	v := newVendor(t)
	p := provider(t, keyConfig(v, keyJSON("dns", rsaKeys()[0])))
	if err := p.Present(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	clear(v.tokens)
	v.tokens["other"] = "other"
	failsWith(t, p.CleanUp(t.Context(), record), fault.User,
		`the Cloud DNS API answered HTTP 401 (authError: Invalid Credentials) to reading the TXT record at _acme-challenge.example.com. in the managed zone example-com; check the service account "dns@my-project-123.iam.gserviceaccount.com"`)
	if err := p.CleanUp(t.Context(), record); err != nil {
		t.Error(err)
	}
}

func TestTokenRefusals(t *testing.T) {
	const request = ` to the request of the service account "dns@my-project-123.iam.gserviceaccount.com" for an access token`
	answer := func(status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	for name, test := range map[string]struct {
		fail  func(http.ResponseWriter, *http.Request) bool
		class fault.Class
		want  string
	}{
		"deleted key": {
			answer(400, `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`), fault.User,
			"Google answered HTTP 400 (invalid_grant: Invalid JWT Signature; the key or the account has been deleted or disabled, or the key is another account's: create a new key)" + request,
		},
		"clock": {
			answer(400, `{"error":"invalid_grant","error_description":"Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."}`), fault.User,
			"Google answered HTTP 400 (invalid_grant: Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.; the clock of this machine is wrong: set it by NTP)" + request,
		},
		"disabled": {
			answer(401, `{"error":"invalid_client","error_description":"The OAuth client was not found."}`), fault.User,
			"Google answered HTTP 401 (invalid_client: The OAuth client was not found.)" + request + "; check that the account exists and is enabled",
		},
		"a proxy's page": {answer(502, "<html>secret</html>"), fault.Transient, "Google answered HTTP 502" + request},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t)
			v.fail = test.fail
			failsWith(t, provider(t, keyConfig(v, keyJSON("dns", rsaKeys()[0]))).Present(t.Context(), record), test.class, test.want)
		})
	}
	refusing := roundTripper(func(*http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded })
	c := keyConfig(newVendor(t), keyJSON("dns", rsaKeys()[0]))
	c.HTTP = refusing
	failsWith(t, provider(t, c).Present(t.Context(), record), fault.Transient,
		`cannot reach Google for the request of the service account "dns@my-project-123.iam.gserviceaccount.com" for an access token: no answer in time`)
}

func TestAmbient(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.json")
	// The file is the operator's, so that its token_uri counts.
	key := strings.ReplaceAll(string(keyJSON("dns", rsaKeys()[0])), "https://attacker.example/token", "https://oauth2.googleapis.com/token")
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	v := newVendor(t)
	v.tokens["metadata-token"] = email("dns")
	// https://cloud.google.com/compute/docs/access/authenticate-workloads#applications
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		if r.URL.Path == "/computeMetadata/v1/instance/service-accounts/default/token" && r.Header.Get("Metadata-Flavor") == "Google" {
			_, _ = w.Write([]byte(`{"access_token":"metadata-token","expires_in":3599,"token_type":"Bearer"}`))
		}
	}))
	defer metadata.Close()
	const missing = "no Google credentials in the environment: neither the file of GOOGLE_APPLICATION_CREDENTIALS nor the machine's metadata gives any; set serviceAccountSecretRef, or let the controller's pod have an identity (Workload Identity Federation for GKE)"
	for name, test := range map[string]struct {
		variables map[string]string
		want      string
	}{
		"file":     {map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": file}, ""},
		"metadata": {map[string]string{"GCE_METADATA_HOST": strings.TrimPrefix(metadata.URL, "http://")}, ""},
		"no file":  {map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": file + "x"}, missing},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST"} {
				t.Setenv(variable, test.variables[variable])
			}
			t.Setenv("HOME", t.TempDir())
			d := deps(v)
			d.Ambient = true
			err := present(t, d, spec{Project: project})
			if test.want != "" {
				failsWith(t, err, fault.Transient, test.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		spec spec
		want []string
	}{
		"ambient":    {spec{Project: project}, nil},
		"key":        {spec{Project: project, ServiceAccount: refTo("google", "key.json")}, nil},
		"no project": {spec{}, []string{"dns01.cloudDNS.project: Required value: project is required"}},
		"no name":    {spec{Project: project, ServiceAccount: refTo("", "k")}, []string{"dns01.cloudDNS.serviceAccountSecretRef.name: Required value: secret name is required"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, err := range Factory().Check(field.NewPath("dns01"), &dns01.Spec{CloudDNS: &test.spec}) {
				got = append(got, err.Error())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
