// Package cli is the everleaf command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Main runs a command line (args without the program's name) until it ends or
// ctx ends, and returns the exit status.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(joinVerbosity(withSolver(args)))
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
	root.AddCommand(newLocalCommand(), newControllerCommand(), newWebhookCommand(), newCAInjectorCommand(), newACMESolverCommand(), newExplainCommand())
	root.AddCommand(newCheckCommand(), newStartupAPICheckCommand(), newVersionCommand())
	root.SetFlagErrorFunc(suggestFlag)
	return root
}

// suggestFlag adds the flags that a user may have meant by one that is unknown.
func suggestFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || len(unknown.GetSpecifiedName()) < 2 {
		return err
	}
	// Cobra finds similar names among commands only.
	flags := &cobra.Command{SuggestionsMinimumDistance: 2}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
		}
	})
	if found := flags.SuggestionsFor(unknown.GetSpecifiedName()); len(found) > 0 {
		return fmt.Errorf("%w; did you mean --%s?", err, strings.Join(found, " or --"))
	}
	return fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath())
}
