package integration

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/venafi"
)

// venafiServices has a server answer instead of the vendor's services.
type venafiServices struct {
	server *venafi.Server
	client http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (s venafiServices) RoundTrip(req *http.Request) (*http.Response, error) {
	switch req.URL.Host {
	case "api.venafi.cloud", "api.strata.paloaltonetworks.com", "auth.apps.paloaltonetworks.com":
		to, err := url.Parse(s.server.URL)
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.URL.Host, req.Host = to.Host, ""
	}
	return s.client.RoundTrip(req)
}

// TestVenafiPage does what the documentation says: each of its Issuers, and one with the
// access token, has a certificate issued.
func TestVenafiPage(t *testing.T) {
	server := venafi.New(t)
	l := newLab(t, harness.Controllers{Options: func(o *operator.Options) {
		o.VendorHTTP = venafiServices{server: server, client: server.Client()}
	}})
	p := newPage(t, l, "issuers/venafi.md")
	const command = "kubectl -n default create secret generic tpp-ca --from-file=ca.crt=ca.pem"
	if !strings.Contains(p.text, "\n    "+command+"\n") {
		t.Fatalf("the page has no command %q", command)
	}
	p.writes(t, "ca.pem", server.CA)
	p.replaces = map[string]string{
		"https://tpp.example.com/vedsdk": server.URL + "/vedsdk",
		"namespace: default":             "namespace: " + l.ns,
		"-n default ":                    "-n " + l.ns + " ",
		`Kubernetes\Web`:                 `Kube\web`,
		`Shop App\Default`:               `Shop App\Default Tmpl`,
		"paste-the-token-here":           venafi.Token,
		"paste-the-password-here":        venafi.Password,
		"paste-the-key-here":             venafi.APIKey,
		"paste-the-id-here":              venafi.NGTSClient,
		"paste-the-secret-here":          venafi.NGTSSecret,
	}
	p.run(t, command)
	var issuers []string
	for _, object := range p.objects(t) {
		p.applies(t, object)
		if object.GetKind() == cmv1.IssuerKind {
			issuers = append(issuers, object.GetName())
		}
		if object.GetName() != "example-tpp" {
			continue
		}
		object.SetName("example-tpp-token")
		if err := unstructured.SetNestedField(object.Object, "tpp-token", "spec", "venafi", "tpp", "credentialsRef", "name"); err != nil {
			t.Fatal(err)
		}
		p.applies(t, object)
		issuers = append(issuers, object.GetName())
	}
	if want := []string{"example-tpp", "example-tpp-token", "example-saas", "example-ngts"}; !slices.Equal(issuers, want) {
		t.Fatalf("the page has the Issuers %q, want %q", issuers, want)
	}
	for _, issuer := range issuers {
		l.says(t, issuer, cmmeta.ConditionTrue, "Certificate Manager issuer started", "Certificate Manager issuer started")
	}
	p.showsIssuer(t)
	p.issues(t, "example-web", issuers)
	if !slices.ContainsFunc(server.Calls(), func(c venafi.Call) bool {
		return strings.HasSuffix(c.Path, "/certificates/request") && strings.Contains(c.Body, `"CustomFields":[{"Name":"Cost center","Values":["4711"]}]`)
	}) {
		t.Error("no request has had the custom field of the page")
	}
}
