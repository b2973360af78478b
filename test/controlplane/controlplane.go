// Package controlplane runs a real API server, etcd and kube-controller-manager
// for tests. It skips tests if the binaries are not built; `make test` builds
// them.
package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/child"
)

var shared struct {
	once sync.Once
	dir  string
	cp   *local.ControlPlane
	err  error
}

// Main runs a package's tests and then stops the shared control plane:
//
//	func TestMain(m *testing.M) { os.Exit(controlplane.Main(m)) }
//
// Packages that use Shared need it.
func Main(m *testing.M) int {
	defer func() {
		if shared.cp != nil {
			if err := shared.cp.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
		if shared.dir != "" {
			os.RemoveAll(shared.dir)
		}
	}()
	return m.Run()
}

// arguments switch on what is off by default and does no harm to tests without it.
var arguments = map[string][]string{"kube-apiserver": {
	"--feature-gates=PodCertificateRequest=true",
	"--runtime-config=certificates.k8s.io/v1beta1/podcertificaterequests=true",
}}

// Shared returns the one control plane of this test process. The first call
// starts it. Tests are isolated by namespaces; see Namespace.
func Shared(tb testing.TB) *local.ControlPlane {
	tb.Helper()
	BinDir(tb)
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "everleaf-controlplane-"); shared.err == nil {
			shared.cp, shared.err = local.Start(context.Background(), local.Options{
				DataDir: filepath.Join(shared.dir, "data"), UnsafeNoFsync: true, Arguments: arguments,
			})
		}
	})
	if shared.err != nil {
		tb.Fatalf("start the shared control plane: %v", shared.err)
	}
	return shared.cp
}

// Own returns a control plane for one test, which ends with it: for what a shared one
// does not survive. It takes a few seconds and 300 MiB.
func Own(tb testing.TB) *local.ControlPlane { return own(tb, false) }

// Bare is Own without CRDs, roles and policies: for what brings them.
func Bare(tb testing.TB) *local.ControlPlane { return own(tb, true) }

func own(tb testing.TB, bare bool) *local.ControlPlane {
	tb.Helper()
	BinDir(tb)
	cp, err := local.Start(context.Background(), local.Options{DataDir: tb.TempDir(), UnsafeNoFsync: true, Bare: bare})
	if err != nil {
		tb.Fatalf("start a control plane: %v", err)
	}
	tb.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return cp
}

// BinDir returns the directory of the control plane's binaries. It skips the
// test if one is missing.
func BinDir(tb testing.TB) string {
	tb.Helper()
	dir, err := local.DefaultBinDir()
	if err != nil {
		tb.Fatal(err)
	}
	if err := local.FindBinaries(dir); err != nil {
		child.Missing(tb, "needs a control plane: %v", err)
	}
	return dir
}

// Namespace creates a namespace for one test and returns its name. The end of
// the test deletes it, without waiting.
func Namespace(tb testing.TB, cp *local.ControlPlane, labels map[string]string) string {
	tb.Helper()
	client, err := kubernetes.NewForConfig(cp.RESTConfig())
	if err != nil {
		tb.Fatal(err)
	}
	namespace, err := client.CoreV1().Namespaces().Create(tb.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: labels},
	}, metav1.CreateOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		// The test's context has ended by now.
		err := client.CoreV1().Namespaces().Delete(context.Background(), namespace.Name, metav1.DeleteOptions{})
		if err != nil {
			tb.Errorf("delete namespace %s: %v", namespace.Name, err)
		}
	})
	return namespace.Name
}
