package component

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// TestUnfilledCaches: a manager that may not list what it reads ends with its context, and
// by itself after a while, with the reason.
func TestUnfilledCaches(t *testing.T) {
	asked := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"apiVersion":"v1","kind":"Status","status":"Failure","reason":"Forbidden","code":403,"message":"secrets is forbidden: User \"a\" cannot list resource \"secrets\""}`))
	}))
	defer server.Close()
	for name, test := range map[string]struct {
		time   time.Duration
		cancel bool
		want   string
	}{
		"a signal": {time: time.Hour, cancel: true},
		"for long": {time: time.Second, want: `read all objects from the API server: not done after 1s: Secret: secrets is forbidden: User "a" cannot list resource "secrets"`},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			caches, managed := NewCaches(ctx, logr.Discard())
			caches.time = test.time
			options := manager.Options{
				Scheme: scheme.Scheme, Logger: logr.Discard(), Metrics: metricsserver.Options{BindAddress: "0"},
				MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) {
					mapper := meta.NewDefaultRESTMapper(nil)
					mapper.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
					return mapper, nil
				},
			}
			caches.Set(&options)
			mgr, err := manager.New(&rest.Config{Host: server.URL}, options)
			if err != nil {
				t.Fatal(err)
			}
			// The informer is there before the manager waits, as those of controllers are.
			if _, err := mgr.GetCache().GetInformer(ctx, &corev1.Secret{}); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- caches.Ended(mgr.Start(managed)) }()
			<-asked
			if test.cancel {
				cancel()
			}
			got := ""
			select {
			case err := <-ended:
				if err != nil {
					got = err.Error()
				}
			case <-time.After(time.Minute):
				t.Fatal("the manager goes on")
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}
