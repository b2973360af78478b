// Package cli is the everleaf command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Main runs a command line (args without the program's name) until it ends or
// ctx ends, and returns the exit status.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return Run(ctx, usualName, args, stdout, stderr)
}

// Run is Main for a program that was started as program, a path: as a plugin of kubectl,
// help and errors name the command as it was typed; see callOf.
func Run(ctx context.Context, program string, args []string, stdout, stderr io.Writer) int {
	by := callOf(program)
	root := newRootCommand()
	if by.completion {
		args = append([]string{cobra.ShellCompRequestCmd}, args...)
	}
	by.rename(root)
	root.SetArgs(joinVerbosity(withSolver(args)))
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); gone(err) {
		// Who reads the output has seen enough, as head does.
		return 1
	} else if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", by.name, err)
		return 1
	}
	return 0
}

// gone reports whether a command ended because nobody reads its output any more.
func gone(err error) bool {
	var failed *fs.PathError
	return errors.As(err, &failed) && failed.Path == os.Stdout.Name() && errors.Is(failed, syscall.EPIPE)
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           usualName,
		Short:         "Keep TLS certificates valid",
		Version:       thisBuild().String(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddGroup(&cobra.Group{ID: forPeople, Title: "Commands for people:"}, &cobra.Group{ID: inCluster, Title: "Programs that run in a cluster, or in place of one:"})
	addTo(root, forPeople, newStatusCommand(), newReportCommand(), newRenewCommand(), newInspectCommand(), newExplainCommand(), newCheckCommand(), newMigrateCommand(),
		newApproveCommand(), newDenyCommand(), newCreateCommand(), newConvertCommand(), newUpgradeCommand(), newExperimentalCommand(),
		newVersionCommand(), newCompletionCommand())
	addTo(root, inCluster, newControllerCommand(), newWebhookCommand(), newCAInjectorCommand(), newACMESolverCommand(), newStartupAPICheckCommand(), newLocalCommand())
	root.SetFlagErrorFunc(suggestFlag)
	return root
}

// Groups of commands in the help.
const (
	forPeople = "people"
	inCluster = "cluster"
)

func addTo(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, cmd := range commands {
		cmd.GroupID = group
		root.AddCommand(cmd)
	}
}

// suggestFlag adds the flags that a user may have meant by one that is unknown.
func suggestFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	// Cobra finds similar names among commands only.
	flags := &cobra.Command{SuggestionsMinimumDistance: 2}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
		}
	})
	if found := flags.SuggestionsFor(unknown.GetSpecifiedName()); len(found) > 0 && len(unknown.GetSpecifiedName()) > 1 {
		return fmt.Errorf("%w; did you mean --%s?", err, strings.Join(found, " or --"))
	}
	return fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath())
}
