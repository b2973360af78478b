package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/pebble"
)

// issuerTimeout bounds the registration of the ACME account.
const issuerTimeout = time.Minute

type options struct {
	dns      string
	keep     bool
	everleaf string
	// build is the path of tools/build.
	build   string
	binDir  string
	timeout time.Duration
	out     io.Writer
	// secret, if set, replaces the name server's key in the Secret, for tests.
	secret string
}

// quickstart is one run.
type quickstart struct {
	options
	dir        string
	kubectl    kubectl
	names      *nameServer
	ca         *pebble.Server
	metrics    string
	log        *changeLog
	kubeClient kubernetes.Interface
	// cancel ends the run.
	cancel context.CancelCauseFunc
	// stops are called in reverse order.
	stops []func()
}

// run performs all steps, and has stopped everything when it returns. If ctx
// ends before the certificate is issued, it returns ctx's error.
func run(ctx context.Context, o options) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	q := &quickstart{options: o, cancel: cancel}
	if q.dir, err = os.MkdirTemp("", "everleaf-quickstart-"); err != nil {
		return err
	}
	defer func() { err = q.finish(ctx, err) }()

	q.say("1. Start a name server, an ACME server, and a Kubernetes API server with everleaf\n")
	for _, step := range []func(context.Context) error{
		q.startServers, q.startEverleaf, q.watch, q.createIssuer, q.createCertificate, q.showResult,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if q.keep {
		q.showHowToLookAround()
		<-ctx.Done()
		q.say("")
		return died(ctx)
	}
	return nil
}

// finish stops everything and returns the most specific error.
func (q *quickstart) finish(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		// The end of ctx is the cause of whatever failed.
		err = cmp.Or(died(ctx), ctx.Err())
	}
	failed := err != nil && !errors.Is(err, context.Canceled)
	if failed {
		q.say("")
	}
	if died := died(ctx); died != nil {
		q.showLog()
	}
	for i := len(q.stops) - 1; i >= 0; i-- {
		q.stops[i]()
	}
	if failed {
		// The logs stay for troubleshooting.
		return errors.Join(err, os.RemoveAll(q.dataDir("etcd")), fmt.Errorf("logs are kept in %s", q.dir))
	}
	err = errors.Join(err, os.RemoveAll(q.dir))
	if err == nil {
		q.say("Everything is stopped, and its data is removed.")
	}
	return err
}

func (q *quickstart) say(format string, args ...any) { fmt.Fprintf(q.out, format+"\n", args...) }

func (q *quickstart) dataDir(path ...string) string {
	return filepath.Join(append([]string{q.dir, "data"}, path...)...)
}

// startServers starts the servers that are elsewhere on the network in
// production.
func (q *quickstart) startServers(ctx context.Context) error {
	var err error
	if q.names, err = startNameServer(ctx, q.dns); err != nil {
		return err
	}
	q.stops = append(q.stops, q.names.stop)
	q.say("  Name server   %s: %s, zone %s", q.names.addr, q.names.about, zoneName)
	q.say("                takes updates signed with the key %s (HMAC-SHA512)", keyName)

	q.ca, err = pebble.Run(ctx, pebble.Options{
		Binary: filepath.Join(q.binDir, "pebble"), Dir: q.dir, DNSServer: q.names.addr, Env: []string{"PEBBLE_VA_NOSLEEP=1"},
	})
	if err != nil {
		return err
	}
	q.stops = append(q.stops, q.ca.Stop)
	q.say("  ACME server   %s: Pebble, which asks the name server for the", q.ca.DirectoryURL)
	q.say("                records before it signs anything")
	q.say("  Propagation   everleaf asks this name server only (--dns01-recursive-nameservers-only)")
	q.say("                whether a record is there. By default it asks every authoritative server of")
	q.say("                the zone, on port 53, which only root can open; leave the flag out in a cluster.\n")
	return nil
}

func (q *quickstart) startEverleaf(ctx context.Context) error {
	var err error
	if q.metrics, err = child.FreeAddress(); err != nil {
		return err
	}
	plane, err := startEverleaf(ctx, q.everleaf, q.dir, q.out,
		"--data-dir="+q.dataDir(), "--bin-dir="+q.binDir, "--port=0",
		"--dns01-recursive-nameservers="+q.names.addr, "--dns01-recursive-nameservers-only",
		"--metrics-listen-address="+q.metrics, "--internal-healthz-listen-address=0", "--v=5")
	if err != nil {
		return err
	}
	q.stops = append(q.stops, func() { plane.StopWithin(stopTimeout) })
	go func() {
		<-plane.Done()
		if err := plane.Err(); err != nil {
			q.cancel(fmt.Errorf("%w (%w)", errDied, err))
		}
		q.cancel(errDied)
	}()
	select {
	case <-plane.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	q.kubectl = kubectl{path: local.Kubectl(q.binDir), kubeconfig: q.dataDir("kubeconfig"), dir: q.dir, out: q.out}
	if q.kubectl.path == "" {
		return errors.New("there is no kubectl on PATH or in " + q.binDir + ": `make tools` builds one")
	}
	q.say("")
	return nil
}

// watch starts to print changes.
func (q *quickstart) watch(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", q.kubectl.kubeconfig)
	if err != nil {
		return err
	}
	if q.kubeClient, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	q.log = newChangeLog(q.out)
	stop, err := q.log.watch(ctx, config)
	if err != nil {
		return fmt.Errorf("watch the API server: %w", err)
	}
	// Stop the watches before the API server: they would log errors.
	q.stops = append(q.stops, stop)
	return nil
}
