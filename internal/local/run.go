package local

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Run is `everleaf local`: it starts a control plane, tells the user what is
// there, runs the controllers, and returns after ctx has ended and everything
// is stopped: the controllers first, as they have leases to release and
// records to remove, then the control plane.
func Run(ctx context.Context, options Options) error {
	options, err := options.complete()
	if err != nil {
		return err
	}
	out := options.Stdout
	began := time.Now()
	fmt.Fprintln(out, "Starting etcd, kube-apiserver and kube-controller-manager ...")
	c, err := Start(ctx, options)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Ready after %.1f s.\n\n", time.Since(began).Seconds())
	fmt.Fprintf(out, "  API server  %s\n", c.Server())
	fmt.Fprintf(out, "  Data        %s (kept; remove it to start afresh)\n", options.DataDir)
	fmt.Fprintf(out, "  Logs        %s/logs\n\n", options.DataDir)
	fmt.Fprintf(out, "In another terminal:\n\n  export KUBECONFIG=%s\n  kubectl get clusterissuers,certificates -A\n\nCtrl-C stops everything.\n", c.KubeconfigPath())

	err = c.runControllers(ctx)
	fmt.Fprintln(out, "Stopping ...")
	err = errors.Join(err, c.Stop())
	if err == nil {
		fmt.Fprintln(out, "Stopped.")
	}
	return err
}

// runControllers returns when ctx ends, a child ended by itself, or the
// controllers returned; the controllers are gone then.
func (c *ControlPlane) runControllers(ctx context.Context) error {
	if c.options.Run == nil {
		select {
		case <-ctx.Done():
		case <-c.done:
		}
		return nil
	}
	config, err := c.ControllerConfig()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- c.options.Run(ctx, config) }()
	select {
	case err = <-result:
	case <-c.done:
		// What the controllers say about an API server that is gone is noise.
		cancel()
		<-result
		return nil
	case <-ctx.Done():
		err = <-result
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("controllers: %w", err)
	}
	return nil
}
