package cli

import (
	"errors"

	"github.com/spf13/cobra"
)

func newExperimentalCommand() *cobra.Command {
	cmd := kindCommand("experimental", "Commands that may change", "create certificatesigningrequest NAME")
	cmd.Aliases = []string{"x"}
	create := kindCommand("create", "Create an object that asks for a certificate", "certificatesigningrequest NAME")
	create.AddCommand(newCreateCSRCommand())
	cmd.AddCommand(create,
		helmCommand("install", "Names the command that installs the chart", `helm install cert-manager CHART --namespace cert-manager --create-namespace --set crds.enabled=true`),
		helmCommand("uninstall", "Names the command that removes the chart", `helm uninstall cert-manager --namespace cert-manager`))
	return cmd
}

// helmCommand stands for a command that cert-manager's tool has, and that Helm does better.
func helmCommand(verb, short, command string) *cobra.Command {
	return &cobra.Command{
		Use: verb, Short: short, Args: cobra.ArbitraryArgs, FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		Long: short + `, which everleaf does not run itself:

  ` + command + `

CHART is charts/everleaf, or the address of the chart. The flags --set, --values,
--version and --wait are those of helm.`,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("everleaf does not run Helm; run it yourself, with the same --set, --values, --version and --wait: " + command)
		},
	}
}
