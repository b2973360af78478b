package cli

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/internal/solver/dns01/providers"
	"github.com/everleaf/everleaf/internal/takeover"
)

func newMigrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate", Short: "See what everleaf would do in a cluster that cert-manager serves", Args: cobra.ArbitraryArgs,
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("migrate how? There is: check")
			}
			return fmt.Errorf("there is no migrate %q; there is: check", args[0])
		},
	}
	cmd.AddCommand(newMigrateCheckCommand())
	return cmd
}

func newMigrateCheckCommand() *cobra.Command {
	var (
		to                 connection
		output             string
		owners, everywhere bool
	)
	cmd := &cobra.Command{
		Use: "check", Short: "List what this version cannot serve, and what it would write", Args: cobra.NoArgs,
		Long: `Reads the Certificates, Issuers, ClusterIssuers, Ingresses, Gateways and
CertificateSigningRequests of a cluster, and lists
those that this version of everleaf cannot serve, and those for which it would write
something soon after its start. Where nothing is listed, nothing changes. It writes
nothing, and needs the right to read these objects and their Secrets.

The exit status is 1 if there is anything that this version cannot serve.`,
		Example: `  everleaf migrate check
  everleaf migrate check -n shop -o json`,
	}
	flags := cmd.Flags()
	to.addFlags(cmd)
	flags.Lookup("namespace").Usage = "namespace (default all)"
	flags.BoolVarP(&everywhere, "all-namespaces", "A", false, "all namespaces, as without -n")
	flags.BoolVar(&owners, "enable-certificate-owner-ref", false, "as the controllers' flag: Certificates are the owners of their Secrets")
	addOutput(cmd, &output)
	startLog := addQuietLogging(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(output); err != nil {
			return err
		}
		if err := startLog(); err != nil {
			return err
		}
		cluster, namespace, err := to.client("everleaf-migrate")
		if err != nil {
			return err
		}
		if !to.namespaceSet() || everywhere {
			namespace = ""
		}
		found, err := takeover.Survey(cmd.Context(), cluster, namespace)
		if err != nil {
			return unreachable(err)
		}
		defaults := operator.Defaults()
		report := takeover.Judge(found, takeover.Settings{Serves: operator.Serves, Unsupported: providers.All().Unsupported, Backoff: defaults.Backoff, OwnSecrets: owners, Shim: defaults.Shims.Settings}, now())
		if output != "" {
			err = printStructured(cmd.OutOrStdout(), output, report)
		} else {
			err = printTakeover(cmd.OutOrStdout(), report)
		}
		if n := report.Unserved(); err == nil && n > 0 {
			return fmt.Errorf("this version cannot serve %d of these objects", n)
		}
		return err
	}
	return cmd
}

// printTakeover prints a table of the findings, and what they mean.
func printTakeover(out io.Writer, r takeover.Report) error {
	fmt.Fprintf(out, "Looked at %d Certificates, %d issuers, %d Ingresses and %d Gateways that ask for certificates, and %d CertificateSigningRequests without an answer.\n",
		r.Certificates, r.Issuers, r.Ingresses, r.Gateways, r.SigningRequests)
	for _, part := range []struct{ verdict, title string }{
		{takeover.Unserved, "This version cannot serve, and leaves alone:"},
		{takeover.Touched, "everleaf would write something for:"},
	} {
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		any := false
		for _, f := range r.Findings {
			if f.Verdict != part.verdict {
				continue
			}
			if !any {
				fmt.Fprintf(table, "\n%s\n\nKIND\tNAMESPACE\tNAME\tWHY\n", part.title)
				any = true
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", f.Kind, f.Namespace, f.Name, f.Why)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(out, "\nAll of them go on as they are, and nothing is written for them.")
	}
	return nil
}
