package cluster

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// TestAsk holds that what a server answers is returned, whatever it is.
func TestAsk(t *testing.T) {
	var body string
	var status int
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status == http.StatusNotFound {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	defer s.Close()
	core, err := kubernetes.NewForConfig(&rest.Config{Host: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method string
		status int
		body   string
	}{
		{http.MethodGet, 200, `{"kind":"APIResourceList"}`},
		{http.MethodPost, 201, `{"kind":"ChallengePayload"}`},
		{http.MethodGet, 404, ""},
		{http.MethodPost, 403, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"Forbidden","code":403}`},
		{http.MethodPost, 503, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"ServiceUnavailable","code":503}`},
		{http.MethodPost, 500, `oops`},
	} {
		body, status = test.body, test.status
		answer, got, err := ForProviders{Core: core}.Ask(t.Context(), test.method, "/apis/a/v1", []byte("{}"))
		if err != nil || got != test.status || string(answer) != test.body {
			t.Errorf("%s %d: %q, %d, %v", test.method, test.status, answer, got, err)
		}
	}
	s.Close()
	if _, _, err := (ForProviders{Core: core}).Ask(t.Context(), http.MethodPost, "/apis/a/v1", nil); err == nil {
		t.Error("no error without an answer")
	}
}
