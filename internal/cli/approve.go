package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
)

// verdict is what approve or deny writes.
type verdict struct {
	// verb and done are the words of the messages.
	verb, done string
	condition  cmv1.CertificateRequestConditionType
}

var (
	approval = verdict{"approve", "Approved", cmv1.CertificateRequestConditionApproved}
	denial   = verdict{"deny", "Denied", cmv1.CertificateRequestConditionDenied}
)

func newApproveCommand() *cobra.Command {
	return verdictCommand(approval, "Approve a CertificateRequest, so that its issuer signs it", "approved", `Sets the condition Approved of a CertificateRequest. Nobody can undo it.`)
}

func newDenyCommand() *cobra.Command {
	return verdictCommand(denial, "Deny a CertificateRequest, so that it is never signed", "denied", `Sets the condition Denied of a CertificateRequest. Nobody can undo it: the request
fails.`)
}

func verdictCommand(v verdict, short, participle, long string) *cobra.Command {
	var (
		to              connection
		reason, message string
	)
	cmd := &cobra.Command{
		Use: v.verb + " NAME", Short: short,
		Long: long + `

You need the verb approve on signers of the group cert-manager.io for the issuer,
and update on certificaterequests/status.`,
		Example: "  everleaf " + v.verb + ` www-1 -n shop --reason Reviewed --message "the names are ours"`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("the name of the CertificateRequest to %s has to be provided as an argument", v.verb)
			}
			return oneName(cmv1.CertificateRequestKind)(nil, args)
		},
		ValidArgsFunction: names(&to, cmv1.CertificateRequestKind, 1),
	}
	flags := cmd.Flags()
	to.addFlags(cmd)
	flags.StringVar(&reason, "reason", "KubectlCertManager", "reason of the condition: who has "+participle+" the request")
	flags.StringVar(&message, "message", fmt.Sprintf("manually %s by %q", participle, "cmctl"), "message of the condition: why the request is "+participle)
	startLog := addQuietLogging(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case reason == "":
			return fmt.Errorf("a reason must be given as to who %s this CertificateRequest", participle)
		case message == "":
			return fmt.Errorf("a message must be given as to why this CertificateRequest is %s", participle)
		}
		if err := startLog(); err != nil {
			return err
		}
		cluster, namespace, err := to.client("everleaf-" + v.verb)
		if err != nil {
			return err
		}
		if err := v.write(cmd.Context(), cluster, client.ObjectKey{Namespace: namespace, Name: args[0]}, reason, message); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s CertificateRequest '%s/%s'\n", v.done, namespace, args[0])
		return err
	}
	return cmd
}

// write stores the verdict. A verdict that came first is not changed: the update names
// the version that was read.
func (v verdict) write(ctx context.Context, cluster client.Client, key client.ObjectKey, reason, message string) error {
	request := &cmv1.CertificateRequest{}
	if err := cluster.Get(ctx, key, request); err != nil {
		return unread(cmv1.CertificateRequestKind, key.Namespace, key.Name, err)
	}
	conditions, err := v.on(request.Status.Conditions, reason, message, now())
	if err != nil {
		return err
	}
	request.Status.Conditions = conditions
	if err := cluster.Status().Update(ctx, request); err != nil {
		return fmt.Errorf("%s CertificateRequest %q in namespace %q: %w", v.verb, key.Name, key.Namespace, err)
	}
	return nil
}

// on returns conditions with the verdict, or an error if there is one already.
func (v verdict) on(conditions []cmv1.CertificateRequestCondition, reason, message string, now time.Time) ([]cmv1.CertificateRequestCondition, error) {
	switch {
	case condition.True(conditions, cmv1.CertificateRequestConditionApproved):
		return nil, errors.New("CertificateRequest is already approved")
	case condition.True(conditions, cmv1.CertificateRequestConditionDenied):
		return nil, errors.New("CertificateRequest is already denied")
	}
	at := metav1.NewTime(now)
	return condition.Set(conditions, cmv1.CertificateRequestCondition{
		Type: v.condition, Status: cmmeta.ConditionTrue, Reason: reason, Message: message, LastTransitionTime: &at,
	}), nil
}
