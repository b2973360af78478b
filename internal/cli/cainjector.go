package cli

import (
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/everleaf/everleaf/internal/configfile"
	"github.com/everleaf/everleaf/internal/injector"
)

func newCAInjectorCommand() *cobra.Command {
	options := injector.Defaults()
	var kubeconfig string
	cmd := &cobra.Command{
		Use:   "cainjector",
		Short: "Inject CAs into webhook configurations, APIServices and CRDs",
		Long: `Injects CAs into the webhook configurations, APIServices and conversion webhooks of
CustomResourceDefinitions that ask for one by their annotations. In a pod it uses the
pod's service account; elsewhere --kubeconfig, $KUBECONFIG or ~/.kube/config.`,
		Args: cobra.NoArgs,
	}
	start := configured(cmd, configfile.CAInjector, &options)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := start(); err != nil {
			return err
		}
		config, err := findCluster("", kubeconfig)
		if err != nil {
			return err
		}
		return injector.Run(cmd.Context(), config, options, klog.Background())
	}
	cmd.Flags().StringVar(&kubeconfig, "kubeconfig", "", "kubeconfig of the cluster")
	return cmd
}
