package solverwebhook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
)

const proxyName = "front-proxy-client"

func TestProtocol(t *testing.T) {
	authority := newSigner(t)
	w := newWorld(t, authority, func(ctx context.Context, r *v1alpha1.ChallengeRequest) error {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the solver's context has no deadline")
		}
		switch r.Key {
		case "refused":
			return errors.New("zone example.com. is not in this account")
		case "nil":
			var nothing *v1alpha1.ChallengeRequest
			_ = nothing.Key
		case "secret":
			panic("token s3cr3t")
		}
		return nil
	})
	proxy := authority.proxy(t, proxyName, time.Now().Add(-time.Hour))
	request := func(action v1alpha1.ChallengeAction, key string) string {
		return payload(t, &v1alpha1.ChallengeRequest{UID: "u-1", Action: action, Key: key, ResolvedFQDN: "_acme-challenge.example.com."})
	}
	failed := func(message string) *v1alpha1.ChallengeResponse {
		return &v1alpha1.ChallengeResponse{UID: "u-1", Result: &metav1.Status{Status: metav1.StatusFailure, Message: message}}
	}
	for name, c := range map[string]struct {
		method, path, body string
		want               answer
	}{
		"present":        {"POST", path, request("Present", "v"), answer{code: 201, solved: &v1alpha1.ChallengeResponse{UID: "u-1", Success: true}}},
		"clean up":       {"POST", path, request("CleanUp", "v"), answer{code: 201, solved: &v1alpha1.ChallengeResponse{UID: "u-1", Success: true}}},
		"error":          {"POST", path, request("Present", "refused"), answer{code: 201, solved: failed("zone example.com. is not in this account")}},
		"unknown action": {"POST", path, request("Dance", "v"), answer{code: 201, solved: failed(`unknown action type "Dance"`)}},
		"runtime panic":  {"POST", path, request("Present", "nil"), answer{code: 201, solved: failed("solver example panicked (runtime error: invalid memory address or nil pointer dereference), which is a mistake in its program: see its log")}},
		"panic":          {"POST", path, request("Present", "secret"), answer{code: 201, solved: failed("solver example panicked (a string), which is a mistake in its program: see its log")}},
		"no request":     {"POST", path, payload(t, nil), refusal(400, "BadRequest", "payload request field cannot be empty")},
		"no JSON":        {"POST", path, "s3cr3t", refusal(400, "BadRequest", "the body is not a ChallengePayload in JSON: syntax error at byte 1")},
		"no body":        {"POST", path, "", refusal(400, "BadRequest", "the body is not a ChallengePayload in JSON: it is empty")},
		"wrong type":     {"POST", path, `{"request": {"key": 5}}`, refusal(400, "BadRequest", `the body is not a ChallengePayload in JSON: field "request.key" is a JSON number, which does not fit`)},
		"too large":      {"POST", path, `{"request": {"key": "` + strings.Repeat("x", maxBody) + `"}}`, refusal(400, "BadRequest", "the body is not a ChallengePayload in JSON: it exceeds 3145728 bytes")},
		"GET":            {"GET", path, "", refusal(405, "MethodNotAllowed", "solvers only take POST requests")},
		"other solver":   {"POST", "/apis/" + apiGroup + "/v1alpha1/sample", request("Present", "v"), refusal(404, "NotFound", `the solver webhook has no solver "sample"; it has: example`)},
		"other group":    {"GET", "/apis/acme.sample.org/v1alpha1", "", refusal(404, "NotFound", `the solver webhook serves API group "acme.example.org", version v1alpha1, and not /apis/acme.sample.org/v1alpha1`)},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.ask(proxy, c.method, c.path, c.body)
			got.body = ""
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(answer{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func refusal(code int, reason metav1.StatusReason, message string) answer {
	return answer{code: code, status: metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	}}
}

// The API server reads these documents to see whether the server is available, and
// everleaf to see which solvers it has.
func TestDiscovery(t *testing.T) {
	authority := newSigner(t)
	w := newWorld(t, authority, nil)
	proxy := authority.proxy(t, proxyName, time.Now().Add(-time.Hour))
	for path, want := range map[string]string{
		"/apis":                           `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"kind":"APIGroup","apiVersion":"v1","name":"acme.example.org","versions":[{"groupVersion":"acme.example.org/v1alpha1","version":"v1alpha1"}],"preferredVersion":{"groupVersion":"acme.example.org/v1alpha1","version":"v1alpha1"}}]}`,
		"/apis/acme.example.org":          `{"kind":"APIGroup","apiVersion":"v1","name":"acme.example.org","versions":[{"groupVersion":"acme.example.org/v1alpha1","version":"v1alpha1"}],"preferredVersion":{"groupVersion":"acme.example.org/v1alpha1","version":"v1alpha1"}}`,
		"/apis/acme.example.org/v1alpha1": `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"acme.example.org/v1alpha1","resources":[{"name":"example","singularName":"example","namespaced":false,"group":"webhook.acme.cert-manager.io","version":"v1alpha1","kind":"ChallengePayload","verbs":["create"]}]}`,
	} {
		if got := w.ask(proxy, "GET", path, "", "system:masters"); strings.TrimSpace(got.body) != want {
			t.Errorf("%s: %d %s", path, got.code, got.body)
		}
	}
	if len(w.reviews) > 0 {
		t.Errorf("the API server was asked for its own rights: %v", w.reviews)
	}
}

func TestSenders(t *testing.T) {
	authority := newSigner(t)
	w := newWorld(t, authority, func(context.Context, *v1alpha1.ChallengeRequest) error { return nil })
	hour := time.Now().Add(-time.Hour)
	body := payload(t, &v1alpha1.ChallengeRequest{Action: "Present"})
	for name, c := range map[string]struct {
		client *http.Client
		want   string
	}{
		"no certificate":  {clientWith(t), "it has no certificate of its proxy"},
		"other authority": {newSigner(t).proxy(t, proxyName, hour), "x509: certificate signed by unknown authority"},
		"expired":         {authority.proxy(t, proxyName, time.Now().Add(-72*time.Hour)), "x509: certificate has expired or is not yet valid"},
		"other name":      {authority.proxy(t, "somebody", hour), "somebody"},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.ask(c.client, "POST", path, body)
			if got.code != 401 || got.status.Reason != metav1.StatusReasonUnauthorized || !strings.Contains(got.status.Message, c.want) {
				t.Errorf("%d %s, want 401 with %q", got.code, got.body, c.want)
			}
		})
	}
	if len(w.reviews) > 0 {
		t.Errorf("somebody unknown had rights checked: %v", w.reviews)
	}
}

func TestRights(t *testing.T) {
	authority := newSigner(t)
	w := newWorld(t, authority, func(context.Context, *v1alpha1.ChallengeRequest) error { return nil })
	proxy := authority.proxy(t, proxyName, time.Now().Add(-time.Hour))
	body := payload(t, &v1alpha1.ChallengeRequest{Action: "Present"})
	w.deny = true
	got := w.ask(proxy, "POST", path, body, "system:serviceaccounts")
	if want := `User "system:serviceaccount:cert-manager:everleaf" cannot create resource "example" in API group "acme.example.org"`; got.code != 403 || got.status.Message != want {
		t.Errorf("%d %s", got.code, got.body)
	}
	want := []authorizationv1.SubjectAccessReviewSpec{{
		User: asker, Groups: []string{"system:serviceaccounts", "system:authenticated"}, Extra: map[string]authorizationv1.ExtraValue{},
		ResourceAttributes: &authorizationv1.ResourceAttributes{Group: apiGroup, Version: "v1alpha1", Resource: "example", Verb: "create"},
	}}
	if diff := cmp.Diff(want, w.reviews); diff != "" {
		t.Error(diff)
	}
	// The words by which clients recognize that a right of the solver is missing.
	w.failure = apierrors.NewForbidden(schema.GroupResource{Group: "authorization.k8s.io", Resource: "subjectaccessreviews"}, "", errors.New("no"))
	got = w.ask(proxy, "POST", path, body)
	if got.code != 500 || !strings.Contains(got.status.Message, "subjectaccessreviews.authorization.k8s.io is forbidden") {
		t.Errorf("%d %s", got.code, got.body)
	}
}

// Report P38: the API server's proxy authority changes while the solver runs.
func TestProxyAuthorityRotates(t *testing.T) {
	before, after := newSigner(t), newSigner(t)
	w := newWorld(t, before, func(context.Context, *v1alpha1.ChallengeRequest) error { return nil })
	hour := time.Now().Add(-time.Hour)
	old, young := before.proxy(t, proxyName, hour), after.proxy(t, proxyName, hour)
	body := payload(t, &v1alpha1.ChallengeRequest{Action: "Present"})
	if a, b := w.ask(old, "POST", path, body).code, w.ask(young, "POST", path, body).code; a != 201 || b != 401 {
		t.Fatalf("before: %d and %d", a, b)
	}
	if _, err := w.client.CoreV1().ConfigMaps(proxyNamespace).Update(t.Context(), proxyConfig(after), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.eventually(func() bool { return w.ask(young, "POST", path, body).code == 201 })
	if code := w.ask(old, "POST", path, body).code; code != 401 {
		t.Errorf("the old authority is still trusted: %d", code)
	}
}

// Report P38: without the RoleBinding the process stays up, not ready, and says once
// which command makes it.
func TestMissingRoleBinding(t *testing.T) {
	logged := captureLog(t)
	authority := newSigner(t)
	w := prepared(t, authority, func(context.Context, *v1alpha1.ChallengeRequest) error { return nil })
	var tries atomic.Int64
	var bound atomic.Bool
	w.client.PrependReactor("get", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		tries.Add(1)
		if bound.Load() {
			return false, nil, nil
		}
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, proxyConfigMap, errors.New("no"))
	})
	w.start()
	w.eventually(func() bool { return tries.Load() > 3 })
	proxy := authority.proxy(t, proxyName, time.Now().Add(-time.Hour))
	if a := w.ask(proxy, "GET", "/healthz", ""); a.code != 200 {
		t.Errorf("healthz: %d %s", a.code, a.body)
	}
	if a := w.ask(proxy, "GET", "/readyz", ""); a.code != 503 || !strings.Contains(a.body, "extension-apiserver-authentication has not been read") {
		t.Errorf("readyz: %d %s", a.code, a.body)
	}
	body := payload(t, &v1alpha1.ChallengeRequest{Action: "Present"})
	if a := w.ask(proxy, "POST", path, body); a.code != 503 || a.status.Reason != metav1.StatusReasonServiceUnavailable {
		t.Errorf("present: %d %s", a.code, a.body)
	}
	command := "kubectl create rolebinding solver-authentication-reader --namespace=kube-system --role=extension-apiserver-authentication-reader --serviceaccount=dns:solver"
	if n := strings.Count(logged(), command); n != 1 {
		t.Errorf("the log has the command %d times:\n%s", n, logged())
	}
	bound.Store(true)
	w.eventually(func() bool { return w.ask(proxy, "GET", "/readyz", "").code == 200 })
	if a := w.ask(proxy, "POST", path, body); a.code != 201 {
		t.Errorf("present: %d %s", a.code, a.body)
	}
}

// captureLog returns the program's log from here on.
func captureLog(t *testing.T) func() string {
	t.Helper()
	var mu sync.Mutex
	var lines bytes.Buffer
	klog.LogToStderr(false)
	// klog writes errors to the outputs of lower severities too.
	klog.SetOutput(io.Discard)
	klog.SetOutputBySeverity("INFO", writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return lines.Write(p)
	}))
	t.Cleanup(func() {
		klog.Flush()
		klog.SetOutput(io.Discard)
	})
	return func() string {
		klog.Flush()
		mu.Lock()
		defer mu.Unlock()
		return lines.String()
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A panic's value may be a secret: it reaches neither the answer nor the log.
func TestPanicsAreDiscreet(t *testing.T) {
	logged := captureLog(t)
	r := respond(t.Context(), &scripted{func(context.Context, *v1alpha1.ChallengeRequest) error { panic("s3cr3t") }}, &v1alpha1.ChallengeRequest{Action: "Present"})
	if r.Success || strings.Contains(r.Result.Message, "s3cr3t") || strings.Contains(logged(), "s3cr3t") || !strings.Contains(logged(), "server_test.go") {
		t.Errorf("%+v\n%s", r, logged())
	}
}

// A request that has been accepted is finished before the process ends.
func TestGracefulEnd(t *testing.T) {
	authority := newSigner(t)
	begun, finish := make(chan struct{}), make(chan struct{})
	w := newWorld(t, authority, func(ctx context.Context, _ *v1alpha1.ChallengeRequest) error {
		close(begun)
		<-finish
		return ctx.Err()
	})
	proxy := authority.proxy(t, proxyName, time.Now().Add(-time.Hour))
	body := payload(t, &v1alpha1.ChallengeRequest{UID: "u", Action: "Present"})
	got := make(chan answer, 1)
	go func() { got <- w.ask(proxy, "POST", path, body) }()
	<-begun
	w.stop()
	w.eventually(w.server.ending.Load)
	close(finish)
	if a := <-got; a.solved == nil || !a.solved.Success {
		t.Errorf("%+v", a)
	}
	if err := <-w.ended; err != nil {
		t.Error(err)
	}
}
