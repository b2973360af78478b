// Package solverwebhook runs DNS-01 solver webhooks: servers behind the Kubernetes
// API server's aggregation layer that write challenge records for cert-manager, or
// for everleaf, which sends the same requests.
//
// A solver implements Solver, and its main function is
//
//	func main() { solverwebhook.Main(&mySolver{}) }
//
// The program reads its API group from the environment variable GROUP_NAME and takes
// the flags that charts of solver webhooks pass. It serves each solver as the resource
// of its name, asks the API server who may use it, and reloads its certificate and
// the authorities that it trusts when these change.
//
// Package solvertest tests that a solver does what Solver says.
package solverwebhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
)

// Solver writes challenge records at one DNS service. Its methods are called
// concurrently.
//
// The text of an error becomes the status of the Challenge, where users read it: it
// says what failed and what to do, and contains no secrets. It is the same whenever
// the same fails: no request ids, and no times.
type Solver interface {
	// Name is the resource under which the solver is served, and solverName in issuers:
	// a DNS label in lower case.
	Name() string
	// Present adds a TXT record with the value r.Key at r.ResolvedFQDN, which is in
	// the zone r.ResolvedZone. Both names end with a dot. Other values at the name stay.
	// It succeeds if the record exists already. It does not wait until all name
	// servers have the record: the caller does. ctx ends with the caller's patience,
	// which is at most Patience.
	Present(ctx context.Context, r *v1alpha1.ChallengeRequest) error
	// CleanUp removes the record that Present has added, and no other value. It
	// succeeds if the record does not exist. The process may have been restarted after
	// Present.
	CleanUp(ctx context.Context, r *v1alpha1.ChallengeRequest) error
}

// Initializer is a Solver that needs the API server: to read Secrets, for example.
type Initializer interface {
	// Initialize is called once, before the first request. ctx ends when the program
	// is to end. After an error the program ends, without a call of Close.
	Initialize(ctx context.Context, config *rest.Config) error
}

// groupVariable is the environment variable with the API group.
const groupVariable = "GROUP_NAME"

// Main runs solvers until SIGTERM or SIGINT, with the API group of the environment
// variable GROUP_NAME and the flags of the command line. It does not return.
func Main(solvers ...Solver) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	options := Options{GroupName: os.Getenv(groupVariable)}
	err := start(ctx, &options, os.Args, solvers)
	klog.Flush()
	if errors.Is(err, pflag.ErrHelp) {
		err = nil
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func start(ctx context.Context, options *Options, args []string, solvers []Solver) error {
	flags := pflag.NewFlagSet(args[0], pflag.ContinueOnError)
	options.AddFlags(flags)
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	ctrllog.SetLogger(klog.Background())
	warnOfIgnored(flags)
	return Run(ctx, *options, solvers...)
}

// Run runs solvers until ctx ends, and then finishes the requests that it has
// accepted. Before it returns, it closes those solvers that implement io.Closer. It
// returns an error if it cannot start, if requests take too long to finish, and if a
// solver cannot be closed.
func Run(ctx context.Context, options Options, solvers ...Solver) (err error) {
	defer func() {
		// The server closes it too, once it runs.
		if options.Listener != nil {
			_ = options.Listener.Close()
		}
	}()
	if err := options.complete(solvers); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(options.Config)
	if err != nil {
		return err
	}
	server, err := newServer(options, client, solvers)
	if err != nil {
		return err
	}
	for _, s := range solvers {
		if init, is := s.(Initializer); is {
			if err := init.Initialize(ctx, rest.CopyConfig(options.Config)); err != nil {
				return fmt.Errorf("initialize solver %s: %w", s.Name(), err)
			}
		}
		if c, is := s.(io.Closer); is {
			defer func() {
				if failed := c.Close(); failed != nil {
					err = errors.Join(err, fmt.Errorf("close solver %s: %w", s.Name(), failed))
				}
			}()
		}
	}
	return server.run(ctx)
}
