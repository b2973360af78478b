package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/diagnosis"
	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/explain"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/internal/selfcheck"
	"github.com/everleaf/everleaf/internal/solver/dns01/providers"
)

// patience is how long the controllers have to answer.
const patience = 5 * time.Second

// typedKinds are the kinds as a user types them.
var typedKinds = map[string]string{
	"certificate": cmv1.CertificateKind, "certificates": cmv1.CertificateKind, "cert": cmv1.CertificateKind, "certs": cmv1.CertificateKind,
	"certificaterequest": cmv1.CertificateRequestKind, "certificaterequests": cmv1.CertificateRequestKind, "cr": cmv1.CertificateRequestKind, "crs": cmv1.CertificateRequestKind,
	"order": acmev1.OrderKind, "orders": acmev1.OrderKind,
	"challenge": acmev1.ChallengeKind, "challenges": acmev1.ChallengeKind,
	"issuer": cmv1.IssuerKind, "issuers": cmv1.IssuerKind,
	"clusterissuer": cmv1.ClusterIssuerKind, "clusterissuers": cmv1.ClusterIssuerKind,
}

// explainOptions are the flags of everleaf explain.
type explainOptions struct {
	connection
	output, file string
	all, offline bool
	resolvers    []string
	port         int
}

func newExplainCommand() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain (certificate|certificaterequest|order|challenge|issuer|clusterissuer) NAME",
		Short: "Say why a certificate is not issued",
		Long: `Prints the objects from the Certificate down to its Challenges, what each name
server (DNS-01) or each address of the name (HTTP-01) answers now, what is
expected, and the cause with what to do about it.

What the cluster sees only the controllers can see: explain asks them, by an
annotation on the Challenge that is removed again, and waits 5 s for the answer.
What is seen from the machine where the command runs is shown apart.

-A lists everything that is stuck, one line each. -o json prints the evidence and
the verdicts; --from-file explains evidence that was printed elsewhere.`,
		Example: `  everleaf explain certificate www -n shop
  everleaf explain -A
  everleaf explain challenge www-1-123-456 -n shop -o json > evidence.json
  everleaf explain --from-file evidence.json`,
		Args: cobra.MaximumNArgs(2),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return []cobra.Completion{"certificate", "certificaterequest", "order", "challenge", "issuer", "clusterissuer"}, cobra.ShellCompDirectiveNoFileComp
			}
			return names(&o.connection, typedKinds[args[0]], 2)(cmd, args, word)
		},
	}
	flags := cmd.Flags()
	o.addFlags(cmd)
	flags.BoolVarP(&o.all, "all-namespaces", "A", false, "list everything that is stuck, in all namespaces")
	flags.StringVarP(&o.output, "output", "o", "", `format of the output: "json", or nothing for text`)
	completeFlag(cmd, "output", cobra.FixedCompletions([]cobra.Completion{"json"}, cobra.ShellCompDirectiveNoFileComp))
	flags.StringVar(&o.file, "from-file", "", `file with evidence, as -o json prints it, "-" for standard input; no cluster is asked`)
	flags.StringSliceVar(&o.resolvers, "resolver", nil, "recursive resolver that is asked from here, such as 8.8.8.8:53; can be repeated (default those of this machine)")
	flags.BoolVar(&o.offline, "only-here", false, "do not ask the controllers: nothing is written")
	flags.IntVar(&o.port, "authoritative-port", 53, "port of authoritative name servers")
	_ = flags.MarkHidden("authoritative-port")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) }
	return cmd
}

// explained is the output as JSON.
type explained struct {
	diagnosis.Evidence `json:",inline"`
	Verdicts           []diagnosis.Verdict `json:"verdicts"`
}

func (o explainOptions) run(cmd *cobra.Command, args []string) error {
	if o.output != "" && o.output != "json" {
		return fmt.Errorf(`--output: is %q, and must be "json" or empty`, o.output)
	}
	out := cmd.OutOrStdout()
	if o.file != "" && (len(args) > 0 || o.all) {
		return errors.New("--from-file explains what is in the file: name no object")
	}
	for _, r := range o.resolvers {
		if _, err := dns.NewResolver(dns.Config{Servers: []string{r}}); err != nil {
			return fmt.Errorf("--resolver: %w", err)
		}
	}
	if o.file != "" {
		e, err := readEvidence(o.file, cmd.InOrStdin())
		if err != nil {
			return err
		}
		return o.print(out, e)
	}
	subject, err := o.subject(args)
	if err != nil {
		return err
	}
	collector, namespace, err := o.collector()
	if err != nil {
		return err
	}
	if subject.Kind == "" {
		if o.all {
			namespace = ""
		}
		stuck, missing, err := collector.Overview(cmd.Context(), namespace)
		if err != nil {
			return unreachable(err)
		}
		return o.printOverview(out, stuck, missing)
	}
	if subject.Kind != cmv1.ClusterIssuerKind {
		subject.Namespace = namespace
	}
	e, err := collector.Collect(cmd.Context(), subject)
	if err != nil {
		return unreachable(err)
	}
	return o.print(out, e)
}

// subject reads the arguments: kind and name, or kind/name. It is empty for a list.
func (o explainOptions) subject(args []string) (diagnosis.Ref, error) {
	if len(args) == 1 {
		if kind, name, ok := strings.Cut(args[0], "/"); ok {
			args = []string{kind, name}
		}
	}
	switch {
	case len(args) == 0 && (o.all || o.namespaceSet()):
		return diagnosis.Ref{}, nil
	case len(args) == 0:
		return diagnosis.Ref{}, errors.New("name an object, such as certificate www, or list what is stuck by -A or -n NAMESPACE")
	case o.all:
		return diagnosis.Ref{}, errors.New("-A lists everything that is stuck, and takes no object; name its namespace by -n")
	}
	// Resources may have their group: challenges.acme.cert-manager.io.
	typed, _, _ := strings.Cut(strings.ToLower(args[0]), ".")
	kind, ok := typedKinds[typed]
	switch {
	case !ok:
		return diagnosis.Ref{}, fmt.Errorf("there is nothing to explain about a %q; the kinds are certificate, certificaterequest, order, challenge, issuer and clusterissuer", args[0])
	case len(args) == 1:
		return diagnosis.Ref{}, fmt.Errorf("which %s? give its name, or list what is stuck by -A", kind)
	}
	return diagnosis.Ref{Kind: kind, Name: args[1]}, nil
}

func (o explainOptions) collector() (*explain.Collector, string, error) {
	config, namespace, err := o.open("everleaf-explain", "evidence in a file is explained by --from-file")
	if err != nil {
		return nil, "", err
	}
	scheme, err := operator.Scheme()
	if err != nil {
		return nil, "", err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, "", unreachable(err)
	}
	named := o.resolvers
	if len(o.resolvers) == 0 {
		o.resolvers = dns.SystemServers()
	}
	selfCheck, err := selfcheck.New(selfcheck.Config{Nameservers: addressesOf(named), UserAgent: "everleaf-explain", Clock: clock.RealClock{}})
	if err != nil {
		return nil, "", err
	}
	collector := &explain.Collector{
		Client: c, Clock: clock.RealClock{}, Providers: providers.All(), Patience: patience, SelfCheck: selfCheck,
		Named:  named,
		Survey: dns.Survey{System: o.resolvers, Config: dns.Config{Port: o.port}},
		ID:     func() string { return string(uuid.NewUUID()) },
	}
	if o.offline {
		collector.Patience = 0
	}
	return collector, namespace, nil
}

// addressesOf are the resolvers that are ip:port, of which alone the addresses of a name
// can be asked.
func addressesOf(resolvers []string) []string {
	return slices.DeleteFunc(slices.Clone(resolvers), func(r string) bool {
		_, err := netip.ParseAddrPort(r)
		return err != nil
	})
}

// maxEvidence bounds a file with evidence.
const maxEvidence = 16 << 20

func readEvidence(file string, stdin io.Reader) (diagnosis.Evidence, error) {
	var e diagnosis.Evidence
	from := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return e, fmt.Errorf("--from-file: %w", err)
		}
		defer f.Close()
		from = f
	}
	if err := json.NewDecoder(io.LimitReader(from, maxEvidence)).Decode(&e); err != nil {
		return e, fmt.Errorf("--from-file: %s is not evidence as everleaf explain -o json prints it: %w", file, err)
	}
	if e.Version != diagnosis.Version {
		return e, fmt.Errorf("--from-file: %s has the version %q, and this everleaf knows %s", file, e.Version, diagnosis.Version)
	}
	return e, nil
}

func (o explainOptions) print(out io.Writer, e diagnosis.Evidence) error {
	verdicts := diagnosis.Explain(e)
	if o.output == "json" {
		return printJSON(out, explained{e, verdicts})
	}
	explain.Print(out, e, verdicts)
	return nil
}

func (o explainOptions) printOverview(out io.Writer, stuck []diagnosis.Evidence, missing []string) error {
	if o.output != "json" {
		explain.PrintOverview(out, stuck, missing)
		return nil
	}
	items := make([]explained, 0, len(stuck))
	for _, e := range stuck {
		items = append(items, explained{e, diagnosis.Explain(e)})
	}
	return printJSON(out, struct {
		Items   []explained `json:"items"`
		Missing []string    `json:"missing,omitempty"`
	}{items, missing})
}
