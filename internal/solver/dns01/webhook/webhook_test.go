package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

const (
	group = "acme.example.org"
	path  = "/apis/acme.example.org/v1alpha1"
)

var now = time.Date(2026, 11, 26, 11, 0, 0, 0, time.UTC)

// apiServer answers as an API server does that passes requests on to a solver.
type apiServer struct {
	answers map[string]answer
	// asked are the requests, by method and path, body their last body.
	asked []string
	body  []byte
}

type answer struct {
	status int
	body   string
	err    error
}

func (s *apiServer) ServiceAccountToken(context.Context, string, string, []string, time.Duration) (string, error) {
	return "", errors.New("no tokens here")
}

func (s *apiServer) Ask(_ context.Context, method, path string, body []byte) ([]byte, int, error) {
	s.asked = append(s.asked, method+" "+path)
	if body != nil {
		s.body = body
	}
	a, ok := s.answers[method+" "+path]
	if !ok {
		return []byte(`{"kind":"Status","status":"Failure","message":"the server could not find the requested resource","reason":"NotFound","code":404}`), http.StatusNotFound, nil
	}
	return []byte(a.body), a.status, a.err
}

func provider(t *testing.T, s *apiServer) dns01.Provider {
	t.Helper()
	p, err := Factory().New(t.Context(), dns01.Deps{
		Namespace: "team", Ambient: true, Cluster: s, Clock: clocktesting.NewFakePassiveClock(now),
		Zone: func(context.Context, string) (string, error) { return "example.com.", nil },
	}, &dns01.Spec{Webhook: &acmev1.ACMEIssuerDNS01ProviderWebhook{
		GroupName: group, SolverName: "sakuracloud", Config: &apiextensionsv1.JSON{Raw: []byte(`{"zone":"a"}`)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPayload holds what a solver is asked: solvers that exist decode exactly this.
func TestPayload(t *testing.T) {
	s := &apiServer{answers: map[string]answer{
		"POST " + path + "/sakuracloud": {status: http.StatusCreated, body: `{"kind":"ChallengePayload","apiVersion":"webhook.acme.cert-manager.io/v1alpha1","response":{"uid":"","success":true}}`},
	}}
	p := provider(t, s)
	r := dns01.Record{DNSName: "www.example.com", FQDN: "_acme-challenge.www.example.com.", Value: "abc"}
	for action, call := range map[string]func(context.Context, dns01.Record) error{"Present": p.Present, "CleanUp": p.CleanUp} {
		if err := call(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		var got, want any
		if err := json.Unmarshal(s.body, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(`{"kind":"ChallengePayload","apiVersion":"webhook.acme.cert-manager.io/v1alpha1","request":{
			"uid":"","action":"`+action+`","type":"dns-01","dnsName":"www.example.com","key":"abc","resourceNamespace":"team",
			"resolvedFQDN":"_acme-challenge.www.example.com.","resolvedZone":"example.com.","allowAmbientCredentials":true,"config":{"zone":"a"}}}`), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", action, diff)
		}
	}
}

func TestNew(t *testing.T) {
	cluster := &apiServer{}
	for name, test := range map[string]struct {
		config Config
		want   string
	}{
		"complete":   {Config{GroupName: group, SolverName: "s", Cluster: cluster}, ""},
		"no cluster": {Config{GroupName: group, SolverName: "s"}, "a webhook solver needs a cluster, whose API server passes requests on to it"},
		"no solver":  {Config{GroupName: group, Cluster: cluster}, "webhook.solverName is empty: it is the name that the solver's documentation gives"},
		"no group":   {Config{SolverName: "s", Cluster: cluster}, "webhook.groupName is empty: it is the API group under which the solver was installed (groupName in its chart)"},
		"own group": {
			Config{GroupName: "cert-manager.io", SolverName: "s", Cluster: cluster},
			`webhook.groupName is "cert-manager.io", which belongs to the API server: use the API group under which the solver was installed (groupName in its chart)`,
		},
	} {
		_, err := New(test.config)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != test.want || err != nil && fault.Of(err).Class != fault.User {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestFailures holds what users see of the failures that reports about solvers show.
func TestFailures(t *testing.T) {
	const (
		ask     = "POST " + path + "/sakuracloud"
		service = "GET /apis/apiregistration.k8s.io/v1/apiservices/v1alpha1." + group
		found   = `{"kind":"APIResourceList","groupVersion":"acme.example.org/v1alpha1","resources":[{"name":"sakuracloud","namespaced":false,"kind":"ChallengePayload","verbs":["create"]}]}`
	)
	status := func(code int, message string) answer {
		body, err := json.Marshal(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Message: message, Code: int32(code)})
		if err != nil {
			t.Fatal(err)
		}
		return answer{status: code, body: string(body)}
	}
	condition := func(reason, message string) answer {
		return answer{status: 200, body: `{"status":{"conditions":[{"type":"Available","status":"False","reason":"` + reason + `","message":"` + message + `"}]}}`}
	}
	const unavailable = "the server is currently unable to handle the request"
	forbidden := `sakuracloud.acme.example.org is forbidden: User "system:serviceaccount:certs:everleaf" cannot create resource "sakuracloud" in API group "acme.example.org" at the cluster scope`
	for name, test := range map[string]struct {
		answers map[string]answer
		want    *fault.Error
	}{
		"the solver fails": {
			map[string]answer{ask: {status: 200, body: `{"response":{"success":false,"status":{"status":"Failure","message":"zone\nnot found"}}}`}},
			fault.New(fault.Transient, "SolverFailed", "zone not found"),
		},
		"the solver fails without a word": {
			map[string]answer{ask: {status: 200, body: `{"response":{"success":false}}`}},
			fault.New(fault.Transient, "SolverFailed", "invalid payload response, did not succeed but no result provided"),
		},
		"no response": {
			map[string]answer{ask: {status: 200, body: `{}`}},
			fault.New(fault.Transient, "SolverFailed", "invalid payload response, did not succeed but no result provided"),
		},
		"no payload": {
			map[string]answer{ask: {status: 200, body: `<html>`}},
			fault.New(fault.Transient, "InvalidAnswer", `the solver webhook "sakuracloud" of group "acme.example.org" did not answer with a ChallengePayload`),
		},
		"no answer": {
			map[string]answer{ask: {err: context.DeadlineExceeded}},
			fault.New(fault.Transient, "SolverUnreachable", `the API server gave no answer for the solver webhook "sakuracloud" of group "acme.example.org": no answer in time; check that the solver runs and answers within 30 s`),
		},
		"forbidden by the API server": {
			map[string]answer{ask: status(403, forbidden), "GET " + path: {status: 200, body: found}},
			fault.Until(now.Add(recheck), "SolverForbidden", `the solver webhook "sakuracloud" of group "acme.example.org" may not be asked: %s; a ClusterRole must allow "create" on resource "sakuracloud" in API group "acme.example.org", and be bound to this service account (many charts: --set certManager.namespace=... --set certManager.serviceAccountName=...)`, forbidden),
		},
		"forbidden by the solver": {
			map[string]answer{ask: status(403, `subjectaccessreviews.authorization.k8s.io is forbidden: User "system:serviceaccount:solver:solver" cannot create resource "subjectaccessreviews"`)},
			fault.Until(now.Add(recheck), "SolverLacksRights", `the solver webhook "sakuracloud" of group "acme.example.org" cannot check who asks it: subjectaccessreviews.authorization.k8s.io is forbidden: User "system:serviceaccount:solver:solver" cannot create resource "subjectaccessreviews"; bind the ClusterRole system:auth-delegator to the solver's service account`),
		},
		"proxy certificate": {
			map[string]answer{ask: status(401, "Unauthorized")},
			fault.Until(now.Add(recheck), "SolverUnauthorized", `the solver webhook "sakuracloud" of group "acme.example.org" does not accept the API server's proxy certificate: Unauthorized; restart the solver, which may hold an old CA, and check that the certificate has not expired`),
		},
		"a typo in the group": {
			map[string]answer{"GET /apis": {status: 200, body: `{"kind":"APIGroupList","groups":[{"name":"acme.exmaple.org"},{"name":"apps"},{"name":"cert-manager.io"}]}`}},
			fault.Until(now.Add(recheck), "SolverNotFound", `the API server has no APIService v1alpha1.acme.example.org, so that nothing serves webhook.groupName "acme.example.org"; similar: acme.exmaple.org; check groupName here and in the solver's chart`),
		},
		"not installed, without the right to ask": {
			map[string]answer{ask: status(403, forbidden), "GET /apis": {status: 200, body: `{"groups":[{"name":"apps"}]}`}},
			fault.Until(now.Add(recheck), "SolverNotFound", `the API server has no APIService v1alpha1.acme.example.org, so that nothing serves webhook.groupName "acme.example.org"; install the solver, or check groupName here and in its chart`),
		},
		"a typo in the solver": {
			map[string]answer{"GET " + path: {status: 200, body: `{"resources":[{"name":"ovh"},{"name":"gandi"}]}`}},
			fault.Until(now.Add(recheck), "SolverNotFound", `API group "acme.example.org" has no solver "sakuracloud"; it has: gandi, ovh; check webhook.solverName`),
		},
		"unavailable, closed port": {
			map[string]answer{ask: status(503, unavailable), service: condition("FailedDiscoveryCheck", "failing or missing response from https://10.0.0.9:8443/apis: connection refused")},
			fault.Until(now.Add(recheck), "SolverUnavailable", "APIService v1alpha1.acme.example.org is not available: FailedDiscoveryCheck: failing or missing response from https://10.0.0.9:8443/apis: connection refused; check that the solver's pods run, and that the control plane can reach their port (firewall, NetworkPolicy)"),
		},
		"unavailable, another CA": {
			map[string]answer{ask: status(503, unavailable), service: condition("FailedDiscoveryCheck", "x509: certificate signed by unknown authority")},
			fault.Until(now.Add(recheck), "SolverUnavailable", "APIService v1alpha1.acme.example.org is not available: FailedDiscoveryCheck: x509: certificate signed by unknown authority; its caBundle is not that of the solver's serving certificate: check the annotation cert-manager.io/inject-ca-from and that cainjector runs"),
		},
		"unavailable, no pods": {
			map[string]answer{ask: status(503, unavailable), service: condition("MissingEndpoints", "endpoints for service/solver in solver have no addresses")},
			fault.Until(now.Add(recheck), "SolverUnavailable", "APIService v1alpha1.acme.example.org is not available: MissingEndpoints: endpoints for service/solver in solver have no addresses; check that the solver's pods run and are ready"),
		},
		"unavailable, without the right to see why": {
			map[string]answer{ask: status(503, unavailable), service: status(403, "no")},
			fault.Until(now.Add(recheck), "SolverUnavailable", `the solver webhook "sakuracloud" of group "acme.example.org" cannot be reached by the API server: the server is currently unable to handle the request; see `+"`kubectl describe apiservice v1alpha1.acme.example.org`"),
		},
		"a crash": {
			map[string]answer{ask: status(500, "Internal error occurred: panic")},
			fault.New(fault.Transient, "SolverFailed", `the solver webhook "sakuracloud" of group "acme.example.org" failed: Internal error occurred: panic`),
		},
		"a bad request": {
			map[string]answer{ask: status(422, "invalid")},
			fault.New(fault.Transient, "SolverFailed", `the solver webhook "sakuracloud" of group "acme.example.org" refused the request: invalid`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := provider(t, &apiServer{answers: test.answers}).Present(t.Context(), dns01.Record{FQDN: "_acme-challenge.example.com.", Value: "v"})
			if diff := cmp.Diff(test.want, fault.Of(err), cmpopts.IgnoreFields(fault.Error{}, "Err")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
