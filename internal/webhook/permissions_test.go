package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
)

// apiServer answers discovery with texts by path, and questions about users.
type apiServer struct {
	answers map[string]string
	// review answers with a status code and whether the user is allowed.
	review func(authorizationv1.SubjectAccessReviewSpec) (int, bool)
	asked  []string
}

func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.asked = append(a.asked, r.URL.Path)
	w.Header().Set("Content-Type", "application/json")
	if strings.HasSuffix(r.URL.Path, "/subjectaccessreviews") {
		var review authorizationv1.SubjectAccessReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		code, allowed := a.review(review.Spec)
		w.WriteHeader(code)
		if code == http.StatusCreated {
			_, _ = fmt.Fprintf(w, `{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","status":{"allowed":%t}}`, allowed)
		} else {
			_, _ = fmt.Fprintf(w, `{"apiVersion":"v1","kind":"Status","status":"Failure","message":"no","code":%d}`, code)
		}
		return
	}
	answer, ok := a.answers[r.URL.Path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		answer = `{"apiVersion":"v1","kind":"Status","status":"Failure","reason":"NotFound","code":404}`
	}
	if answer == "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprint(w, answer)
}

func (a *apiServer) permissions(t *testing.T) (*permissions, *clocktesting.FakeClock) {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	core, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	clock := clocktesting.NewFakeClock(time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC))
	p := newPermissions(core, clock, logr.Discard())
	p.again = wait.Backoff{Duration: time.Millisecond, Factor: 2, Steps: askAgain.Steps}
	return p, clock
}

const widgets = `{"kind":"APIGroup","apiVersion":"v1","name":"acme.corp","versions":[{"groupVersion":"acme.corp/v2","version":"v2"},{"groupVersion":"acme.corp/v1","version":"v1"}]}`

func resources(of string) string {
	return `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"acme.corp/v1","resources":[` + of + `]}`
}

func TestSignerLookup(t *testing.T) {
	server := &apiServer{answers: map[string]string{
		"/apis/acme.corp":    widgets,
		"/apis/acme.corp/v2": resources(`{"name":"gadgets","kind":"Gadget","namespaced":true},{"name":"gadgets/status","kind":"Widget","namespaced":true}`),
		"/apis/acme.corp/v1": resources(`{"name":"widgets","kind":"Widget","namespaced":false}`),
		"/apis/broken.corp":  "",
	}}
	p, clock := server.permissions(t)
	for i, step := range []struct {
		kind    schema.GroupKind
		want    *Signer
		failed  bool
		asked   []string
		elapsed time.Duration
	}{
		{schema.GroupKind{Group: "acme.corp", Kind: "Widget"}, &Signer{schema.GroupResource{Group: "acme.corp", Resource: "widgets"}, false}, false, []string{"/apis/acme.corp", "/apis/acme.corp/v2", "/apis/acme.corp/v1"}, 0},
		// Known for five minutes.
		{schema.GroupKind{Group: "acme.corp", Kind: "Widget"}, &Signer{schema.GroupResource{Group: "acme.corp", Resource: "widgets"}, false}, false, nil, 299 * time.Second},
		{schema.GroupKind{Group: "acme.corp", Kind: "Widget"}, &Signer{schema.GroupResource{Group: "acme.corp", Resource: "widgets"}, false}, false, []string{"/apis/acme.corp", "/apis/acme.corp/v2", "/apis/acme.corp/v1"}, 2 * time.Second},
		{schema.GroupKind{Group: "acme.corp", Kind: "Gadget"}, &Signer{schema.GroupResource{Group: "acme.corp", Resource: "gadgets"}, true}, false, []string{"/apis/acme.corp", "/apis/acme.corp/v2"}, 0},
		// A kind that the group lacks is not looked for again for 30 s.
		{schema.GroupKind{Group: "acme.corp", Kind: "Gizmo"}, nil, false, []string{"/apis/acme.corp", "/apis/acme.corp/v2", "/apis/acme.corp/v1"}, 0},
		{schema.GroupKind{Group: "acme.corp", Kind: "Gizmo"}, nil, false, nil, 29 * time.Second},
		{schema.GroupKind{Group: "acme.corp", Kind: "Gizmo"}, nil, false, []string{"/apis/acme.corp", "/apis/acme.corp/v2", "/apis/acme.corp/v1"}, 2 * time.Second},
		// Nor is a group that is missing, whatever the kind.
		{schema.GroupKind{Group: "none.corp", Kind: "Widget"}, nil, false, []string{"/apis/none.corp"}, 0},
		{schema.GroupKind{Group: "none.corp", Kind: "Gizmo"}, nil, false, nil, 29 * time.Second},
		{schema.GroupKind{Group: "none.corp", Kind: "Widget"}, nil, false, []string{"/apis/none.corp"}, 2 * time.Second},
		// One that fails is looked for each time.
		{schema.GroupKind{Group: "broken.corp", Kind: "Widget"}, nil, true, []string{"/apis/broken.corp"}, 0},
		{schema.GroupKind{Group: "broken.corp", Kind: "Widget"}, nil, true, []string{"/apis/broken.corp"}, 0},
		{schema.GroupKind{Group: "../api/v1/secrets", Kind: "Widget"}, nil, false, nil, 0},
	} {
		clock.Step(step.elapsed)
		server.asked = nil
		got, err := p.Signer(t.Context(), step.kind)
		if diff := cmp.Diff(step.want, got); diff != "" || (err != nil) != step.failed {
			t.Errorf("step %d: error %v, -want +got:\n%s", i, err, diff)
		}
		if diff := cmp.Diff(step.asked, server.asked); diff != "" {
			t.Errorf("step %d asked, -want +got:\n%s", i, diff)
		}
	}
}

func TestAllowed(t *testing.T) {
	var specs []authorizationv1.SubjectAccessReviewSpec
	var codes []int
	server := &apiServer{review: func(spec authorizationv1.SubjectAccessReviewSpec) (int, bool) {
		specs = append(specs, spec)
		code := http.StatusCreated
		if len(codes) > 0 {
			code, codes = codes[0], codes[1:]
		}
		return code, spec.User == "ann"
	}}
	p, clock := server.permissions(t)
	ann := authenticationv1.UserInfo{Username: "ann", UID: "7", Groups: []string{"a"}, Extra: map[string]authenticationv1.ExtraValue{"k": {"v"}}}
	eve := authenticationv1.UserInfo{Username: "eve"}
	for i, step := range []struct {
		user    authenticationv1.UserInfo
		codes   []int
		want    bool
		asked   int
		elapsed time.Duration
	}{
		{ann, nil, true, 1, 0},
		{ann, nil, true, 0, 999 * time.Millisecond},
		{ann, nil, true, 1, 2 * time.Millisecond},
		{eve, nil, false, 1, 0},
		{eve, nil, false, 0, 0},
		// An answer that fails is asked for again once, and is not remembered.
		{ann, []int{500}, true, 2, time.Minute},
		{ann, []int{500, 429}, false, 2, time.Minute},
		{ann, nil, true, 1, 0},
		{ann, []int{403}, false, 1, time.Minute},
	} {
		clock.Step(step.elapsed)
		specs, codes = nil, step.codes
		if got := p.Allowed(t.Context(), step.user, "widgets.acme.corp/x"); got != step.want || len(specs) != step.asked {
			t.Errorf("step %d: %t, asked %d times; want %t, %d", i, got, len(specs), step.want, step.asked)
		}
		if i == 0 {
			if diff := cmp.Diff([]authorizationv1.SubjectAccessReviewSpec{{
				User: "ann", UID: "7", Groups: []string{"a"}, Extra: map[string]authorizationv1.ExtraValue{"k": {"v"}},
				ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "approve", Group: "cert-manager.io", Version: "*", Resource: "signers", Name: "widgets.acme.corp/x"},
			}}, specs); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		}
	}
}

// stuck is a network that counts requests, and answers none before it is opened.
type stuck struct {
	waiting atomic.Int32
	open    chan struct{}
}

func (s *stuck) RoundTrip(*http.Request) (*http.Response, error) {
	s.waiting.Add(1)
	<-s.open
	return nil, errors.New("no route")
}

// TestCallsAreBounded holds that no number of admission requests makes more calls at
// once than the API server should get.
func TestCallsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &stuck{open: make(chan struct{})}
		config := asker(&rest.Config{Host: "https://api.example", QPS: -1, Transport: network})
		if config.QPS != 100 || config.Burst != 200 {
			t.Errorf("the limits are %v and %d", config.QPS, config.Burst)
		}
		core, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		p := newPermissions(core, clocktesting.NewFakeClock(time.Now()), logr.Discard())
		p.again.Steps = 1
		var all sync.WaitGroup
		for i := range 60 {
			all.Go(func() { p.Allowed(t.Context(), authenticationv1.UserInfo{Username: fmt.Sprint(i)}, "x") })
			all.Go(func() {
				_, _ = p.Signer(t.Context(), schema.GroupKind{Group: fmt.Sprintf("g%d.corp", i), Kind: "Widget"})
			})
		}
		synctest.Wait()
		if got := network.waiting.Load(); got != askAtOnce {
			t.Errorf("%d calls at once, want %d", got, askAtOnce)
		}
		close(network.open)
		all.Wait()
	})
}
