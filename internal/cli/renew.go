package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/renewal"
)

// renewOptions are the flags of everleaf renew.
type renewOptions struct {
	connection
	which   renewal.Which
	wait    bool
	timeout time.Duration
}

func newRenewCommand() *cobra.Command {
	var o renewOptions
	cmd := &cobra.Command{
		Use: "renew [NAME...]", Short: "Have certificates issued again now",
		Long: `Sets the condition Issuing of Certificates, which starts an issuance at once. The
certificate in the Secret stays until the new one is there.

With --wait the command ends when all have been issued, or one has failed, which
sets the exit status 1.`,
		Example: `  everleaf renew www api -n shop
  everleaf renew -l app=web -n shop --wait
  everleaf renew --all -A`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if o.which.All || o.which.AllNamespaces || o.which.Selector != "" {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return names(&o.connection, cmv1.CertificateKind, len(args)+1)(cmd, args, word)
		},
	}
	flags := cmd.Flags()
	o.addFlags(flags)
	flags.StringVarP(&o.which.Selector, "selector", "l", "", "renew the Certificates with these labels, such as app=web")
	flags.BoolVar(&o.which.All, "all", false, "renew all Certificates of the namespace")
	flags.BoolVarP(&o.which.AllNamespaces, "all-namespaces", "A", false, "renew in all namespaces, with --all or --selector")
	flags.BoolVar(&o.wait, "wait", false, "wait until the certificates are issued")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "with --wait: how long")
	startLog := addQuietLogging(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.which.Names = args
		if err := o.check(); err != nil {
			return err
		}
		if err := startLog(); err != nil {
			return err
		}
		return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func (o *renewOptions) check() error {
	if o.wait && o.timeout <= 0 {
		return fmt.Errorf("--timeout: must be greater than 0, not %s", o.timeout)
	}
	if _, err := labels.Parse(o.which.Selector); err != nil {
		return fmt.Errorf("--selector: %w", err)
	}
	return o.which.Validate()
}

func (o *renewOptions) run(ctx context.Context, out, errs io.Writer) error {
	cluster, namespace, err := o.client("everleaf-renew")
	if err != nil {
		return err
	}
	found, err := o.find(ctx, cluster, namespace)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		if o.which.AllNamespaces {
			fmt.Fprintln(errs, "No Certificates found")
		} else {
			fmt.Fprintf(errs, "No Certificates found in %s namespace.\n", namespace)
		}
		return nil
	}
	for i := range found {
		crt := &found[i]
		if err := trigger(ctx, cluster, crt); err != nil {
			return fmt.Errorf("failed to trigger issuance of Certificate %s/%s: %w", crt.Namespace, crt.Name, err)
		}
		fmt.Fprintf(out, "Manually triggered issuance of Certificate %s/%s\n", crt.Namespace, crt.Name)
	}
	if !o.wait {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	return awaitAll(ctx, cluster, found, out, errs)
}

// find returns the Certificates that are meant.
func (o *renewOptions) find(ctx context.Context, cluster client.Client, namespace string) ([]cmv1.Certificate, error) {
	if len(o.which.Names) > 0 {
		found := make([]cmv1.Certificate, len(o.which.Names))
		for i, name := range o.which.Names {
			if err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &found[i]); err != nil {
				return nil, unread(cmv1.CertificateKind, namespace, name, err)
			}
		}
		return found, nil
	}
	selector, err := labels.Parse(o.which.Selector)
	if err != nil {
		return nil, err
	}
	if o.which.AllNamespaces {
		namespace = ""
	}
	var list cmv1.CertificateList
	if err := cluster.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return nil, unreachable(err)
	}
	return list.Items, nil
}

// trigger starts an issuance. Another writer's change is kept: the update names the
// version that was read, and is tried again.
func trigger(ctx context.Context, cluster client.Client, crt *cmv1.Certificate) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		crt.Status.Conditions = renewal.Requested(crt, now())
		err := cluster.Status().Update(ctx, crt)
		if err != nil {
			// An error of the read comes back by the next update.
			_ = cluster.Get(ctx, client.ObjectKeyFromObject(crt), crt)
		}
		return err
	})
}

// pollEvery is how often an object is read that is waited for.
const pollEvery = 500 * time.Millisecond

// awaitAll waits until the issuances of Certificates have ended, one after the other. The
// Certificates are those that were found, with their revisions before.
func awaitAll(ctx context.Context, cluster client.Client, found []cmv1.Certificate, out, errs io.Writer) error {
	line := newProgress(errs)
	defer line.clear()
	var failed []error
	for i := range found {
		crt := &found[i]
		revision := renewal.Revision(crt)
		state, message, err := await(ctx, func() (renewal.State, string, error) {
			if err := cluster.Get(ctx, client.ObjectKeyFromObject(crt), crt); err != nil {
				return renewal.Pending, "", unread(cmv1.CertificateKind, crt.Namespace, crt.Name, err)
			}
			state, message := renewal.Progress(crt, revision)
			line.set(fmt.Sprintf("%d of %d: Certificate %s/%s: %s", i+1, len(found), crt.Namespace, crt.Name, message))
			return state, message, nil
		})
		line.clear()
		why := fmt.Sprintf("; everleaf explain certificate %s -n %s says why", crt.Name, crt.Namespace)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			failed = append(failed, fmt.Errorf("Certificate %s/%s has not been issued in time: %s%s", crt.Namespace, crt.Name, message, why))
		case err != nil:
			return err
		case state == renewal.Failed:
			failed = append(failed, fmt.Errorf("Certificate %s/%s has not been issued: %s%s", crt.Namespace, crt.Name, message, why))
		default:
			fmt.Fprintf(out, "Certificate %s/%s has been issued: revision %d\n", crt.Namespace, crt.Name, renewal.Revision(crt))
		}
	}
	return errors.Join(failed...)
}

// await asks until a state is not Pending, or ctx ends. The message is the last one.
func await(ctx context.Context, ask func() (renewal.State, string, error)) (renewal.State, string, error) {
	ticks := time.NewTicker(pollEvery)
	defer ticks.Stop()
	last := "it has not begun"
	for {
		state, message, err := ask()
		switch {
		case ctx.Err() != nil:
			return renewal.Pending, last, ctx.Err()
		case err != nil || state != renewal.Pending:
			return state, message, err
		}
		last = message
		select {
		case <-ctx.Done():
			return renewal.Pending, last, ctx.Err()
		case <-ticks.C:
		}
	}
}
