package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	// program is the name by which the user has called this program.
	program string
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
		Args: func(_ *cobra.Command, args []string) error { return bareNames(cmv1.CertificateKind, args) },
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if o.which.All || o.which.AllNamespaces || o.which.Selector != "" {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return names(&o.connection, cmv1.CertificateKind, len(args)+1)(cmd, args, word)
		},
	}
	flags := cmd.Flags()
	o.addFlags(cmd)
	flags.StringVarP(&o.which.Selector, "selector", "l", "", "renew the Certificates with these labels, such as app=web")
	flags.BoolVar(&o.which.All, "all", false, "renew all Certificates of the namespace")
	flags.BoolVarP(&o.which.AllNamespaces, "all-namespaces", "A", false, "renew in all namespaces, with --all or --selector")
	flags.BoolVar(&o.wait, "wait", false, "wait until the certificates are issued")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "with --wait: how long")
	startLog := addQuietLogging(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.which.Names, o.program = args, cmd.Root().CommandPath()
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
	return o.await(ctx, cluster, found, out, errs)
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

// lastLook is how long objects may be read after the time to wait has passed.
const lastLook = 10 * time.Second

// await waits until the issuances of Certificates have ended. The Certificates are those
// that were found, with their revisions before.
func (o *renewOptions) await(ctx context.Context, cluster client.Client, found []cmv1.Certificate, out, errs io.Writer) error {
	line := newProgress(errs)
	defer line.clear()
	issued, failed := 0, []error(nil)
	var pending []*awaited
	for i := range found {
		pending = append(pending, &awaited{Certificate: &found[i], before: renewal.Revision(&found[i]), says: "it has not begun"})
	}
	interrupted := ctx
	ctx, cancel := context.WithTimeout(ctx, o.timeout+lastLook)
	defer cancel()
	ticks, end := time.NewTicker(pollEvery), time.NewTimer(o.timeout)
	defer ticks.Stop()
	defer end.Stop()
	for over := false; ; {
		var still []*awaited
		for _, w := range pending {
			state, err := w.look(ctx, cluster)
			switch {
			case interrupted.Err() != nil:
				return fmt.Errorf("interrupted; %d of %d Certificates have been issued, and the issuance of the others goes on", issued, len(found))
			case err != nil && !apierrors.IsNotFound(err):
				w.says = unreachable(err).Error()
				still = append(still, w)
				continue
			case err == nil && state == renewal.Pending:
				still = append(still, w)
				continue
			}
			line.clear()
			if err != nil || state == renewal.Failed {
				failed = append(failed, o.failure(w, "has not been issued"))
				continue
			}
			issued++
			fmt.Fprintf(out, "Certificate %s/%s has been issued: revision %d\n", w.Namespace, w.Name, renewal.Revision(w.Certificate))
		}
		if pending = still; len(pending) == 0 || over {
			break
		}
		line.set(fmt.Sprintf("%d of %d issued; Certificate %s/%s: %s", issued, len(found), pending[0].Namespace, pending[0].Name, pending[0].says))
		select {
		case <-interrupted.Done():
		case <-end.C:
			over = true
		case <-ticks.C:
		}
	}
	for _, w := range pending {
		failed = append(failed, o.failure(w, "has not been issued in time"))
	}
	return errors.Join(failed...)
}

// failure is the error about a Certificate that has not been issued.
func (o *renewOptions) failure(w *awaited, what string) error {
	return fmt.Errorf("Certificate %s/%s %s: %s; %s explain certificate %s -n %s says why", w.Namespace, w.Name, what, w.says, o.program, w.Name, w.Namespace)
}

// awaited is a Certificate whose issuance is waited for.
type awaited struct {
	*cmv1.Certificate
	// before is the revision before the issuance, says how it is.
	before int
	says   string
}

// look reads how the issuance is.
func (w *awaited) look(ctx context.Context, cluster client.Client) (renewal.State, error) {
	if err := cluster.Get(ctx, client.ObjectKeyFromObject(w.Certificate), w.Certificate); err != nil {
		w.says = "it is not there any more"
		return renewal.Pending, err
	}
	state, says := renewal.Progress(w.Certificate, w.before)
	w.says = says
	return state, nil
}
