package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/everleaf/everleaf/internal/configfile"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/internal/operator"
)

func newLocalCommand() *cobra.Command {
	var options local.Options
	// The controllers are alone on the machine, so they run without leader election
	// and listen on loopback only.
	controllers := operator.Defaults()
	controllers.ClusterResourceNamespace = local.Namespace
	controllers.LeaderElection.Enabled = false
	controllers.MetricsListenAddress = "127.0.0.1:9402"
	controllers.HealthzListenAddress = "127.0.0.1:9403"
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Run a Kubernetes control plane and the controllers on this machine",
		Long: `Runs etcd, kube-apiserver and the needed parts of kube-controller-manager on
loopback, with everleaf's CRDs, roles and admission policies, and the
controllers in the same process. No root, no containers, no nodes: certificates
are issued, pods do not run.

The programs must be in --bin-dir: "make tools" in a checkout of everleaf builds
them from source.

Ctrl-C stops everything. The data stays in --data-dir, and the next start
continues with it.`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	start := configured(cmd, configfile.Controller, &controllers)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		// Wrong flags are refused before anything starts.
		if err := start(); err != nil {
			return fmt.Errorf("controllers: %w", err)
		}
		// Another process on the same data also has the addresses: that is said first.
		options.Check = func() error {
			if err := controllers.Listeners().Try(); err != nil {
				return fmt.Errorf("controllers: %w", err)
			}
			return nil
		}
		options.Stdout = cmd.OutOrStdout()
		options.Run = func(ctx context.Context, config *rest.Config) error {
			return operator.Run(ctx, config, controllers, klog.Background())
		}
		return local.Run(cmd.Context(), options)
	}
	flags.StringVar(&options.DataDir, "data-dir", "", "directory for all data (default $XDG_DATA_HOME/everleaf or ~/.local/share/everleaf)")
	flags.StringVar(&options.BinDir, "bin-dir", "", "directory of etcd, kube-apiserver and kube-controller-manager (default $EVERLEAF_BIN_DIR, $XDG_CACHE_HOME/everleaf/bin or ~/.cache/everleaf/bin)")
	flags.IntVar(&options.Port, "port", local.DefaultPort, "port of the API server on 127.0.0.1; 0 chooses a free port")
	flags.StringVar(&options.AuditLog, "audit-log", "", "file for the API server's audit log, one JSON line per request (default none)")
	return cmd
}
