package operator

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
)

// A start that cannot succeed says what to do: without an API server, without CRDs,
// and with only some of them.
func TestStartSaysWhatIsMissing(t *testing.T) {
	const group = `{"kind": "APIGroup", "apiVersion": "v1", "name": "cert-manager.io", "versions": [{"groupVersion": "cert-manager.io/v1", "version": "v1"}]}`
	const issuers = `{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "cert-manager.io/v1", "resources": [{"name": "issuers", "kind": "Issuer", "namespaced": true}]}`
	const install = "install the CRDs: set crds.enabled=true in the values of the chart"
	for name, test := range map[string]struct {
		answers map[string]string
		want    string
	}{
		"no server": {nil, "cannot reach the API server: "},
		"no CRDs":   {map[string]string{"/apis": `{"kind": "APIGroupList", "apiVersion": "v1", "groups": [{"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}]}]}`}, install},
		"a part of the CRDs": {map[string]string{
			"/apis": `{"kind": "APIGroupList", "apiVersion": "v1", "groups": [` + group + `]}`, "/apis/cert-manager.io": group, "/apis/cert-manager.io/v1": issuers,
		}, install},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				answer, ok := test.answers[r.URL.Path]
				if !ok {
					w.WriteHeader(http.StatusNotFound)
					answer = `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}`
				}
				_, _ = io.WriteString(w, answer)
			}))
			defer server.Close()
			if test.answers == nil {
				server.Close()
			}
			o := Defaults()
			o.LeaderElection.Enabled = false
			o.MetricsListenAddress, o.HealthzListenAddress = "0", "0"
			o.RecursiveNameservers = []string{"127.0.0.1:53"}
			err := Run(t.Context(), &rest.Config{Host: server.URL}, o, logr.Discard())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}
