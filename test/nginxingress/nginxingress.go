// Package nginxingress is an ingress controller and a Gateway API implementation for tests,
// in the test's process, with Debian's nginx as its data plane. It serves Ingresses of a
// class and HTTPRoutes of the Gateways of a class on addresses of the loopback interface,
// and can have the faults of the field's controllers. It needs root, for the ports 80 and
// 443.
package nginxingress

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/dnsdaemon"
)

// Name is the controller's name in IngressClasses, in the status of routes and as field
// manager.
const Name = "everleaf.test/nginx"

// Options configure a controller.
type Options struct {
	// Config is how the API server is reached.
	Config *rest.Config
	// Class is the name of the IngressClass, which Run creates and Stop deletes, and the
	// value of the annotation kubernetes.io/ingress.class. Empty means "nginx".
	Class string
	// Default marks the IngressClass as the cluster's default. The controller then also
	// serves Ingresses that have no class.
	Default bool
	// GatewayClass is the class of the Gateways that are served. Empty means none: then the
	// Gateway API need not be installed.
	GatewayClass string
	// Namespaces are those that count; none means all.
	Namespaces []string
	// Listen are the addresses, each with the ports 80 and 443, such as one from
	// address.Edge.
	Listen []netip.Addr
	// Faults are those to begin with; see Controller.Set.
	Faults Faults
}

// ErrMissing means that the controller cannot run here.
var ErrMissing = errors.New("nginx cannot run")

// Controller is a running controller with its nginx.
type Controller struct {
	options Options
	client  client.Client
	cache   cache.Cache
	nginx   *nginx
	changed chan struct{}
	cancel  context.CancelFunc
	group   sync.WaitGroup

	mu     sync.Mutex
	faults Faults
	held   bool
}

// Start runs a controller until the test ends. It skips the test if something is missing.
func Start(tb testing.TB, o Options) *Controller {
	tb.Helper()
	c, err := Run(tb.Context(), o)
	if errors.Is(err, ErrMissing) {
		child.Missing(tb, "%v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	child.StopAtEnd(tb, "nginx", c)
	return c
}

// Run starts a controller and returns when its nginx serves what the API server has. It
// runs until Stop.
func Run(ctx context.Context, o Options) (_ *Controller, err error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: port 80 and namespaces need root", ErrMissing)
	}
	program, err := dnsdaemon.Find("nginx")
	if err != nil {
		return nil, fmt.Errorf("%w: it is not installed (Debian: apt-get install nginx)", ErrMissing)
	}
	o.Class = cmp.Or(o.Class, "nginx")
	c := &Controller{options: o, faults: o.Faults, changed: make(chan struct{}, 1)}
	if err := c.connect(); err != nil {
		return nil, err
	}
	if err := c.createClass(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()
	if c.nginx, err = startNginx(ctx, program, o.Listen); err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	if err := c.watch(running); err != nil {
		return nil, err
	}
	if err := c.sync(ctx); err != nil {
		return nil, err
	}
	c.group.Go(func() { c.loop(running) })
	return c, nil
}

// connect makes the client and the cache.
func (c *Controller) connect() error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, gatewayv1.Install} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	config := rest.CopyConfig(c.options.Config)
	config.QPS = -1
	// Its writes are told from those of the system under test.
	config.UserAgent = Name
	var err error
	if c.client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	namespaces := map[string]cache.Config{}
	for _, namespace := range c.options.Namespaces {
		namespaces[namespace] = cache.Config{}
	}
	c.cache, err = cache.New(config, cache.Options{Scheme: scheme, DefaultNamespaces: namespaces})
	return err
}

func (c *Controller) createClass(ctx context.Context) error {
	class := &networkingv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{Name: c.options.Class, Annotations: map[string]string{}},
		Spec:       networkingv1.IngressClassSpec{Controller: Name},
	}
	if c.options.Default {
		class.Annotations[networkingv1.AnnotationIsDefaultIngressClass] = "true"
	}
	return c.client.Create(ctx, class)
}

// loop loads what has changed until ctx ends.
func (c *Controller) loop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.changed:
		}
		err := c.sync(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !apierrors.IsConflict(err) {
			c.nginx.note(err)
		}
		if err != nil {
			time.AfterFunc(retry, c.change)
		}
	}
}

// retry is how soon after an error the controller tries again.
const retry = 200 * time.Millisecond

// change has the controller look at everything again.
func (c *Controller) change() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// Addr returns the first address.
func (c *Controller) Addr() netip.Addr { return c.options.Listen[0] }

// Hold keeps the controller from loading any change until Release, like a slow one.
func (c *Controller) Hold() { c.hold(true) }

// Release ends Hold.
func (c *Controller) Release() { c.hold(false) }

func (c *Controller) hold(held bool) {
	c.mu.Lock()
	c.held = held
	c.mu.Unlock()
	c.change()
}

// Set replaces the faults.
func (c *Controller) Set(f Faults) {
	c.mu.Lock()
	c.faults = f
	c.mu.Unlock()
	c.change()
}

// Config returns nginx's configuration.
func (c *Controller) Config() string { return c.nginx.file(configFile) }

// Log returns what nginx and the controller have printed, requests too.
func (c *Controller) Log() string { return c.nginx.log() }

// Stop ends nginx and the controller and deletes the IngressClass.
func (c *Controller) Stop() {
	if c.cancel != nil {
		c.cancel()
	}
	c.group.Wait()
	if c.nginx != nil {
		c.nginx.stop()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = c.client.Delete(ctx, &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: c.options.Class}})
}
