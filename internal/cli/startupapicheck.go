package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/apicheck"
)

func newStartupAPICheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "startupapicheck", Short: "Wait until cert-manager's API works, as the chart's Job does", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("the command is: everleaf startupapicheck check api")
		},
	}
	check := &cobra.Command{
		Use: "check", Short: "Check a part of the installation", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return errors.New("check what? There is: api") },
	}
	cmd.AddCommand(check)
	check.AddCommand(newCheckAPICommand())
	return cmd
}

func newCheckAPICommand() *cobra.Command {
	var (
		to             connection
		wait, interval time.Duration
		admission      string
	)
	cmd := &cobra.Command{
		Use: "api", Short: "Check that CertificateRequests can be created", Args: cobra.NoArgs,
		Long: `Creates a valid and an invalid CertificateRequest by dry run, so that nothing is
stored. The API is ready if the requester's name is set in the first, and the second
is refused, by the webhook or by the admission policies.

The exit status is 0 if the API is ready, else 1.`,
	}
	flags := cmd.Flags()
	to.addFlags(flags)
	flags.DurationVar(&wait, "wait", 0, "how long to wait until the API is ready; 0 is one attempt")
	flags.DurationVar(&interval, "interval", 5*time.Second, "time between two attempts")
	flags.StringVar(&admission, "admission", string(apicheck.Auto), `what admits objects: "webhook", "policies" or, for whichever answers, "auto"`)
	startLog := addLogging(cmd)
	// The chart passes a bare -v.
	flags.Lookup("v").NoOptDefVal = "2"
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch by := apicheck.Admission(admission); {
		case by != apicheck.Auto && by != apicheck.Webhook && by != apicheck.Policies:
			return fmt.Errorf("--admission: must be webhook, policies or auto, not %q", admission)
		case wait < 0:
			return fmt.Errorf("--wait: must not be negative, as %s is", wait)
		case interval <= 0:
			return fmt.Errorf("--interval: must be greater than 0, not %s", interval)
		}
		if err := startLog(); err != nil {
			return err
		}
		config, namespace, err := to.open("everleaf-startupapicheck", "in a pod, its service account is used")
		if err != nil {
			return err
		}
		check, err := apicheck.New(config, namespace, apicheck.Admission(admission))
		if err != nil {
			return err
		}
		log := klog.Background().V(2)
		err = apicheck.Wait(cmd.Context(), clock.RealClock{}, wait, interval, check.Once, func(err error) { logNotReady(log, err) })
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), "The cert-manager API is ready")
		return nil
	}
	return cmd
}

// logNotReady logs the part that is not ready, and the answer that shows it.
func logNotReady(log klog.Logger, err error) {
	var notReady *apicheck.NotReady
	if !errors.As(err, &notReady) {
		log.Info("Not ready", "err", err)
		return
	}
	log.Info("Not ready", "err", notReady.Text, "underlyingError", notReady.Cause, "hint", notReady.Hint)
}
