package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/report"
)

func newReportCommand() *cobra.Command {
	var (
		to         connection
		output     string
		everywhere bool
	)
	cmd := &cobra.Command{
		Use: "report", Short: "Print one page about all certificates", Args: cobra.NoArgs,
		Long: `Prints which certificates need attention and why, what renews and expires in the next
weeks, the issuers, the keys, and how near the rate limits of ACME CAs are. Without -n
it is about all namespaces. Secrets are not read.`,
		Example: `  everleaf report
  everleaf report -o html > report.html`,
	}
	flags := cmd.Flags()
	to.addFlags(cmd)
	flags.Lookup("namespace").Usage = "namespace (default all)"
	flags.BoolVarP(&everywhere, "all-namespaces", "A", false, "all namespaces, as without -n")
	flags.StringVarP(&output, "output", "o", "", "html, json or yaml; nothing is text")
	completeFlag(cmd, "output", cobra.FixedCompletions([]cobra.Completion{"html", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	startLog := addQuietLogging(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if output != "html" && checkOutput(output) != nil {
			return fmt.Errorf("--output: must be html, json, yaml or nothing, not %q", output)
		}
		if err := startLog(); err != nil {
			return err
		}
		cluster, namespace, err := to.client("everleaf-report")
		if err != nil {
			return err
		}
		if !to.namespaceSet() || everywhere {
			namespace = ""
		}
		in, err := readReport(cmd.Context(), cluster, namespace)
		if err != nil {
			return err
		}
		out, r := cmd.OutOrStdout(), report.Of(in, now())
		switch output {
		case "":
			return report.Text(out, r, isTerminal(out) && os.Getenv("NO_COLOR") == "")
		case "html":
			return report.HTML(out, r)
		default:
			return printStructured(out, output, r)
		}
	}
	return cmd
}

// readReport reads what a report is about. It fails only without the Certificates; of
// others it says that they are missing.
func readReport(ctx context.Context, cluster client.Client, namespace string) (report.Input, error) {
	var (
		in             report.Input
		certificates   cmv1.CertificateList
		requests       cmv1.CertificateRequestList
		orders         acmev1.OrderList
		issuers        cmv1.IssuerList
		clusterIssuers cmv1.ClusterIssuerList
	)
	if err := cluster.List(ctx, &certificates, client.InNamespace(namespace)); err != nil {
		return in, unreachable(err)
	}
	for _, list := range []struct {
		kind string
		into client.ObjectList
	}{{"CertificateRequests", &requests}, {"Orders", &orders}, {"Issuers", &issuers}, {"ClusterIssuers", &clusterIssuers}} {
		if err := cluster.List(ctx, list.into, client.InNamespace(namespace)); err != nil {
			in.Missing = append(in.Missing, fmt.Sprintf("%s: %v", list.kind, err))
		}
	}
	in.Certificates, in.Requests, in.Orders = certificates.Items, requests.Items, orders.Items
	in.Issuers, in.ClusterIssuers = issuers.Items, clusterIssuers.Items
	return in, ctx.Err()
}
