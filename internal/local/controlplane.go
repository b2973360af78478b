package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// How long a child may take to end before it is killed.
const (
	controllerManagerGrace = 5 * time.Second
	apiServerGrace         = 15 * time.Second
	etcdGrace              = 10 * time.Second
)

// readyTimeout is the longest that a start may take until the API server is
// ready; on an idle machine it takes five seconds.
const readyTimeout = 2 * time.Minute

// ControlPlane is a running control plane. Its methods may be called from any
// goroutine.
type ControlPlane struct {
	options        Options
	port, etcdPort int
	lock           *os.File
	ca             *authority
	files          files
	admin          *rest.Config

	// children in the order of their start; they are stopped in reverse.
	children []child
	stop     sync.Once
	stopping chan struct{}
	done     chan struct{}
	err      error
}

type child struct {
	*process
	grace time.Duration
}

// Start starts a control plane and returns when it is ready: CRDs established,
// admission policies in force, roles and the namespace cert-manager there. If
// ctx ends before that, everything is stopped again; later ctx has no meaning.
//
// Errors are for people: they name the port, the file or the program, and what
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
	c := &ControlPlane{options: options, stopping: make(chan struct{}), done: make(chan struct{})}
	if c.lock, err = lockDataDir(options.DataDir); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not ready after %s", readyTimeout))
	defer cancel()
	if err := c.start(ctx); err != nil {
		c.stopChildren()
		c.lock.Close()
		return nil, err
	}
	go c.supervise()
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
	if c.admin, err = c.ConfigFor("everleaf-admin", mastersGroup); err != nil {
		return err
	}
	if err := c.writeKubeconfig(c.KubeconfigPath(), c.admin); err != nil {
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
	if err := c.waitAPIServer(ctx); err != nil {
		return err
	}
	kubeconfig, err := c.writeControllerManagerConfig()
	if err != nil {
		return err
	}
	if err := c.run("kube-controller-manager", controllerManagerGrace, c.controllerManagerArguments(kubeconfig)); err != nil {
		return err
	}
	return c.orChildFailure(c.install(ctx))
}

func (c *ControlPlane) run(name string, grace time.Duration, args []string) error {
	p, err := startProcess(filepath.Join(c.options.BinDir, name), filepath.Join(c.options.DataDir, "logs"), c.lock, args...)
	if err != nil {
		return err
	}
	c.options.Log.V(1).Info("Started", "program", name, "pid", p.pid, "log", p.log)
	c.children = append(c.children, child{p, grace})
	return nil
}

// supervise waits for a request to stop or for the first child that ends by
// itself, and then ends the others.
func (c *ControlPlane) supervise() {
	ended := make(chan *process, len(c.children))
	for _, child := range c.children {
		go func() {
			<-child.done
			ended <- child.process
		}()
	}
	select {
	case <-c.stopping:
	case p := <-ended:
		select {
		case <-c.stopping:
		default:
			c.err = p.failure()
		}
	}
	c.stopChildren()
	c.lock.Close()
	close(c.done)
}

// stopChildren ends the children, the last started first: an API server whose
// etcd is gone would hang.
func (c *ControlPlane) stopChildren() {
	for i := len(c.children) - 1; i >= 0; i-- {
		child := c.children[i]
		child.stop(child.grace)
		c.options.Log.V(1).Info("Ended", "program", child.name, "pid", child.pid)
	}
}

// orChildFailure returns the failure of a child that has ended instead of an
// error that is only its consequence.
func (c *ControlPlane) orChildFailure(err error) error {
	if err == nil {
		return nil
	}
	for _, child := range c.children {
		select {
		case <-child.done:
			return child.failure()
		default:
		}
	}
	return err
}

// Stop ends kube-controller-manager, kube-apiserver and etcd, in this order,
// and returns when they are gone. It may be called more than once. It returns
// Err().
func (c *ControlPlane) Stop() error {
	c.stop.Do(func() { close(c.stopping) })
	<-c.done
	return c.err
}

// Done is closed when all children have ended, because of Stop or because one
// of them ended by itself.
func (c *ControlPlane) Done() <-chan struct{} { return c.done }

// Err tells, once Done is closed, which child ended by itself and what it last
// logged; nil after Stop.
func (c *ControlPlane) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Wait returns when ctx ends, after stopping everything, or when a child ended
// by itself, with an error that names it.
func (c *ControlPlane) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return c.Stop()
	case <-c.done:
		return c.err
	}
}

// Server is the API server's URL.
func (c *ControlPlane) Server() string { return "https://" + c.address() }

func (c *ControlPlane) address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port))
}

// RESTConfig returns an administrator's client configuration, without any
// client-side rate limit.
func (c *ControlPlane) RESTConfig() *rest.Config { return rest.CopyConfig(c.admin) }

// KubeconfigPath is the file with an administrator's kubeconfig.
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

// choosePorts settles the ports of the API server and of etcd. A port that was
// asked for must be free; without one the port of the last start is preferred.
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

	// Both are open at the same time, so that they differ.
	etcd, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer etcd.Close()
	c.etcdPort = etcd.Addr().(*net.TCPAddr).Port
	return writeFile(remembered, []byte(strconv.Itoa(c.port)+"\n"))
}
