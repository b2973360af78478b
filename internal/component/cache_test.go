package component

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
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

// refusing is an API server that allows nothing.
func refusing(t *testing.T, asked chan<- struct{}) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"apiVersion":"v1","kind":"Status","status":"Failure","reason":"Forbidden","code":403,"message":"secrets is forbidden: User \"a\" cannot list resource \"secrets\""}`))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// gone is the address of an API server that is no more.
func gone(t *testing.T, asked chan<- struct{}) string {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	asked <- struct{}{}
	return server.URL
}

// busy is an API server that has no time for lists.
func busy(t *testing.T, asked chan<- struct{}) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		if r.URL.Path == "/version" {
			_, _ = w.Write([]byte("{}"))
			return
		}
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestUnfilledCaches: a manager that cannot read what it needs ends with its context, and
// by itself after a while, with the reason. It never leads.
func TestUnfilledCaches(t *testing.T) {
	for name, test := range map[string]struct {
		server func(*testing.T, chan<- struct{}) string
		time   time.Duration
		cancel bool
		want   string
	}{
		"a signal, without rights":   {server: refusing, time: time.Hour, cancel: true},
		"a signal, without a server": {server: gone, time: time.Hour, cancel: true},
		"a signal, too many":         {server: busy, time: time.Hour, cancel: true},
		"slow":                       {server: busy, time: time.Millisecond, cancel: true},
		"without rights": {
			server: refusing, time: time.Second,
			want: `read all objects from the API server: not done after 1s: Secret: secrets is forbidden: User "a" cannot list resource "secrets"`,
		},
		"without a server": {
			server: gone, time: time.Second,
			want: "read all objects from the API server: not done after 1s: the API server does not answer: the API server cannot be reached: connection refused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan struct{}, 1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			caches := NewCaches(ctx, logr.Discard())
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
			mgr, err := manager.New(&rest.Config{Host: test.server(t, asked)}, options)
			if err != nil {
				t.Fatal(err)
			}
			var leads atomic.Bool
			if err := mgr.Add(manager.RunnableFunc(func(context.Context) error {
				leads.Store(true)
				return nil
			})); err != nil {
				t.Fatal(err)
			}
			// The informer is there before the manager waits, as those of controllers are.
			if _, err := mgr.GetCache().GetInformer(ctx, &corev1.Secret{}); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- caches.Run(mgr.Start) }()
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
			if leads.Load() {
				t.Error("the work of a leader has begun")
			}
		})
	}
}

// TestFilled: with filled caches a manager ends as always.
func TestFilled(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	caches := NewCaches(ctx, logr.Discard())
	options := manager.Options{
		Scheme: scheme.Scheme, Logger: logr.Discard(), Metrics: metricsserver.Options{BindAddress: "0"},
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return meta.NewDefaultRESTMapper(nil), nil },
	}
	caches.Set(&options)
	mgr, err := manager.New(&rest.Config{Host: server.URL}, options)
	if err != nil {
		t.Fatal(err)
	}
	if err := mgr.Add(Always(func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return nil
	})); err != nil {
		t.Fatal(err)
	}
	if err := caches.Run(mgr.Start); err != nil {
		t.Error(err)
	}
}
