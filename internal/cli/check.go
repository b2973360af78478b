package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/internal/preflight"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/solver/dns01/providers"
)

func newCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "check", Short: "Check before it matters whether certificates can be issued", Args: cobra.ArbitraryArgs,
		// The kind is the mistake, not the flags that a kind may have.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("check what? The kinds are: api, dns01")
			}
			return fmt.Errorf("there is no check %q; the kinds are: api, dns01", args[0])
		},
	}
	cmd.AddCommand(newCheckAPICommand(), newCheckDNS01Command())
	return cmd
}

const (
	secretNamespaceFlag = "cluster-resource-namespace"
	// usualNamespace is what charts and the documentation set that flag to.
	usualNamespace = "cert-manager"
)

// dns01Check are the flags of the command.
type dns01Check struct {
	connection
	issuer, clusterIssuer, domain string
	labels                        map[string]string
	secretNamespace               string
	// otherNamespaces are tried too if the flag is not set.
	otherNamespaces []string
	file            string
	secrets         []string
	ambient         bool
	resolvers       []string
	resolversOnly   bool
	timeout         time.Duration
	output          string
	// authoritativePort is where name servers listen; 0 is 53. For tests.
	authoritativePort int
}

func newCheckDNS01Command() *cobra.Command { return dns01CheckCommand(&dns01Check{}) }

func dns01CheckCommand(c *dns01Check) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dns01 (--issuer NAME | --cluster-issuer NAME | --from-file FILE) --domain NAME",
		Short: "Write a TXT record as for a DNS-01 challenge, look for it everywhere, and delete it",
		Long: `Does with an issuer's DNS-01 solver what a Challenge would do for a domain: it
selects the solver, reads its Secrets, finds the zone, writes a TXT record with a
random value at _acme-challenge, looks for it at every name server of the zone and
at the resolvers, and deletes it. Nothing is ordered from the CA.

With --from-file, no cluster is needed: the issuer, and Secrets, are read from a
file. --secret gives entries of Secrets from files or environment variables.

Name servers are asked from this machine. The controllers in a cluster may see
others; with --v=5 they log what they see.

The exit status is 0 if certificates can be validated in this way, else 1.`,
		Example: `  everleaf check dns01 --cluster-issuer letsencrypt --domain www.example.com
  everleaf check dns01 --from-file issuer.yaml --secret tsig-secret/tsig-secret-key=env:TSIG --domain www.example.com`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.otherNamespaces = nil
			if !cmd.Flags().Changed(secretNamespaceFlag) {
				c.otherNamespaces = []string{usualNamespace}
			}
			return c.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	c.addFlags(cmd)
	defaults := operator.Defaults()
	flags.StringVar(&c.issuer, "issuer", "", "name of an Issuer")
	flags.StringVar(&c.clusterIssuer, "cluster-issuer", "", "name of a ClusterIssuer")
	flags.StringVar(&c.domain, "domain", "", "domain, as in a Certificate's dnsNames")
	flags.StringToStringVar(&c.labels, "labels", nil, "labels of the Certificate, for solvers that select by them")
	flags.StringVar(&c.secretNamespace, secretNamespaceFlag, defaults.ClusterResourceNamespace, "namespace of the Secrets that ClusterIssuers refer to, as the controllers have it; if it is not set, cert-manager is tried too")
	flags.StringVar(&c.file, "from-file", "", "file with an Issuer or ClusterIssuer, and maybe Secrets, in place of a cluster; - is standard input")
	flags.StringArrayVar(&c.secrets, "secret", nil, "with --from-file: entry of a Secret as name/key=FILE or name/key=env:VARIABLE; can be repeated")
	flags.BoolVar(&c.ambient, "ambient-credentials", false, "let the solver use the credentials of this environment")
	flags.StringSliceVar(&c.resolvers, "dns01-recursive-nameservers", nil, "as for the controllers (default those of this machine)")
	flags.BoolVar(&c.resolversOnly, "dns01-recursive-nameservers-only", false, "as for the controllers")
	flags.DurationVar(&c.timeout, "timeout", 2*time.Minute, "how long the record may take to be on every name server")
	flags.StringVarP(&c.output, "output", "o", "text", "text, or json for one report at the end")
	return cmd
}

func (c *dns01Check) run(ctx context.Context, out io.Writer) error {
	check, err := c.check()
	if err != nil {
		return err
	}
	if err := c.read(ctx, &check); err != nil {
		return errors.Join(err, c.unread(out, err))
	}
	if c.output == "text" {
		fmt.Fprintf(out, "Checking DNS-01 for %s with %s\n\n", c.domain, preflight.Name(check.Issuer))
		check.Progress = func(s preflight.Step) { fmt.Fprint(out, s.Text()) }
	}
	report := check.Run(ctx)
	if c.output == "json" {
		if err := printJSON(out, report); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(out)
	}
	if !report.OK {
		return errors.New(report.Conclusion())
	}
	if c.output == "text" {
		fmt.Fprintln(out, report.Conclusion())
	}
	return nil
}

// unread prints the report, if one is wanted, of an issuer that cannot be read.
func (c *dns01Check) unread(out io.Writer, err error) error {
	if c.output != "json" {
		return nil
	}
	kind, name := c.reference()
	issuer := ""
	if name != "" {
		issuer = fmt.Sprintf("%s %q", kind, name)
	}
	return printJSON(out, preflight.Unread(issuer, c.domain, err))
}

// check is what to check according to the flags, without the issuer.
func (c *dns01Check) check() (preflight.Check, error) {
	check := preflight.Check{
		Domain: c.domain, Labels: c.labels, Providers: providers.All(), Ambient: c.ambient,
		Mode: propagation.Authoritative, Patience: c.timeout, Clock: clock.RealClock{},
		NewResolver: func(servers []string) (dns01.Resolver, error) {
			return dns.NewResolver(dns.Config{Servers: servers, Port: c.authoritativePort})
		},
	}
	switch {
	case c.domain == "":
		return check, errors.New("--domain: which domain?")
	case c.output != "text" && c.output != "json":
		return check, fmt.Errorf("--output: must be text or json, not %q", c.output)
	case c.issuer != "" && c.clusterIssuer != "":
		return check, errors.New("--issuer and --cluster-issuer cannot be used together")
	case c.file == "" && c.issuer == "" && c.clusterIssuer == "":
		return check, errors.New("which issuer? Set --issuer, --cluster-issuer or --from-file")
	case c.file == "" && len(c.secrets) > 0:
		return check, errors.New("--secret is for --from-file: with a cluster, Secrets are read from there")
	case c.timeout <= 0:
		return check, fmt.Errorf("--timeout: must be greater than 0, not %s", c.timeout)
	}
	servers := c.resolvers
	if len(servers) == 0 {
		servers = dns.SystemServers()
	}
	resolver, err := check.NewResolver(servers)
	if err != nil {
		return check, fmt.Errorf("--dns01-recursive-nameservers: %w", err)
	}
	if check.Resolver = resolver; c.resolversOnly {
		check.Mode = propagation.RecursiveOnly
	}
	return check, nil
}

// read reads the issuer.
func (c *dns01Check) read(ctx context.Context, check *preflight.Check) error {
	if c.file != "" {
		return c.fromFile(check)
	}
	return c.fromCluster(ctx, check)
}

func (c *dns01Check) fromFile(check *preflight.Check) error {
	file := io.ReadCloser(os.Stdin)
	if c.file != "-" {
		opened, err := os.Open(c.file)
		if err != nil {
			return fmt.Errorf("--from-file: %w", err)
		}
		file = opened
	}
	defer file.Close()
	manifest, err := preflight.ReadManifest(file)
	if err != nil {
		return fmt.Errorf("--from-file: %s: %w", c.file, err)
	}
	for _, secret := range c.secrets {
		if err := manifest.AddSecret(secret); err != nil {
			return fmt.Errorf("--secret: %w", err)
		}
	}
	kind, name := c.reference()
	if check.Issuer, err = manifest.Find(kind, name); err != nil {
		return fmt.Errorf("--from-file: %s: %w", c.file, err)
	}
	check.Secrets, check.SecretHint = manifest, "put the Secret into the file, or give its entries by --secret name/key=FILE"
	switch _, isCluster := check.Issuer.(*cmv1.ClusterIssuer); {
	case isCluster:
		check.SecretNamespace = c.secretNamespace
	case check.Issuer.GetNamespace() == "":
		check.SecretNamespace = metav1.NamespaceDefault
	default:
		check.SecretNamespace = check.Issuer.GetNamespace()
	}
	return nil
}

// reference is the kind and the name of the issuer, as far as flags say.
func (c *dns01Check) reference() (kind, name string) {
	switch {
	case c.clusterIssuer != "":
		return cmv1.ClusterIssuerKind, c.clusterIssuer
	case c.issuer != "":
		return cmv1.IssuerKind, c.issuer
	default:
		return "", ""
	}
}

func (c *dns01Check) fromCluster(ctx context.Context, check *preflight.Check) error {
	config, namespace, err := c.open("everleaf-check", "an issuer in a file is checked by --from-file")
	if err != nil {
		return err
	}
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	scheme, err := operator.Scheme()
	if err != nil {
		return err
	}
	objects, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("reach the cluster: %w", err)
	}
	kind, name := c.reference()
	check.Issuer, check.SecretNamespace = &cmv1.Issuer{}, namespace
	key := client.ObjectKey{Namespace: namespace, Name: name}
	if kind == cmv1.ClusterIssuerKind {
		check.Issuer, check.SecretNamespace, key.Namespace = &cmv1.ClusterIssuer{}, c.secretNamespace, ""
		check.OtherNamespaces = c.otherNamespaces
		check.SecretHint = "--" + secretNamespaceFlag + " names the namespace in which the controllers look for the Secrets of ClusterIssuers"
	}
	check.Secrets, check.Cluster = coreSecrets{core}, cluster.ForProviders{Core: core}
	switch err := objects.Get(ctx, key, check.Issuer); {
	case apierrors.IsNotFound(err) && key.Namespace != "":
		return fmt.Errorf("there is no Issuer %q in namespace %q; -n selects another namespace, --cluster-issuer a ClusterIssuer", name, namespace)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("there is no ClusterIssuer %q", name)
	case meta.IsNoMatchError(err):
		return fmt.Errorf("the cluster does not know the kind %s: cert-manager's CRDs are not installed", kind)
	case err != nil:
		return fmt.Errorf("read the %s %q: %w", kind, name, err)
	default:
		return nil
	}
}

// coreSecrets reads Secrets with the user's own permissions.
type coreSecrets struct{ core kubernetes.Interface }

// Read implements dns01.Secrets.
func (s coreSecrets) Read(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	secret, err := s.core.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	case secret.Data == nil:
		return map[string][]byte{}, nil
	default:
		return secret.Data, nil
	}
}
