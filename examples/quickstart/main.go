// Command quickstart issues a certificate on this machine in the same way as a
// cluster gets one from a public CA. It runs `everleaf local`, a name server
// that accepts signed updates (RFC 2136), and Pebble, an ACME server (RFC 8555)
// that looks the records up before it signs. `make quickstart` runs it.
//
// It is an example and not part of the product, because it starts the servers
// of the tests.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/everleaf/everleaf/internal/local"
)

// interrupted is the exit status after Ctrl-C before the certificate is issued.
const interrupted = 130

func main() {
	o := options{out: os.Stdout}
	flag.StringVar(&o.dns, "dns", "builtin", "name server: builtin, or bind for BIND's named")
	flag.StringVar(&o.everleaf, "everleaf", "bin/everleaf", "the everleaf binary")
	flag.StringVar(&o.build, "build", "tools/build", "the script that builds the servers from source")
	flag.DurationVar(&o.timeout, "timeout", 2*time.Minute, "longest wait for the certificate")
	flag.BoolVar(&o.keep, "keep", term.IsTerminal(int(os.Stdin.Fd())), "keep running until Ctrl-C after the certificate is issued (default: if the input is a terminal)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	err := complete(&o, flag.Args())
	if err == nil {
		err = build(ctx, o)
	}
	if err == nil {
		err = run(ctx, o)
	}
	code := 0
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "\nInterrupted. Everything is stopped.")
		code = interrupted
	case err != nil:
		fmt.Fprintf(os.Stderr, "\nquickstart: %v\n", err)
		code = 1
	}
	stop()
	os.Exit(code)
}

func complete(o *options, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	if o.dns != dnsBuiltin && o.dns != dnsBIND {
		return fmt.Errorf("the name server is %q; it can be %s or %s (make quickstart DNS=%[3]s)", o.dns, dnsBuiltin, dnsBIND)
	}
	if _, err := os.Stat(o.everleaf); err != nil {
		return fmt.Errorf("%w: run `make build` first", err)
	}
	var err error
	o.binDir, err = local.DefaultBinDir()
	return err
}

// build runs tools/build for the servers. It looks for BIND first, because
// building can take minutes and cannot provide BIND. tools/build skips what is
// up to date.
func build(ctx context.Context, o options) error {
	if o.dns == dnsBIND {
		if _, err := bindVersion(ctx); err != nil {
			return err
		}
	}
	names := append([]string{"pebble"}, local.Binaries...)
	if local.Kubectl(o.binDir) == "" {
		names = append(names, "kubectl")
	}
	cmd := exec.CommandContext(ctx, o.build, names...)
	cmd.Env = append(os.Environ(), "EVERLEAF_BIN_DIR="+o.binDir)
	cmd.Stdout, cmd.Stderr = o.out, o.out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Run(); err != nil {
		return cmp.Or(ctx.Err(), fmt.Errorf("%s %s: %w", o.build, strings.Join(names, " "), err))
	}
	return nil
}
