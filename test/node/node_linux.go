package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/isolated"
)

// Options configure a node.
type Options struct {
	// Archives are files with images. They are imported, beside PodImage and CoreDNS's.
	Archives []string
	// Hidden are zones that do not exist for CoreDNS. Everything else outside of the
	// cluster it asks Resolver.
	Hidden []string
}

// ready is how long a start may take. On two idle cores it takes half a minute.
const ready = 4 * time.Minute

// directory contains what the node writes. It is in the memory of the namespace.
const directory = "/run/everleaf"

// Node is a running node.
type Node struct {
	client.Client
	// Kubeconfig is the file of an administrator.
	Kubeconfig string

	bin     string
	logs    string
	plane   *local.ControlPlane
	started []component
	// life ends with the first component that ends, which is its cause.
	life context.Context
	end  context.CancelCauseFunc
}

type component struct {
	name string
	*child.Process
}

// Start runs a node until the tests of the package end, and therefore only once. It skips
// the test, with what is missing, if it cannot run here. TestMain must be that of package
// isolated.
func Start(tb testing.TB, o Options) *Node {
	tb.Helper()
	require(tb)
	bin, err := local.DefaultBinDir()
	if err != nil {
		tb.Fatal(err)
	}
	n := newNode(bin, filepath.Join(directory, "logs"))
	tb.Cleanup(func() { n.stop(tb) })
	ctx, cancel := context.WithTimeoutCause(n.life, ready, fmt.Errorf("not ready after %s", ready))
	defer cancel()
	begin := time.Now()
	if err := n.start(ctx, o); err != nil {
		if cause := context.Cause(n.life); cause != nil {
			err = cause
		}
		tb.Fatalf("start a node: %v\n%s", err, n.describe())
	}
	tb.Logf("the node is ready after %s", time.Since(begin).Round(100*time.Millisecond))
	return n
}

// newNode returns one in which nothing runs.
func newNode(bin, logs string) *Node {
	n := &Node{bin: bin, logs: logs}
	n.life, n.end = context.WithCancelCause(context.Background())
	return n
}

func (n *Node) start(ctx context.Context, o Options) error {
	for _, dir := range []string{filepath.Join(directory, "cni"), filepath.Join(directory, "images"), n.logs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := connect(ctx); err != nil {
		return err
	}
	// The control plane and the images do not need each other.
	images := make(chan error, 1)
	go func() { images <- n.startContainerd(ctx, o) }()
	err := n.startControlPlane(ctx)
	if err = errors.Join(err, <-images); err != nil {
		return err
	}
	if err := n.startNode(); err != nil {
		return err
	}
	if err := n.Apply(ctx, coreDNSManifest(o.Hidden)); err != nil {
		return err
	}
	return n.Await(ctx, "CoreDNS to be ready", func(ctx context.Context) error {
		return n.Available(ctx, "kube-system", "coredns")
	})
}

// startControlPlane starts one in which all controllers run, and which pods reach.
func (n *Node) startControlPlane(ctx context.Context) error {
	data := filepath.Join(directory, "controlplane")
	pki := filepath.Join(data, "pki")
	plane, err := local.Start(ctx, local.Options{
		DataDir: data, UnsafeNoFsync: true, Bare: true,
		Arguments: map[string][]string{
			"kube-apiserver": {
				"--bind-address=0.0.0.0", "--advertise-address=" + Address, "--endpoint-reconciler-type=lease",
				"--authorization-mode=Node", "--allow-privileged", "--kubelet-preferred-address-types=InternalIP",
				"--kubelet-client-certificate=" + filepath.Join(pki, "kube-apiserver.crt"),
				"--kubelet-client-key=" + filepath.Join(pki, "kube-apiserver.key"),
			},
			"kube-controller-manager": {"--controllers=*"},
		},
	})
	if err != nil {
		return err
	}
	n.plane, n.Kubeconfig = plane, plane.KubeconfigPath()
	go func() {
		select {
		case <-plane.Done():
			n.end(plane.Stop())
		case <-n.life.Done():
		}
	}()
	scheme, err := operator.Scheme()
	if err != nil {
		return err
	}
	n.Client, err = client.New(plane.RESTConfig(), client.Options{Scheme: scheme})
	return err
}

// startNode starts what makes the machine a node, and waits until it is one.
func (n *Node) startNode() error {
	const name = "node"
	path := func(file string) string { return filepath.Join(directory, file) }
	for user, groups := range map[string][]string{
		"system:node:" + name: {"system:nodes"}, "system:kube-proxy": nil, "system:kube-scheduler": nil,
	} {
		config, err := n.plane.ConfigFor(user, groups...)
		if err == nil {
			err = writeKubeconfig(path(user+".kubeconfig"), config)
		}
		if err != nil {
			return err
		}
	}
	files := map[string]string{
		"resolv.conf":  "nameserver " + Resolver + "\n",
		"kubelet.yaml": kubeletConfig(path("controlplane/pki/ca.crt"), path("resolv.conf")),
		"proxy.yaml":   proxyConfig(path("system:kube-proxy.kubeconfig")),
	}
	for file, text := range files {
		if err := os.WriteFile(path(file), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return errors.Join(
		n.run(filepath.Join(n.bin, "kubelet"), "--config="+path("kubelet.yaml"), "--kubeconfig="+path("system:node:"+name+".kubeconfig"),
			"--hostname-override="+name, "--node-ip="+Address),
		n.run(filepath.Join(n.bin, "kube-proxy"), "--config="+path("proxy.yaml")),
		n.run(filepath.Join(n.bin, "kube-scheduler"), "--kubeconfig="+path("system:kube-scheduler.kubeconfig"), "--leader-elect=false", "--secure-port=0"),
	)
}

// run starts a program that must not end before the node does.
func (n *Node) run(program string, args ...string) error {
	process, err := child.Start(n.logs, program, args...)
	if err != nil {
		return err
	}
	c := component{filepath.Base(program), process}
	n.started = append(n.started, c)
	go func() {
		select {
		case <-process.Done():
			n.end(fmt.Errorf("%s ended unexpectedly (%v); the end of its log:\n%s", c.name, process.Err(), tail(process.Log())))
		case <-n.life.Done():
		}
	}()
	return nil
}

// stop reports why the node or the test has failed. Everything ends with the namespaces,
// without waiting for it to end in order.
func (n *Node) stop(tb testing.TB) {
	if cause := context.Cause(n.life); cause != nil {
		tb.Errorf("the node failed: %v", cause)
	}
	if tb.Failed() && n.Client != nil {
		tb.Logf("%s", n.describe())
	}
	n.end(nil)
}

// Hold does not return if the user has asked to keep the node ($KEEP). It is for the end
// of a test, before its servers stop.
func (n *Node) Hold() {
	if os.Getenv(isolated.Keep) != "" {
		fmt.Fprintf(os.Stderr, "The node runs until Ctrl-C. In its namespaces: export KUBECONFIG=%s PATH=%s:$PATH\n", n.Kubeconfig, n.bin)
		select {}
	}
}

// ControlPlane returns the node's control plane, for clients.
func (n *Node) ControlPlane() *local.ControlPlane { return n.plane }

func writeKubeconfig(path string, config *rest.Config) error {
	const name = "node"
	return clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, path)
}
