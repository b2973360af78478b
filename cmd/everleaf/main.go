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
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
