package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// connection says which cluster a command for people talks to, as kubectl's flags do.
type connection struct{ kubeconfig, context, namespace string }

func (c *connection) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&c.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster (default $KUBECONFIG or ~/.kube/config)")
	flags.StringVar(&c.context, "context", "", "context of the kubeconfig (default its current one)")
	flags.StringVarP(&c.namespace, "namespace", "n", "", "namespace (default that of the context)")
}

// open returns how to reach the cluster as a user agent, and the namespace. hint is what
// can be done without a cluster.
func (c *connection) open(agent, hint string) (*rest.Config, string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: c.context}
	overrides.Context.Namespace = c.namespace
	loading := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	config, err := loading.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, "", errors.New("no cluster is configured: set --kubeconfig or $KUBECONFIG, or create ~/.kube/config; " + hint)
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
