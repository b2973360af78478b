package cli

import (
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/everleaf/everleaf/internal/configfile"
	"github.com/everleaf/everleaf/internal/webhook"
)

func newWebhookCommand() *cobra.Command {
	options := webhook.Defaults()
	var kubeconfig, server string
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "Run the admission webhook",
		Long: `Answers the API server's admission requests: checks the objects of cert-manager.io
and acme.cert-manager.io, and writes into CertificateRequests who has made them. In a
pod it uses the pod's service account; elsewhere --kubeconfig, $KUBECONFIG or
~/.kube/config.`,
		Args: cobra.NoArgs,
	}
	start := configured(cmd, configfile.Webhook, &options)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := start(); err != nil {
			return err
		}
		config, err := findCluster(server, kubeconfig)
		if err != nil {
			return err
		}
		return webhook.Run(cmd.Context(), config, options, klog.Background())
	}
	cmd.Flags().StringVar(&kubeconfig, "kubeconfig", "", "kubeconfig of the cluster")
	cmd.Flags().StringVar(&server, "api-server-host", "", "URL of the API server, in place of the kubeconfig's")
	return cmd
}
