package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/solver/dns01/rfc2136"
	"github.com/everleaf/everleaf/test/harness"
)

// foreignSolver is a solver webhook as those that exist behave, behind the API
// server's aggregation layer. It writes to a name server.
type foreignSolver struct {
	group, name string
	provider    dns01.Provider

	mu sync.Mutex
	// users are those who have asked, as the API server says; asked is what for.
	users map[string]bool
	asked []v1alpha1.ChallengeRequest
}

func newForeignSolver(group, name string, provider dns01.Provider) *foreignSolver {
	return &foreignSolver{group: group, name: name, provider: provider, users: map[string]bool{}}
}

// start serves the solver until the test ends, and returns its port on this host.
func (s *foreignSolver) start(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(s)
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// service makes the API server pass requests on to the solver. The Service has the name of
// this host instead of pods.
func (s *foreignSolver) service(ns, port string) string {
	return strings.NewReplacer("GROUP", s.group, "NS", ns, "PORT", port).Replace(`
apiVersion: v1
kind: Service
metadata: {name: solver}
spec: {type: ExternalName, externalName: localhost}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1alpha1.GROUP}
spec:
  group: GROUP
  version: v1alpha1
  groupPriorityMinimum: 1000
  versionPriority: 15
  insecureSkipTLSVerify: true
  service: {name: solver, namespace: NS, port: PORT}
`)
}

// role lets the controllers ask the solver.
func (s *foreignSolver) role(ns string) string {
	return strings.NewReplacer("GROUP", s.group, "SOLVER", s.name, "NS", ns, "USER", local.ControllerUser).Replace(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: solver-NS}
rules: [{apiGroups: [GROUP], resources: [SOLVER], verbs: [create]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: solver-NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: solver-NS}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "USER"}]
`)
}

// ServeHTTP implements http.Handler.
func (s *foreignSolver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	version := s.group + "/v1alpha1"
	w.Header().Set("Content-Type", "application/json")
	switch r.Method + " " + r.URL.Path {
	case "GET /apis/" + version:
		_ = json.NewEncoder(w).Encode(metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: version,
			APIResources: []metav1.APIResource{{Name: s.name, SingularName: s.name, Kind: v1alpha1.ChallengePayloadKind, Verbs: metav1.Verbs{"create"}}},
		})
	case "POST /apis/" + version + "/" + s.name:
		payload := v1alpha1.ChallengePayload{}
		if err := json.NewDecoder(r.Body).Decode(&payload); err != nil || payload.Request == nil {
			http.Error(w, "no request", http.StatusBadRequest)
			return
		}
		payload.Response = s.solve(r, payload.Request)
		payload.Request = nil
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(payload)
	default:
		http.NotFound(w, r)
	}
}

func (s *foreignSolver) solve(r *http.Request, request *v1alpha1.ChallengeRequest) *v1alpha1.ChallengeResponse {
	s.mu.Lock()
	s.users[r.Header.Get("X-Remote-User")] = true
	s.asked = append(s.asked, *request)
	s.mu.Unlock()
	call := s.provider.Present
	if request.Action == v1alpha1.ChallengeActionCleanUp {
		call = s.provider.CleanUp
	}
	err := call(r.Context(), dns01.Record{FQDN: request.ResolvedFQDN, Value: request.Key})
	response := &v1alpha1.ChallengeResponse{UID: request.UID, Success: err == nil}
	if err != nil {
		response.Result = &metav1.Status{Status: metav1.StatusFailure, Message: err.Error()}
	}
	return response
}

// A solver webhook that is not installed, may not be asked, fails, and then works: the
// Challenge says each of them, and the certificate is issued.
func TestSolverWebhook(t *testing.T) {
	f := newFaultLab(t, harness.QuickOptions{}, nil)
	provider, err := rfc2136.New(rfc2136.Config{
		Nameserver: f.quick.DNS.Addr(), TSIGKeyName: f.quick.Key.Name, TSIGAlgorithm: "HMACSHA256", TSIGSecret: f.quick.Key.Secret,
	})
	if err != nil {
		t.Fatal(err)
	}
	solver := newForeignSolver("acme."+f.ns+".example", "sakuracloud", provider)
	port := solver.start(t)
	f.Apply(t, f.ns, harness.IssuerManifest("acme", f.quick.CA,
		fmt.Sprintf("{dns01: {webhook: {groupName: %s, solverName: sakuracloud, config: {apiTokenSecretRef: {name: sacloud-api, key: token}}}}}", solver.group)))
	f.Apply(t, f.ns, harness.CertificateManifest("by-webhook", "acme", "by-webhook.example.com", "*.by-webhook.example.com"))
	f.WaitingFor(t, f.ns, "by-webhook", patience, "the API server has no APIService v1alpha1."+solver.group)

	f.Apply(t, f.ns, solver.service(f.ns, port))
	f.WaitingFor(t, f.ns, "by-webhook", 2*patience, `may not be asked`, `a ClusterRole must allow "create" on resource "sakuracloud" in API group "`+solver.group)

	f.Apply(t, f.ns, solver.role(f.ns))
	f.Ready(t, f.ns, "by-webhook", 2*patience)
	harness.Eventually(t, patience, func() error {
		if left := f.quick.DNS.Records("_acme-challenge.by-webhook.example.com."); len(left) > 0 {
			return fmt.Errorf("records are left: %q", left)
		}
		return nil
	})
	solver.mu.Lock()
	defer solver.mu.Unlock()
	if !solver.users[local.ControllerUser] || len(solver.users) != 1 {
		t.Errorf("asked by %v", solver.users)
	}
	first := solver.asked[0]
	if first.ResourceNamespace != f.ns || first.ResolvedZone != "example.com." || first.AllowAmbientCredentials ||
		string(first.Config.Raw) != `{"apiTokenSecretRef":{"key":"token","name":"sacloud-api"}}` || first.DNSName != "by-webhook.example.com" {
		t.Errorf("asked for %+v with %s", first, first.Config.Raw)
	}
}
