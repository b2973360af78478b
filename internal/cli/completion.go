package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// kubectlCompletion is the program by which kubectl completes the arguments of the plugin.
const kubectlCompletion = `#!/usr/bin/env sh

# Completes the arguments of kubectl cert-manager. Store it on your PATH as
# kubectl_complete-cert_manager, and make it executable.
exec kubectl cert-manager __complete "$@"
`

func newCompletionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "completion (bash|zsh|fish|powershell|kubectl)", Short: "Print a program that completes commands in a shell",
		Long: `Prints a program for a shell that completes commands, flags, and the names of objects
in the cluster.

  bash        everleaf completion bash > /etc/bash_completion.d/everleaf
  zsh         everleaf completion zsh > "${fpath[1]}/_everleaf"
  fish        everleaf completion fish > ~/.config/fish/completions/everleaf.fish
  powershell  everleaf completion powershell | Out-String | Invoke-Expression
  kubectl     for the plugin: everleaf completion kubectl > kubectl_complete-cert_manager`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("for which shell? There are: bash, zsh, fish, powershell, kubectl")
			}
			return fmt.Errorf("there is no completion for %q; there are: bash, zsh, fish, powershell, kubectl", args[0])
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	for shell, write := range map[string]func(*cobra.Command, io.Writer) error{
		"bash":       func(root *cobra.Command, out io.Writer) error { return root.GenBashCompletionV2(out, true) },
		"zsh":        func(root *cobra.Command, out io.Writer) error { return root.GenZshCompletion(out) },
		"fish":       func(root *cobra.Command, out io.Writer) error { return root.GenFishCompletion(out, true) },
		"powershell": func(root *cobra.Command, out io.Writer) error { return root.GenPowerShellCompletionWithDesc(out) },
		"kubectl": func(_ *cobra.Command, out io.Writer) error {
			_, err := io.WriteString(out, kubectlCompletion)
			return err
		},
	} {
		cmd.AddCommand(&cobra.Command{
			Use: shell, Short: "Print the program for " + shell, Args: cobra.NoArgs, DisableFlagsInUseLine: true, ValidArgsFunction: cobra.NoFileCompletions,
			RunE: func(cmd *cobra.Command, _ []string) error { return write(cmd.Root(), cmd.OutOrStdout()) },
		})
	}
	return cmd
}
