package local_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/controlplane"
)

// until repeats check until it is true, for at most 30 s.
func until(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !check() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s for %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func clientFor(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func TestRestartKeepsData(t *testing.T) {
	dir, audit := t.TempDir(), filepath.Join(t.TempDir(), "audit.log")
	controlplane.BinDir(t)
	options := local.Options{DataDir: dir, AuditLog: audit, UnsafeNoFsync: true}
	first, err := local.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	before := clientFor(t, first.RESTConfig())
	want, err := before.CoreV1().ConfigMaps("cert-manager").Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}, Data: map[string]string{"k": "v"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pids := first.PIDs()
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	for name, pid := range pids {
		if alive(pid) {
			t.Errorf("%s (%d) is alive after Stop", name, pid)
		}
	}

	second, err := local.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Stop() }()
	// A client of the first run still works: same port, same authority.
	got, err := before.CoreV1().ConfigMaps("cert-manager").Get(t.Context(), "kept", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("object after the restart (-want +got):\n%s", diff)
	}
	info, err := os.Stat(second.KubeconfigPath())
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("kubeconfig has mode %v", info.Mode())
	}
	if err := second.Stop(); err != nil {
		t.Error(err)
	}
	lines, err := os.ReadFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(lines, []byte(`"username":"everleaf-admin"`)) || bytes.Contains(lines, []byte(`/readyz`)) {
		t.Errorf("the audit log lacks the user and the verb, or contains probes; it begins with %.500s", lines)
	}
}

func TestSecondInstanceOnTheSameData(t *testing.T) {
	cp := controlplane.Shared(t)
	dir := filepath.Dir(cp.KubeconfigPath())
	_, err := local.Start(t.Context(), local.Options{DataDir: dir})
	want := fmt.Sprintf("the data in %s is in use by another `everleaf local` (process %d): stop that one, or choose other data with --data-dir", dir, os.Getpid())
	if err == nil || err.Error() != want {
		t.Errorf("got error  %v\nwant       %s", err, want)
	}
}

func TestPortInUse(t *testing.T) {
	controlplane.BinDir(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	dir := t.TempDir()
	for range 2 { // the second start needs the lock that the first released
		_, err = local.Start(t.Context(), local.Options{DataDir: dir, Port: port})
		want := fmt.Sprintf("port %d on 127.0.0.1 cannot be used for the API server (bind: address already in use): choose another one with --port", port)
		if err == nil || err.Error() != want {
			t.Errorf("got error  %v\nwant       %s", err, want)
		}
	}
}

func TestMissingBinary(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "etcd"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := local.Start(t.Context(), local.Options{DataDir: t.TempDir(), BinDir: bin})
	want := &local.MissingError{Dir: bin, Names: []string{"kube-apiserver", "kube-controller-manager"}}
	var got *local.MissingError
	if !errors.As(err, &got) {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text := fmt.Sprintf("kube-apiserver, kube-controller-manager not found in %s: build from source with `EVERLEAF_BIN_DIR=%[1]s tools/build kube-apiserver kube-controller-manager` in a checkout of everleaf, or set --bin-dir or EVERLEAF_BIN_DIR to the directory that has etcd, kube-apiserver, kube-controller-manager", bin)
	if err.Error() != text {
		t.Errorf("got error  %v\nwant       %s", err, text)
	}
}

func TestFailedProgramIsReportedWithItsLog(t *testing.T) {
	bin := t.TempDir()
	for _, name := range local.Binaries {
		script := "#!/bin/sh\necho first words\necho last words of " + name + "\nexit 7\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	_, err := local.Start(t.Context(), local.Options{DataDir: dir, BinDir: bin})
	want := "etcd ended unexpectedly (exit status 7); the end of " + dir + "/logs/etcd.log:\n  first words\n  last words of etcd"
	if err == nil || err.Error() != want {
		t.Errorf("got error  %v\nwant       %s", err, want)
	}
}

func TestStartIsCancelled(t *testing.T) {
	controlplane.BinDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := local.Start(ctx, local.Options{DataDir: t.TempDir()}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestChildFailureStopsControlPlane(t *testing.T) {
	controlplane.BinDir(t)
	cp, err := local.Start(t.Context(), local.Options{DataDir: t.TempDir(), UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	pids := cp.PIDs()
	if err := syscall.Kill(pids["kube-controller-manager"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-cp.Done()
	err = cp.Stop()
	if err == nil || !strings.HasPrefix(err.Error(), "kube-controller-manager ended unexpectedly (signal: killed); the end of ") {
		t.Errorf("got %v", err)
	}
	if cp.Stop() == nil {
		t.Error("Stop forgets it")
	}
	for name, pid := range pids {
		if alive(pid) {
			t.Errorf("%s (%d) is alive", name, pid)
		}
	}
}

// runProcess starts this test binary as `everleaf local`. It returns the
// process and its children's ids when the control plane is ready.
func runProcess(t *testing.T, dir string) (*exec.Cmd, []int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), runDir+"="+dir)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	scanner := bufio.NewScanner(out)
	for scanner.Scan() {
		if strings.HasPrefix(scanner.Text(), "Ready after") {
			break
		}
	}
	children := childrenOf(t, cmd.Process.Pid)
	t.Cleanup(func() {
		if t.Failed() {
			for _, pid := range children {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	if len(children) != len(local.Binaries) {
		t.Fatalf("children are %v", children)
	}
	return cmd, children
}

func childrenOf(t *testing.T, parent int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var children []int
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it ended meanwhile
		}
		// pid (name) state ppid ...; the name may contain any character.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if fields[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			if err != nil {
				t.Fatal(err)
			}
			children = append(children, pid)
		}
	}
	return children
}

func TestSignalsLeaveNothingBehind(t *testing.T) {
	controlplane.BinDir(t)
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends children with their parent")
	}
	dir := t.TempDir()
	// Each run finds the data of the previous one, however that ended.
	for _, end := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT} {
		cmd, children := runProcess(t, dir)
		if err := cmd.Process.Signal(end); err != nil {
			t.Fatal(err)
		}
		err := cmd.Wait()
		if end != syscall.SIGKILL && err != nil {
			t.Errorf("%v: %v", end, err)
		}
		for _, pid := range children {
			if end == syscall.SIGKILL {
				until(t, "children to end", func() bool { return !alive(pid) })
			} else if alive(pid) {
				t.Errorf("%v: child %d is alive", end, pid)
			}
		}
	}
}

func TestNamespacesAndDependentsAreDeleted(t *testing.T) {
	cp := controlplane.Shared(t)
	client := clientFor(t, cp.RESTConfig())
	namespaces := client.CoreV1().Namespaces()
	if _, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "goes"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the default service account", func() bool {
		_, err := client.CoreV1().ServiceAccounts("goes").Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	})
	requests := requestsOf(t, cp.RESTConfig(), "goes")
	owner, err := requests.Create(t.Context(), newRequest(t, map[string]any{"name": "x"}, nil), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dependent := newRequest(t, map[string]any{"name": "x"}, nil)
	dependent.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "cert-manager.io/v1", Kind: "CertificateRequest", Name: owner.GetName(), UID: owner.GetUID()}})
	if dependent, err = requests.Create(t.Context(), dependent, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := requests.Delete(t.Context(), owner.GetName(), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the dependent to be collected", func() bool {
		_, err := requests.Get(t.Context(), dependent.GetName(), metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	if err := namespaces.Delete(t.Context(), "goes", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the namespace to be gone", func() bool {
		_, err := namespaces.Get(t.Context(), "goes", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

// TestReleaseOfCRDs: clients find out what is installed by a label of the CRDs.
func TestReleaseOfCRDs(t *testing.T) {
	client, err := dynamic.NewForConfig(controlplane.Shared(t).RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	found, err := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(found.Items) == 0 {
		t.Fatalf("%d CRDs, %v", len(found.Items), err)
	}
	for _, crd := range found.Items {
		if release := crd.GetLabels()["app.kubernetes.io/version"]; !regexp.MustCompile(`^v\d+\.\d+\.\d+$`).MatchString(release) {
			t.Errorf("%s is labelled with the release %q", crd.GetName(), release)
		}
	}
}

func TestRoles(t *testing.T) {
	cp := controlplane.Shared(t)
	client := clientFor(t, cp.RESTConfig())
	may := func(user string, groups []string, verb, group, resource, name string) bool {
		review, err := client.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authv1.SubjectAccessReview{Spec: authv1.SubjectAccessReviewSpec{
			User: user, Groups: groups,
			ResourceAttributes: &authv1.ResourceAttributes{Verb: verb, Group: group, Resource: resource, Name: name},
		}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return review.Status.Allowed
	}
	grantRole(t, cp, "editor", "edit")
	grantRole(t, cp, "viewer", "view")
	until(t, "roles to be aggregated", func() bool { return may("editor", nil, "create", "cert-manager.io", "certificates", "") })
	tests := []struct {
		user, verb, group, resource, name string
		want                              bool
	}{
		{"viewer", "list", "cert-manager.io", "certificates", "", true},
		{"viewer", "get", "acme.cert-manager.io", "challenges", "", true},
		{"viewer", "create", "cert-manager.io", "certificates", "", false},
		{"editor", "update", "cert-manager.io", "issuers", "", true},
		{"editor", "update", "cert-manager.io", "clusterissuers", "", false},
		{"editor", "delete", "acme.cert-manager.io", "challenges", "", true},
		{"editor", "create", "acme.cert-manager.io", "challenges", "", false},
		{"editor", "create", "acme.cert-manager.io", "orders", "", false},
		{"editor", "patch", "acme.cert-manager.io", "orders", "", false},
		{"editor", "update", "cert-manager.io", "certificaterequests/status", "", false},
		{local.ControllerUser, "create", "acme.cert-manager.io", "orders", "", true},
		{local.ControllerUser, "approve", "cert-manager.io", "signers", "clusterissuers.cert-manager.io/*", true},
		{local.ControllerUser, "approve", "cert-manager.io", "signers", "foreign.example/*", false},
		{local.ControllerUser, "create", "", "pods", "", true},
		{local.ControllerUser, "create", "apps", "deployments", "", false},
	}
	for _, test := range tests {
		if got := may(test.user, nil, test.verb, test.group, test.resource, test.name); got != test.want {
			t.Errorf("%s may %s %s.%s %s: got %v, want %v", test.user, test.verb, test.resource, test.group, test.name, got, test.want)
		}
	}
}
