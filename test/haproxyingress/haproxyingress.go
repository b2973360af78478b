// Package haproxyingress runs haproxy-ingress with Debian's haproxy for tests: a kept
// ingress controller of the field, on an address of the loopback interface. It needs root,
// for port 80, and the controller's binary, built from tools/haproxy-ingress.
package haproxyingress

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/dnsdaemon"
)

// startTimeout is how long the controller may take until it answers.
const startTimeout = 30 * time.Second

// Options configure a controller.
type Options struct {
	// Kubeconfig is the path of a file with which the API server is reached.
	Kubeconfig string
	// Class is the name of the IngressClass, which Run creates and Stop deletes, and the
	// value of the annotation kubernetes.io/ingress.class. Empty means "haproxy". No two
	// controllers of one API server have the same.
	Class string
	// Default marks the IngressClass as the cluster's default, for Ingresses without a
	// class.
	Default bool
	// Namespace is the only one whose Ingresses count; empty means all.
	Namespace string
	// Listen are the addresses, each with the ports 80 and 443, such as one from
	// address.Edge. The first one must be of IPv4.
	Listen []netip.Addr
	// Dir is the directory of all files. Empty means a temporary one that Stop removes.
	Dir string
}

// ErrMissing means that the controller cannot run here.
var ErrMissing = errors.New("haproxy-ingress cannot run")

// Server is a running controller with its haproxy.
type Server struct {
	*child.Process
	dir    string
	temp   bool
	class  string
	client kubernetes.Interface
}

// Start runs a controller until the test ends. It skips the test if something is missing.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	s, err := Run(tb.Context(), o)
	if errors.Is(err, ErrMissing) {
		child.Missing(tb, "%v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	child.StopAtEnd(tb, "haproxy-ingress", s)
	return s
}

// Run starts a controller and returns when its haproxy answers. It runs until Stop.
func Run(ctx context.Context, o Options) (_ *Server, err error) {
	binary, err := find()
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: o.Dir, class: cmp.Or(o.Class, "haproxy")}
	if s.client, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	if s.dir == "" {
		if s.dir, err = os.MkdirTemp("", "everleaf-haproxy-"); err != nil {
			return nil, err
		}
		s.temp = true
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, s.Log())
			s.Stop()
		}
	}()
	settings, err := s.create(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := s.start(binary, o, settings); err != nil {
		return nil, err
	}
	return s, s.ready(ctx, o.Listen)
}

// find returns the controller's binary, or why it cannot run.
func find() (string, error) {
	if os.Geteuid() != 0 {
		return "", fmt.Errorf("%w: port 80 and namespaces need root", ErrMissing)
	}
	dir, err := local.DefaultBinDir()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "haproxy-ingress")
	for _, path := range []string{binary, files(binary)} {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%w: %w: build it with `tools/build haproxy-ingress`", ErrMissing, err)
		}
	}
	if _, err := dnsdaemon.Find("haproxy"); err != nil {
		return "", fmt.Errorf("%w: haproxy is not installed (Debian: apt-get install haproxy lua-json)", ErrMissing)
	}
	return binary, nil
}

// files is the directory of the scripts and templates, which tools/build puts beside the
// binary.
func files(binary string) string { return binary + ".files" }

// controllerName is the spec.controller of an IngressClass for the controller that runs
// with --controller-class.
func controllerName(class string) string { return "haproxy-ingress.github.io/controller/" + class }

// create creates the IngressClass, and the ConfigMap with the addresses, and returns the
// ConfigMap's name.
func (s *Server) create(ctx context.Context, o Options) (string, error) {
	class := &networkingv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{Name: s.class, Annotations: map[string]string{}},
		Spec:       networkingv1.IngressClassSpec{Controller: controllerName(s.class)},
	}
	if o.Default {
		class.Annotations[networkingv1.AnnotationIsDefaultIngressClass] = "true"
	}
	if _, err := s.client.NetworkingV1().IngressClasses().Create(ctx, class, metav1.CreateOptions{}); err != nil {
		return "", err
	}
	ports, err := freePorts(2)
	if err != nil {
		return "", err
	}
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: s.class}, Data: map[string]string{
		"bind-http":  binds(o.Listen, 80),
		"bind-https": binds(o.Listen, 443),
		// What haproxy listens on besides.
		"bind-ip-addr-stats": "127.0.0.1", "stats-port": ports[0],
		"bind-ip-addr-healthz": "127.0.0.1", "healthz-port": ports[1],
		// Processes of the old configuration answer what they have begun.
		"timeout-stop": "2s",
	}}
	_, err = s.client.CoreV1().ConfigMaps(settings.Namespace).Create(ctx, settings, metav1.CreateOptions{})
	return settings.Namespace + "/" + settings.Name, err
}

func binds(listen []netip.Addr, port uint16) string {
	var all []string
	for _, addr := range listen {
		all = append(all, netip.AddrPortFrom(addr, port).String())
	}
	return strings.Join(all, ",")
}

// freePorts returns ports that are free on the loopback interface.
func freePorts(n int) ([]string, error) {
	var ports []string
	for len(ports) < n {
		address, err := child.FreeAddress()
		if err != nil {
			return nil, err
		}
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports, nil
}

// start starts the process. With a prefix, the controller keeps to one directory all that
// it writes, and reads what it needs from rootfs below its working directory.
func (s *Server) start(binary string, o Options, settings string) error {
	if err := os.Symlink(files(binary), filepath.Join(s.dir, "rootfs")); err != nil {
		return err
	}
	prefix := filepath.Join(s.dir, "root")
	for _, dir := range []string{"etc/haproxy", "var/lib/haproxy", "var/run/haproxy"} {
		if err := os.MkdirAll(filepath.Join(prefix, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.CopyFS(filepath.Join(prefix, "etc/haproxy/lua"), os.DirFS(filepath.Join(files(binary), "etc/lua"))); err != nil {
		return err
	}
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	cmd := exec.Command(binary, "--kubeconfig="+o.Kubeconfig, "--local-filesystem-prefix="+prefix, "--configmap="+settings,
		"--ingress-class="+s.class, "--controller-class="+s.class, "--watch-namespace="+o.Namespace,
		"--enable-endpointslices-api", "--watch-gateway=false", "--disable-pod-list", "--update-status=false", "--profiling=false",
		"--rate-limit-update=2", "--wait-before-update=50ms", "--healthz-port="+ports[0], "--v=1")
	output, err := os.Create(s.output())
	if err != nil {
		return err
	}
	defer output.Close()
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, output, output
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	// Each load of a configuration starts a daemon.
	child.OwnProcesses(cmd)
	s.Process, err = child.StartCommand(cmd)
	return err
}

func (s *Server) output() string { return filepath.Join(s.dir, "haproxy-ingress.log") }

// ready waits until haproxy answers on all addresses.
func (s *Server) ready(ctx context.Context, listen []netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, addr := range listen {
		for {
			err := answers(ctx, addr)
			if err == nil {
				break
			}
			select {
			case <-s.Done():
				return fmt.Errorf("haproxy-ingress ended at once: %v", s.Err())
			case <-ctx.Done():
				return fmt.Errorf("haproxy does not answer: %w", err)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

func answers(ctx context.Context, addr netip.Addr) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+netip.AddrPortFrom(addr, 80).String()+"/", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// Log returns what the controller and haproxy have printed.
func (s *Server) Log() string {
	out, err := os.ReadFile(s.output())
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// Config returns haproxy's configuration.
func (s *Server) Config() string {
	var all strings.Builder
	paths, _ := filepath.Glob(filepath.Join(s.dir, "root/etc/haproxy/*.cfg"))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			text = []byte(err.Error())
		}
		all.Write(text)
	}
	return all.String()
}

// Stop ends all processes, and removes the directory and what Run has created.
func (s *Server) Stop() {
	if s.Process != nil {
		// haproxy needs no farewell, and the controller waits for it.
		s.StopWithin(0)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = s.client.NetworkingV1().IngressClasses().Delete(ctx, s.class, metav1.DeleteOptions{})
	_ = s.client.CoreV1().ConfigMaps(metav1.NamespaceDefault).Delete(ctx, s.class, metav1.DeleteOptions{})
	if s.temp {
		os.RemoveAll(s.dir)
	}
}
