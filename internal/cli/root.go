// Package cli is the everleaf command.
package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Main runs a command line (args without the program's name) until it ends or
// ctx ends, and returns the exit status.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(joinVerbosity(args))
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(stderr, "everleaf: %v\n", err)
		return 1
	}
	return 0
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "everleaf",
		Short:         "Keep TLS certificates valid",
		Version:       thisBuild().String(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newLocalCommand(), newControllerCommand(), newWebhookCommand(), newCAInjectorCommand(), newExplainCommand())
	root.AddCommand(newCheckCommand(), newStartupAPICheckCommand(), newVersionCommand())
	return root
}
