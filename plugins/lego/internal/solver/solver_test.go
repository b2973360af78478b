package solver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
	"github.com/everleaf/everleaf/plugins/lego/internal/process"
	"github.com/everleaf/everleaf/solverwebhook/solvertest"
	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/named"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == process.Argument {
		os.Exit(process.Main(os.Args[2]))
	}
	os.Exit(m.Run())
}

func newSolver(t *testing.T, secrets ...*corev1.Secret) *Solver {
	t.Helper()
	client := fake.NewClientset()
	for _, secret := range secrets {
		if err := client.Tracker().Add(secret); err != nil {
			t.Fatal(err)
		}
	}
	s := &Solver{}
	if err := s.set(client); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.pool.Close)
	return s
}

func secret(namespace, name, key, value string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string][]byte{key: []byte(value)}}
}

// rfc2136 is the configuration for a name server.
func rfc2136(address string, key named.Key) string {
	return fmt.Sprintf(`{
		"provider": "rfc2136",
		"env": {"RFC2136_NAMESERVER": %q, "RFC2136_TSIG_KEY": %q, "RFC2136_TSIG_ALGORITHM": "%s.", "RFC2136_TTL": 60},
		"secretRefs": [{"env": "RFC2136_TSIG_SECRET", "name": "tsig", "key": "secret"}]
	}`, address, key.Name, key.Algorithm)
}

// TestBIND runs the conformance test against a real name server.
func TestBIND(t *testing.T) {
	address, err := child.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	key, err := named.NewKey(t.Context(), "lego", "hmac-sha256")
	if err != nil {
		child.Missing(t, "%v", err)
	}
	named.Start(t, named.Options{
		Listen: []string{address}, Keys: []named.Key{key},
		Zones: []named.Zone{{Name: "example.com", Text: named.ZoneText("example.com", 60, []string{"ns.invalid."}), AllowUpdate: `key "lego";`}},
	})
	solvertest.Run(t, newSolver(t, secret("team", "tsig", "secret", key.Secret+"\n")), solvertest.Options{
		Zone: "example.com.", Nameserver: address, Config: rfc2136(address, key), Namespace: "team", Secrets: []string{key.Secret},
		// This provider of lego removes other values when it writes one.
		OneValue: true,
	})
}

func TestRequests(t *testing.T) {
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := struct{ FQDN, Value string }{}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		user, password, _ := r.BasicAuth()
		got = append(got, strings.Join([]string{r.URL.Path, user, password, body.FQDN, body.Value}, " "))
	}))
	defer server.Close()
	s := newSolver(t, secret("team", "api", "password", "s3cr3t"), secret("other", "theirs", "password", "0th3r"), secret("team", "empty", "password", "\n"))
	request := func(action v1alpha1.ChallengeAction, config string) *v1alpha1.ChallengeRequest {
		return &v1alpha1.ChallengeRequest{
			Action: action, Type: "dns-01", DNSName: "www.example.com", Key: "digest", ResourceNamespace: "team",
			ResolvedFQDN: "www.acme.example.net.", ResolvedZone: "example.net.", Config: &apiextensionsv1.JSON{Raw: []byte(config)},
		}
	}
	config := fmt.Sprintf(`{"provider": "httpreq", "env": {"HTTPREQ_ENDPOINT": %q, "HTTPREQ_USERNAME": "u"}, "secretRefs": [{"env": "HTTPREQ_PASSWORD", "name": "api", "key": "password"}]}`, server.URL)
	if err := s.Present(t.Context(), request(v1alpha1.ChallengeActionPresent, config)); err != nil {
		t.Fatal(err)
	}
	// As after a restart of the plugin.
	s.pool.Close()
	if err := s.CleanUp(t.Context(), request(v1alpha1.ChallengeActionCleanUp, config)); err != nil {
		t.Fatal(err)
	}
	want := []string{"/present u s3cr3t www.acme.example.net. digest", "/cleanup u s3cr3t www.acme.example.net. digest"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, c := range map[string]struct{ config, want string }{
		"another namespace": {strings.Replace(config, `"api"`, `"theirs"`, 1), "config.secretRefs, HTTPREQ_PASSWORD: Secret team/theirs does not exist; create it in this namespace"},
		"an empty entry":    {strings.Replace(config, `"api"`, `"empty"`, 1), `config.secretRefs, HTTPREQ_PASSWORD: Secret team/empty, key "password": the value is empty`},
		"a missing key":     {strings.Replace(config, `"key": "password"`, `"key": "pw"`, 1), `config.secretRefs, HTTPREQ_PASSWORD: Secret team/api has no key "pw"; it has: password`},
		"a namespace":       {strings.Replace(config, `"name": "api"`, `"namespace": "other", "name": "theirs"`, 1), `unknown field "secretRefs[0].namespace"`},
		"no variables":      {`{"provider": "httpreq"}`, "provider httpreq lacks HTTPREQ_ENDPOINT: set them in config.env of the issuer"},
	} {
		err := s.Present(t.Context(), request(v1alpha1.ChallengeActionPresent, c.config))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// What is in the plugin's environment is not for issuers.
func TestBase(t *testing.T) {
	got := base([]string{"PATH=/bin", "AWS_SECRET_ACCESS_KEY=s", "HTTPS_PROXY=p", "KUBERNETES_SERVICE_HOST=h", "GROUP_NAME=g", "HTTPREQ_ENDPOINT=e"})
	want := []string{"AWS_EC2_METADATA_DISABLED=true", "GCE_METADATA_HOST=metadata.invalid", "PATH=/bin", "HTTPS_PROXY=p"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
