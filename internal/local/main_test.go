package local_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/controlplane"
)

// runDir makes this test binary run a control plane on a directory, as
// `everleaf local` does, instead of tests.
const runDir = "EVERLEAF_TEST_RUN_LOCAL_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(runDir); dir != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		if err := local.Run(ctx, local.Options{DataDir: dir, UnsafeNoFsync: true, Stdout: os.Stdout}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(controlplane.Main(m))
}
