// Command everleaf keeps TLS certificates valid.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/everleaf/everleaf/internal/cli"
)

func main() {
	// What a command has to undo, it undoes also if its terminal or the reader of its
	// output is gone.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Run(ctx, os.Args[0], os.Args[1:], os.Stdout, os.Stderr))
}
