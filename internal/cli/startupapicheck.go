package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/features"
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
		Use: "api", Short: "Check that CertificateRequests can be created", Args: noArgsAfterVerbosity,
		Long: `Creates a valid and an invalid CertificateRequest by dry run, so that nothing is
stored. The API is ready if the requester's name is set in the first, and the second
is refused, by the webhook or by the admission policies.

The exit status is 0 if the API is ready, else 1.`,
	}
	flags := cmd.Flags()
	to.addFlags(cmd)
	flags.DurationVar(&wait, "wait", 0, "how long to wait until the API is ready; 0 is one attempt")
	flags.DurationVar(&interval, "interval", 5*time.Second, "time between two attempts")
	flags.StringVar(&admission, "admission", string(apicheck.Auto), `what admits objects: "webhook", "policies" or, for whichever answers, "auto"`)
	startLog := addQuietLogging(cmd)
	// The chart passes a bare -v. joinVerbosity sees to the other ways to write it.
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
		// The first question makes client-go log all of its gates, if the log is on by then.
		_ = features.FeatureGates().Enabled(features.WatchListClient)
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

// joinVerbosity returns the arguments of a program in which -v has its value behind a
// "=", if they are those of startupapicheck or of check api: there -v may lack a value,
// so that the parser takes the number in "-v 3" and "-v3" for something else.
func joinVerbosity(args []string) []string {
	if len(args) == 0 || args[0] != "startupapicheck" && (len(args) == 1 || args[0] != "check" || args[1] != "api") {
		return args
	}
	var joined []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(joined, args[i:]...)
		}
		if (arg == "-v" || arg == "--v") && i+1 < len(args) && isVerbosity(args[i+1]) {
			i++
			arg += "=" + args[i]
		} else if after, ok := strings.CutPrefix(arg, "-v"); ok && isVerbosity(after) {
			arg = "-v=" + after
		}
		joined = append(joined, arg)
	}
	return joined
}

// isVerbosity reports whether text is a level of klog.
func isVerbosity(text string) bool {
	_, err := strconv.ParseInt(text, 10, 32)
	return err == nil
}

// noArgsAfterVerbosity refuses arguments. One that may be meant as the value of -v is
// named as such.
func noArgsAfterVerbosity(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && cmd.Flags().Changed("v") {
		return fmt.Errorf("unexpected argument %q: if it is the value of -v, it must be a number, as in -v=3", args[0])
	}
	return cobra.NoArgs(cmd, args)
}

// logNotReady logs the part that is not ready, and the answer that shows it.
func logNotReady(log klog.Logger, err error) {
	var notReady *apicheck.NotReady
	if !errors.As(err, &notReady) {
		log.Info("Not ready", "err", err)
		return
	}
	cause := notReady.Cause
	if cause != nil && cause.Error() == notReady.Text {
		cause = nil
	}
	log.Info("Not ready", "err", notReady.Text, "underlyingError", cause, "hint", notReady.Hint)
}
