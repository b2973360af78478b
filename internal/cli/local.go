package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/everleaf/everleaf/internal/local"
)

func newLocalCommand() *cobra.Command {
	var options local.Options
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Run a Kubernetes control plane and the controllers on this machine",
		Long: `Runs etcd, kube-apiserver and the needed parts of kube-controller-manager on
loopback, with everleaf's CRDs, roles and admission policies, and the
controllers in the same process. No root, no containers, no nodes: certificates
are issued, pods do not run.

Ctrl-C stops all of it. The data stays in --data-dir, and starting again finds
everything as it was.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			options.Stdout = cmd.OutOrStdout()
			if err := completeDirs(cmd, &options); err != nil {
				return err
			}
			return local.Run(cmd.Context(), options)
		},
	}
	options.Run = localControllers(cmd)
	flags := cmd.Flags()
	flags.StringVar(&options.DataDir, "data-dir", "", "where everything is kept (default $XDG_DATA_HOME/everleaf or ~/.local/share/everleaf)")
	flags.StringVar(&options.BinDir, "bin-dir", "", "where etcd, kube-apiserver and kube-controller-manager are (default $EVERLEAF_BIN_DIR, $XDG_CACHE_HOME/everleaf/bin or ~/.cache/everleaf/bin; built from source there when run in a checkout)")
	flags.IntVar(&options.Port, "port", local.DefaultPort, "port of the API server on 127.0.0.1; 0 means any free one")
	flags.StringVar(&options.AuditLog, "audit-log", "", "file for the API server's audit log, one JSON line per request (default none)")
	return cmd
}

// completeDirs fills in the default directories. In a checkout it builds the
// binaries that are missing or out of date, unless --bin-dir says that they
// come from elsewhere.
func completeDirs(cmd *cobra.Command, options *local.Options) error {
	var err error
	if options.DataDir == "" {
		if options.DataDir, err = local.DefaultDataDir(); err != nil {
			return fmt.Errorf("%w: say with --data-dir where to keep everything", err)
		}
	}
	if options.BinDir != "" {
		return nil
	}
	if options.BinDir, err = local.DefaultBinDir(); err != nil {
		return fmt.Errorf("%w: say with --bin-dir where the programs are", err)
	}
	return local.Build(cmd.Context(), options.BinDir, cmd.OutOrStdout())
}
