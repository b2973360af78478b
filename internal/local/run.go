package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// Run is `everleaf local`: it starts a control plane, prints how to use it, and
// runs the controllers until ctx ends. It returns when everything is stopped:
// first the controllers, which have leases to release and records to remove,
// then the control plane.
func Run(ctx context.Context, options Options) error {
	began := time.Now()
	c, err := Start(ctx, options)
	if err != nil {
		return err
	}
	out := c.options.Stdout
	fmt.Fprintf(out, "Ready after %.1f s.\n\n", time.Since(began).Seconds())
	c.describe(out)

	err = c.runControllers(ctx)
	fmt.Fprintln(out, "Stopping ...")
	err = errors.Join(err, c.Stop())
	if err == nil {
		fmt.Fprintln(out, "Stopped.")
	}
	return err
}

// describe prints the addresses and what to type next.
func (c *ControlPlane) describe(out io.Writer) {
	fmt.Fprintf(out, `  API server  %s
  Data        %s (kept; remove it to start anew)
  Logs        %s

In another terminal:

  export KUBECONFIG=%s
  %s get clusterissuers,certificates -A

Ctrl-C stops everything.
`, c.Server(), c.options.DataDir, filepath.Join(c.options.DataDir, "logs"), c.KubeconfigPath(), cmp.Or(Kubectl(c.options.BinDir), "kubectl"))
}

// runControllers runs the controllers until ctx ends, a child ends
// unexpectedly, or the controllers return. The controllers have stopped when it
// returns.
func (c *ControlPlane) runControllers(ctx context.Context) error {
	config, err := c.ControllerConfig()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	err = c.options.Run(ctx, config)
	// After the loss of the API server, errors of the controllers are noise.
	if err != nil && c.life.Err() == nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("controllers: %w", err)
	}
	return nil
}
