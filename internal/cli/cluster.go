package cli

import (
	"errors"
	"fmt"
	"math"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/everleaf/everleaf/internal/operator"
)

// connection says which cluster a command for people talks to, as whom, by kubectl's
// flags.
type connection struct {
	kubeconfig string
	overrides  clientcmd.ConfigOverrides
}

// addFlags adds kubectl's connection flags to a command.
func (c *connection) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&c.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster (default $KUBECONFIG or ~/.kube/config)")
	known := clientcmd.RecommendedConfigOverrideFlags("")
	describe := func(flag *clientcmd.FlagInfo, short, description string) {
		flag.ShortName, flag.Description = short, description
	}
	describe(&known.CurrentContext, "", "context of the kubeconfig (default its current one)")
	describe(&known.ContextOverrideFlags.Namespace, "n", "namespace (default that of the context)")
	describe(&known.ContextOverrideFlags.ClusterName, "", "cluster of the kubeconfig")
	describe(&known.ContextOverrideFlags.AuthInfoName, "", "user of the kubeconfig")
	describe(&known.Timeout, "", "how long one request to the API server may take, such as 30s; 0 is no limit")
	describe(&known.ClusterOverrideFlags.APIServer, "s", "address and port of the API server")
	describe(&known.ClusterOverrideFlags.CertificateAuthority, "", "file with the CA of the API server's certificate")
	describe(&known.ClusterOverrideFlags.InsecureSkipTLSVerify, "", "do not check the API server's certificate: the connection is not secure")
	describe(&known.ClusterOverrideFlags.TLSServerName, "", "name that the API server's certificate must have (default the host of the address)")
	describe(&known.ClusterOverrideFlags.ProxyURL, "", "URL of a proxy to the API server")
	describe(&known.ClusterOverrideFlags.DisableCompression, "", "ask for answers without compression")
	describe(&known.AuthOverrideFlags.ClientCertificate, "", "file with a client certificate")
	describe(&known.AuthOverrideFlags.ClientKey, "", "file with the key of the client certificate")
	describe(&known.AuthOverrideFlags.Token, "", "bearer token")
	describe(&known.AuthOverrideFlags.Impersonate, "", "user to act as")
	describe(&known.AuthOverrideFlags.ImpersonateUID, "", "UID of the user to act as")
	describe(&known.AuthOverrideFlags.ImpersonateGroups, "", "group to act as; can be repeated")
	describe(&known.AuthOverrideFlags.Username, "", "user name for basic authentication")
	describe(&known.AuthOverrideFlags.Password, "", "password for basic authentication")
	clientcmd.BindOverrideFlags(&c.overrides, flags, known)
	completeFlag(cmd, "namespace", names(c, "Namespace", math.MaxInt))
}

// errNoCluster means that nothing says which cluster is meant.
var errNoCluster = errors.New("no cluster is configured: set --kubeconfig or $KUBECONFIG, or create ~/.kube/config")

// namespaceSet reports whether the user has named a namespace.
func (c *connection) namespaceSet() bool { return c.overrides.Context.Namespace != "" }

// open returns how to reach the cluster as a user agent, and the namespace. hint is what
// can be done without a cluster, empty if that is nothing.
func (c *connection) open(agent, hint string) (*rest.Config, string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.kubeconfig
	loading := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &c.overrides)
	config, err := loading.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		if hint != "" {
			return nil, "", fmt.Errorf("%w; %s", errNoCluster, hint)
		}
		return nil, "", errNoCluster
	}
	if err != nil {
		return nil, "", fmt.Errorf("find the cluster: %w", err)
	}
	namespace, _, err := loading.Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("find the namespace: %w", err)
	}
	config.QPS, config.Burst, config.UserAgent = -1, -1, agent
	// The client warns if nobody has said where it logs.
	ctrllog.SetLogger(klog.Background())
	return config, namespace, nil
}

// client returns a client of the cluster that knows the kinds of the API, and the
// namespace.
func (c *connection) client(agent string) (client.WithWatch, string, error) {
	config, namespace, err := c.open(agent, "")
	if err != nil {
		return nil, "", err
	}
	scheme, err := operator.Scheme()
	if err != nil {
		return nil, "", err
	}
	reached, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, "", unreachable(err)
	}
	return reached, namespace, nil
}

// unreachable says what to do about an error of a request to the API server.
func unreachable(err error) error {
	var answered apierrors.APIStatus
	if errors.As(err, &answered) {
		return fmt.Errorf("cannot read from the cluster: %w", err)
	}
	if meta.IsNoMatchError(err) {
		return fmt.Errorf("cannot read from the cluster: it does not have the CRDs of cert-manager.io and acme.cert-manager.io; install them: set crds.enabled=true in the values of the chart (%w)", err)
	}
	return fmt.Errorf("cannot read from the cluster: %w; check the kubeconfig and that the API server runs", err)
}

// unread says what to do about an object of the API that could not be read. A namespace
// is empty for a kind without.
func unread(kind, namespace, name string, err error) error {
	switch {
	case apierrors.IsNotFound(err) && namespace != "":
		return fmt.Errorf("there is no %s %q in namespace %q; -n selects another namespace", kind, name, namespace)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("there is no %s %q", kind, name)
	default:
		return unreachable(err)
	}
}
