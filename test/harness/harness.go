// Package harness assembles integration tests: a real API server, the
// controllers in this process, a real ACME server and real name servers.
package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/controlplane"
)

// controller-runtime's own logger is set once. The first SetLogger of a process races with
// another one, and tests start several systems at a time, which log by their own loggers.
func init() { ctrllog.SetLogger(logr.Discard()) }

// Cluster is a control plane with an administrator's clients.
type Cluster struct {
	*local.ControlPlane
	client.Client
}

// Shared returns the control plane of the test process.
func Shared(tb testing.TB) *Cluster { return Of(tb, controlplane.Shared(tb)) }

// Of returns the Cluster of a control plane.
func Of(tb testing.TB, cp *local.ControlPlane) *Cluster {
	tb.Helper()
	scheme, err := operator.Scheme()
	if err != nil {
		tb.Fatal(err)
	}
	if err := gatewayv1.Install(scheme); err != nil {
		tb.Fatal(err)
	}
	config := cp.RESTConfig()
	config.QPS = -1
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		tb.Fatal(err)
	}
	return &Cluster{ControlPlane: cp, Client: c}
}

// Controllers configure the controllers.
type Controllers struct {
	// Options changes the options. The listeners are disabled already.
	Options func(*operator.Options)
	// Config changes the connection to the API server.
	Config func(*rest.Config)
	// Verbosity is the verbosity of the test's log.
	Verbosity int
	// Log, if set, receives the log instead of the test.
	Log *logr.Logger
}

// Run runs the controllers until the test ends or stop is called.
func (c *Cluster) Run(tb testing.TB, how Controllers) (stop func()) {
	tb.Helper()
	options := operator.Defaults()
	options.ClusterResourceNamespace = local.Namespace
	options.LeaderElection.Enabled = false
	options.MetricsListenAddress, options.HealthzListenAddress = "0", "0"
	// Tests run side by side: each has metrics of its own.
	options.Registerer = prometheus.NewRegistry()
	if how.Options != nil {
		how.Options(&options)
	}
	config, err := c.ControllerConfig()
	if err != nil {
		tb.Fatal(err)
	}
	Rights.Record(config)
	if how.Config != nil {
		how.Config(config)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	log := testr.NewWithInterface(quiet{tb}, testr.Options{Verbosity: how.Verbosity})
	if how.Log != nil {
		log = *how.Log
	}
	go func() { done <- operator.Run(ctx, config, options, log) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			tb.Errorf("controllers: %v", err)
		}
	}
	tb.Cleanup(stop)
	return stop
}

// quiet logs to a test while it runs.
type quiet struct{ testing.TB }

// Log implements testr.TestingT.
func (q quiet) Log(args ...any) {
	if q.Context().Err() == nil {
		q.TB.Log(args...)
	}
}

// Apply applies manifests, like kubectl apply --server-side. It sets namespace
// where a manifest has none.
func (c *Cluster) Apply(tb testing.TB, namespace, manifests string) []client.Object {
	tb.Helper()
	var applied []client.Object
	for _, doc := range strings.Split(manifests, "\n---") {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &object.Object); err != nil {
			tb.Fatalf("manifest: %v\n%s", err, doc)
		}
		if object.GetNamespace() == "" && namespaced(object.GetKind()) {
			object.SetNamespace(namespace)
		}
		if err := c.Client.Apply(tb.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test"), client.ForceOwnership); err != nil {
			tb.Fatalf("apply %s %s: %v", object.GetKind(), object.GetName(), err)
		}
		applied = append(applied, object)
		if object.GetKind() == "APIService" {
			// One whose server is gone keeps namespaces from being deleted.
			tb.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				if err := client.IgnoreNotFound(c.Delete(ctx, object)); err != nil {
					tb.Errorf("delete APIService %s: %v", object.GetName(), err)
				}
			})
		}
	}
	return applied
}

func namespaced(kind string) bool {
	return !slices.Contains([]string{
		cmv1.ClusterIssuerKind, "Namespace", "ClusterRole", "ClusterRoleBinding", "APIService", "CustomResourceDefinition",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
	}, kind)
}

// Eventually polls until check returns nil, and fails the test with check's
// last error after the given time.
func Eventually(tb testing.TB, within time.Duration, check func() error) {
	tb.Helper()
	deadline := time.Now().Add(within)
	var err error
	for time.Now().Before(deadline) {
		if err = check(); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	tb.Fatalf("not within %s: %v", within, err)
}

// Ready waits until a Certificate is Ready, and returns it.
func (c *Cluster) Ready(tb testing.TB, namespace, name string, within time.Duration) *cmv1.Certificate {
	tb.Helper()
	crt := &cmv1.Certificate{}
	Eventually(tb, within, func() error {
		if err := c.Get(tb.Context(), client.ObjectKey{Namespace: namespace, Name: name}, crt); err != nil {
			return err
		}
		return ready(crt)
	})
	return crt
}

func ready(crt *cmv1.Certificate) error {
	var conditions []string
	for _, cond := range crt.Status.Conditions {
		if cond.Type == cmv1.CertificateConditionReady && cond.Status == cmmeta.ConditionTrue {
			return nil
		}
		conditions = append(conditions, fmt.Sprintf("%s=%s (%s): %s", cond.Type, cond.Status, cond.Reason, cond.Message))
	}
	return fmt.Errorf("Certificate %s is not ready: %s", crt.Name, strings.Join(conditions, "; "))
}

// Namespace creates a namespace for the test.
func (c *Cluster) Namespace(tb testing.TB) string {
	return controlplane.Namespace(tb, c.ControlPlane, nil)
}

// Secret creates a Secret with one entry.
func (c *Cluster) Secret(tb testing.TB, namespace, name, key, value string) {
	tb.Helper()
	err := c.Create(tb.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		StringData: map[string]string{key: value},
	})
	if err != nil {
		tb.Fatal(err)
	}
}
