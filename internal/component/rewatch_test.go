package component

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
)

const tooLarge = `{"apiVersion":"v1","kind":"Status","status":"Failure","reason":"Timeout","code":504,
"message":"Timeout: Too large resource version: 7, current: 3",
"details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}],"retryAfterSeconds":1}}`

// TestRewatch: a watch that goes on from a version begins only if the API server has the
// version. It fails as one that is too old if etcd was restored, and as the question did if
// the API server has not answered it.
func TestRewatch(t *testing.T) {
	const asked = "/api/v1/secrets?limit=1&resourceVersion=7&resourceVersionMatch=NotOlderThan"
	for name, test := range map[string]struct {
		options metav1.ListOptions
		status  int
		body    string
		// etcd is the version that a list without one has.
		etcd string
		want []string
		err  metav1.StatusReason
	}{
		"the version is there": {
			options: metav1.ListOptions{ResourceVersion: "7", LabelSelector: "a=b"}, status: 200, body: `{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadataList"}`,
			want: []string{asked, "/api/v1/secrets?labelSelector=a%3Db&resourceVersion=7&watch=true"},
		},
		"of one object": {
			options: metav1.ListOptions{ResourceVersion: "7", FieldSelector: "metadata.name=a"}, status: 200, body: `{}`,
			want: []string{
				"/api/v1/secrets?fieldSelector=metadata.name%3Da&limit=1&resourceVersion=7&resourceVersionMatch=NotOlderThan",
				"/api/v1/secrets?fieldSelector=metadata.name%3Da&resourceVersion=7&watch=true",
			},
		},
		"etcd was restored": {
			options: metav1.ListOptions{ResourceVersion: "7"}, status: 504, body: tooLarge, etcd: "3",
			want: []string{asked, "/api/v1/secrets?limit=1"}, err: metav1.StatusReasonExpired,
		},
		"the API server is behind etcd": {
			options: metav1.ListOptions{ResourceVersion: "7"}, status: 504, body: tooLarge, etcd: "9",
			want: []string{asked, "/api/v1/secrets?limit=1"}, err: metav1.StatusReasonTooManyRequests,
		},
		"no time to answer": {
			options: metav1.ListOptions{ResourceVersion: "7"}, status: 500,
			body: `{"apiVersion":"v1","kind":"Status","status":"Failure","reason":"InternalError","code":500}`,
			want: []string{asked}, err: metav1.StatusReasonInternalError,
		},
		"lists are not allowed": {
			options: metav1.ListOptions{ResourceVersion: "7"}, status: 403,
			body: `{"apiVersion":"v1","kind":"Status","status":"Failure","reason":"Forbidden","code":403}`,
			want: []string{asked, "/api/v1/secrets?resourceVersion=7&watch=true"},
		},
		"from now on": {options: metav1.ListOptions{}, want: []string{"/api/v1/secrets?watch=true"}},
		"from any":    {options: metav1.ListOptions{ResourceVersion: "0"}, want: []string{"/api/v1/secrets?resourceVersion=0&watch=true"}},
		"from a list": {
			options: metav1.ListOptions{ResourceVersion: "7", SendInitialEvents: ptr.To(true), ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan},
			want:    []string{"/api/v1/secrets?resourceVersion=7&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&watch=true"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var calls []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls = append(calls, r.URL.String())
				w.Header().Set("Content-Type", "application/json")
				if r.URL.RawQuery == "limit=1" {
					_, _ = io.WriteString(w, `{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadataList","metadata":{"resourceVersion":"`+test.etcd+`"},"items":[]}`)
				} else if r.URL.Query().Get("watch") == "" {
					w.WriteHeader(test.status)
					_, _ = io.WriteString(w, test.body)
				}
			}))
			defer server.Close()
			config := &rest.Config{Host: server.URL}
			config.Wrap(Rewatch(logr.Discard()))
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				t.Fatal(err)
			}
			w, err := client.CoreV1().Secrets("").Watch(context.Background(), test.options)
			if err == nil {
				w.Stop()
			}
			if got := apierrors.ReasonForError(err); got != test.err {
				t.Errorf("the watch has the error %v, want %q", err, test.err)
			}
			if diff := cmp.Diff(test.want, calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// TestRewatchWaits: a watch waits for an API server to which there is no connection, and asks
// it again every few seconds, until it answers, the caller gives up, or three minutes have
// passed. Other requests do not wait.
func TestRewatchWaits(t *testing.T) {
	const watch, list = "https://api/api/v1/secrets?watch=true&resourceVersion=7", "https://api/api/v1/secrets"
	for name, test := range map[string]struct {
		url string
		// away and patience are how long the API server is away, and how long the caller waits.
		away, patience time.Duration
		err            error
		// least and most bound how long the request takes.
		least, most time.Duration
	}{
		"away for a minute":       {url: watch, away: time.Minute, patience: time.Hour, least: time.Minute, most: time.Minute + 6*time.Second},
		"away for an hour":        {url: watch, away: time.Hour, patience: time.Hour, err: syscall.ECONNREFUSED, least: 3 * time.Minute, most: 3 * time.Minute},
		"the caller gives up":     {url: watch, away: time.Hour, patience: time.Second, err: syscall.ECONNREFUSED, least: time.Second, most: time.Second},
		"a list":                  {url: list, away: time.Minute, patience: time.Hour, err: syscall.ECONNREFUSED},
		"a watch without version": {url: list + "?watch=true", away: time.Minute, patience: time.Hour, err: syscall.ECONNREFUSED},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, tries := time.Now(), 0
				api := Rewatch(logr.Discard())(transport(func(*http.Request) (*http.Response, error) {
					tries++
					if time.Since(began) < test.away {
						return nil, syscall.ECONNREFUSED
					}
					return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
				}))
				ctx, cancel := context.WithTimeout(t.Context(), test.patience)
				defer cancel()
				request, err := http.NewRequestWithContext(ctx, http.MethodGet, test.url, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := api.RoundTrip(request)
				if !errors.Is(err, test.err) {
					t.Fatalf("the request has the error %v, want %v", err, test.err)
				}
				if err == nil {
					answer.Body.Close()
				}
				took := time.Since(began)
				if took < test.least || took > test.most {
					t.Errorf("the request takes %s, want %s to %s", took, test.least, test.most)
				}
				if most := 8 + int(took/(4*time.Second)); tries > most {
					t.Errorf("%d tries in %s, want at most %d", tries, took, most)
				}
			})
		})
	}
}
