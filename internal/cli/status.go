package cli

import (
	"github.com/spf13/cobra"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/statuspage"
)

func newStatusCommand() *cobra.Command {
	cmd := kindCommand("status", "Print the state of an object and of everything behind it", "certificate NAME")
	cmd.AddCommand(newStatusCertificateCommand())
	return cmd
}

func newStatusCertificateCommand() *cobra.Command {
	var (
		to     connection
		output string
	)
	cmd := &cobra.Command{
		Use: "certificate NAME", Aliases: []string{"cert"}, Short: "Print the state of a Certificate",
		Long: `Prints a Certificate with its issuer, its Secret, and the CertificateRequest, the
Order and the Challenges of the issuance that is next or in progress, with their
conditions and events. What is missing is named.

everleaf explain certificate NAME says why a certificate is not issued.`,
		Example: `  everleaf status certificate www -n shop
  everleaf status certificate www -n shop -o json`,
		Args: oneName(cmv1.CertificateKind), ValidArgsFunction: names(&to, cmv1.CertificateKind, 1),
	}
	to.addFlags(cmd)
	addOutput(cmd, &output)
	startLog := addQuietLogging(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(output); err != nil {
			return err
		}
		if err := startLog(); err != nil {
			return err
		}
		cluster, namespace, err := to.client("everleaf-status")
		if err != nil {
			return err
		}
		page, err := statuspage.Collect(cmd.Context(), cluster, namespace, args[0])
		if err != nil {
			return unread(cmv1.CertificateKind, namespace, args[0], err)
		}
		if output != "" {
			return printStructured(cmd.OutOrStdout(), output, page)
		}
		return statuspage.Print(cmd.OutOrStdout(), page, now())
	}
	return cmd
}
