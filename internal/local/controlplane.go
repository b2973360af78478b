package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// How long a child may take to end before it is killed.
const (
	controllerManagerGrace = 5 * time.Second
	apiServerGrace         = 15 * time.Second
	etcdGrace              = 10 * time.Second
)

// readyTimeout bounds a start until the API server is ready. On an idle machine
// a start takes five seconds.
const readyTimeout = 2 * time.Minute

// childEnds is how long a start that has failed waits for the end of a child, which
// says more than the failure that it causes.
const childEnds = 500 * time.Millisecond

// ControlPlane is a running control plane. It is safe for concurrent use.
type ControlPlane struct {
	options        Options
	port, etcdPort int
	lock           *os.File
	ca             *authority
	admin          *rest.Config

	// children are in the order of their start. They are stopped in reverse
	// order.
	children []child
	// life ends when end is called, with its cause: the failure of the first child
	// that ends unexpectedly, or nil to stop.
	life context.Context
	end  context.CancelCauseFunc
	done chan struct{}
	err  error
}

type child struct {
	*process
	grace time.Duration
}

// Start starts a control plane and returns when it is ready: the CRDs are
// established, the admission policies are in force, and the roles and the
// namespace cert-manager exist, unless Options.Bare leaves them out. If ctx ends before that, Start stops
// everything. Later, ctx has no effect.
//
// Errors are for users: they name the port, the file or the program, and what
// to do.
func Start(ctx context.Context, options Options) (*ControlPlane, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	if err := FindBinaries(options.BinDir); err != nil {
		return nil, err
	}
	for _, dir := range []string{"", "pki", "logs", "etcd"} {
		if err := os.MkdirAll(filepath.Join(options.DataDir, dir), 0o700); err != nil {
			return nil, fmt.Errorf("data directory: %w", err)
		}
	}
	fmt.Fprintln(options.Stdout, "Starting etcd, kube-apiserver and kube-controller-manager ...")
	c := &ControlPlane{options: options, done: make(chan struct{})}
	if c.lock, err = lockDataDir(options.DataDir); err != nil {
		return nil, err
	}
	if options.Check != nil {
		if err := options.Check(); err != nil {
			c.lock.Close()
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not ready after %s", readyTimeout))
	defer cancel()
	c.life, c.end = context.WithCancelCause(context.Background())
	defer context.AfterFunc(c.life, cancel)()
	err = c.start(ctx)
	go c.supervise()
	if err != nil {
		// A failed request may be the first sign of a child that ends.
		select {
		case <-c.life.Done():
		case <-time.After(childEnds):
		}
		return nil, cmp.Or(c.Stop(), err)
	}
	return c, nil
}

func (c *ControlPlane) start(ctx context.Context) error {
	if err := c.choosePorts(); err != nil {
		return err
	}
	if err := c.writeFiles(time.Now()); err != nil {
		return err
	}
	var err error
	if c.admin, err = c.writeKubeconfig(c.KubeconfigPath(), "everleaf-admin", mastersGroup); err != nil {
		return err
	}
	if _, err := c.writeKubeconfig(c.pki(controllerManagerConfig), "system:kube-controller-manager"); err != nil {
		return err
	}
	if c.options.AuditLog != "" {
		if err := writeFile(c.auditPolicyPath(), []byte(auditPolicy)); err != nil {
			return err
		}
	}

	if err := c.run("etcd", etcdGrace, c.etcdArguments()); err != nil {
		return err
	}
	if err := c.waitEtcd(ctx); err != nil {
		return err
	}
	if err := c.run("kube-apiserver", apiServerGrace, c.apiServerArguments()); err != nil {
		return err
	}
	if err := c.waitReady(ctx, c.admin); err != nil {
		return err
	}
	if err := c.run("kube-controller-manager", controllerManagerGrace, c.controllerManagerArguments()); err != nil {
		return err
	}
	if c.options.Bare {
		return nil
	}
	return c.install(ctx)
}

func (c *ControlPlane) run(name string, grace time.Duration, args []string) error {
	args = append(args, c.options.Arguments[name]...)
	p, err := startProcess(filepath.Join(c.options.BinDir, name), filepath.Join(c.options.DataDir, "logs"), c.lock, args...)
	if err != nil {
		return err
	}
	c.options.Log.V(1).Info("Started", "program", name, "pid", p.pid, "log", p.log)
	c.children = append(c.children, child{p, grace})
	go func() {
		<-p.done
		if c.life.Err() == nil {
			c.end(p.failure())
		}
	}()
	return nil
}

// supervise waits for Stop or for the first child that ends unexpectedly, and
// then stops the children in reverse order: an API server without etcd would hang.
func (c *ControlPlane) supervise() {
	<-c.life.Done()
	if err := context.Cause(c.life); !errors.Is(err, context.Canceled) {
		c.err = err
	}
	for _, child := range slices.Backward(c.children) {
		child.stop(child.grace)
		c.options.Log.V(1).Info("Ended", "program", child.name, "pid", child.pid)
	}
	c.lock.Close()
	close(c.done)
}

// Stop stops kube-controller-manager, kube-apiserver and etcd, in this order. When
// all have ended, it returns which child had ended unexpectedly and the end of its
// log, or nil. It may be called more than once.
func (c *ControlPlane) Stop() error {
	c.end(nil)
	<-c.done
	return c.err
}

// Done is closed when all children have ended, because of Stop or because one
// of them ended unexpectedly.
func (c *ControlPlane) Done() <-chan struct{} { return c.done }

// Server returns the API server's URL.
func (c *ControlPlane) Server() string { return "https://" + c.address() }

func (c *ControlPlane) address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port))
}

// RESTConfig returns an administrator's client configuration, without a
// client-side rate limit.
func (c *ControlPlane) RESTConfig() *rest.Config { return rest.CopyConfig(c.admin) }

// KubeconfigPath returns the file with an administrator's kubeconfig.
func (c *ControlPlane) KubeconfigPath() string {
	return filepath.Join(c.options.DataDir, "kubeconfig")
}

// PIDs returns the process ids of the children by program name.
func (c *ControlPlane) PIDs() map[string]int {
	pids := make(map[string]int, len(c.children))
	for _, child := range c.children {
		pids[child.name] = child.pid
	}
	return pids
}

// choosePorts chooses the ports of the API server and of etcd. A requested port
// must be free. Without one, the port of the last start is preferred.
func (c *ControlPlane) choosePorts() error {
	remembered := filepath.Join(c.options.DataDir, "port")
	c.port = c.options.Port
	if c.port == 0 {
		if text, err := os.ReadFile(remembered); err == nil {
			c.port, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		}
	}
	listener, err := net.Listen("tcp", c.address())
	if err != nil {
		if c.options.Port != 0 {
			return fmt.Errorf("port %d on 127.0.0.1 cannot be used for the API server (%w): choose another one with --port", c.port, errors.Unwrap(err))
		}
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	defer listener.Close()
	c.port = listener.Addr().(*net.TCPAddr).Port

	// Both listeners are open at the same time, so that the ports differ.
	etcd, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer etcd.Close()
	c.etcdPort = etcd.Addr().(*net.TCPAddr).Port
	return writeFile(remembered, []byte(strconv.Itoa(c.port)+"\n"))
}
