package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register" // --logging-format=json
	"k8s.io/klog/v2"

	"github.com/everleaf/everleaf/internal/component"
	"github.com/everleaf/everleaf/internal/configfile"
	"github.com/everleaf/everleaf/internal/operator"
)

// addLogging adds the flags -v, --vmodule, --logging-format and the like. start
// applies them.
func addLogging(cmd *cobra.Command) (start func() error) {
	config := logsapi.NewLoggingConfiguration()
	logsapi.AddFlags(config, cmd.Flags())
	addKlogFlags(cmd.Flags())
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		// No flag here enables the feature gate that these flags need.
		if strings.HasPrefix(f.Usage, "[Alpha]") {
			f.Hidden = true
		}
	})
	if f := cmd.Flags().Lookup("logging-format"); f != nil {
		f.Usage = `format of the log: "text" or "json"`
	}
	return func() error {
		if err := checkLogging(config); err != nil {
			return err
		}
		logs.InitLogs()
		return logsapi.ValidateAndApply(config, nil)
	}
}

// checkLogging names the flags that are wrong: the library names the fields of its
// configuration.
func checkLogging(config *logsapi.LoggingConfiguration) error {
	var errs []error
	for _, err := range logsapi.Validate(config, nil, field.NewPath("logging")) {
		flag, message := configfile.Controller.Fields[err.Field], err.ErrorBody()
		if flag == "logging-format" {
			message += "; it must be text or json"
		}
		errs = append(errs, &component.FlagError{Flag: flag, Message: message})
	}
	return errors.Join(errs...)
}

func newControllerCommand() *cobra.Command {
	options := operator.Defaults()
	options.HTTP01.Release = release
	var kubeconfig, master string
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Run the controllers against a cluster",
		Long: `Runs the controllers that issue and renew certificates. In a pod they use the
pod's service account; elsewhere --kubeconfig, $KUBECONFIG or ~/.kube/config.
The CRDs must be installed.`,
		Args: cobra.NoArgs,
	}
	start := configured(cmd, configfile.Controller, &options)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := start(); err != nil {
			return err
		}
		config, err := findCluster(master, kubeconfig)
		if err != nil {
			return err
		}
		return operator.Run(cmd.Context(), config, options, klog.Background())
	}
	cmd.Flags().StringVar(&kubeconfig, "kubeconfig", "", "kubeconfig of the cluster")
	cmd.Flags().StringVar(&master, "master", "", "URL of the API server, in place of the kubeconfig's")
	return cmd
}

// findCluster is restConfig, with errors that say what to do.
func findCluster(master, kubeconfig string) (*rest.Config, error) {
	config, err := restConfig(master, kubeconfig)
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("no cluster is configured: set --kubeconfig or $KUBECONFIG, or create ~/.kube/config (in a pod, the service account is used)")
	}
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	return config, nil
}

func restConfig(master, kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	overrides := &clientcmd.ConfigOverrides{}
	overrides.ClusterInfo.Server = master
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
}
