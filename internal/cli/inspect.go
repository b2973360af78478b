package cli

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/inspection"
)

func newInspectCommand() *cobra.Command {
	cmd := kindCommand("inspect", "Print what is in an object", "secret NAME")
	cmd.AddCommand(newInspectSecretCommand())
	return cmd
}

func newInspectSecretCommand() *cobra.Command {
	var (
		to     connection
		output string
	)
	cmd := &cobra.Command{
		Use: "secret NAME", Short: "Print what the certificate in a Secret is good for",
		Long: `Prints the certificate in a Secret's tls.crt, and checks it: whether this computer
trusts it, and whether the CA's list of revoked certificates or its OCSP server says
that it is revoked, which are asked from here, each for at most 10 s.

The private key is not read.`,
		Example: `  everleaf inspect secret www-tls -n shop`,
		Args:    oneName("Secret"), ValidArgsFunction: names(&to, "Secret", 1),
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
		cluster, namespace, err := to.client("everleaf-inspect")
		if err != nil {
			return err
		}
		secret := &corev1.Secret{}
		if err := cluster.Get(cmd.Context(), client.ObjectKey{Namespace: namespace, Name: args[0]}, secret); err != nil {
			return fmt.Errorf("error when finding Secret %q: %w; it was looked for in namespace %q, and -n selects another", args[0], err, namespace)
		}
		leaf, intermediates, roots, err := inspection.Parse(secret.Data[corev1.TLSCertKey], secret.Data["ca.crt"])
		if err != nil {
			return fmt.Errorf("%w (Secret %q in namespace %q)", err, args[0], namespace)
		}
		page := inspection.Of(leaf)
		page.Debugging = inspection.Checker{Client: http.DefaultClient, Now: now()}.Check(cmd.Context(), leaf, intermediates, roots)
		if output != "" {
			return printStructured(cmd.OutOrStdout(), output, page)
		}
		return inspection.Print(cmd.OutOrStdout(), page)
	}
	return cmd
}
