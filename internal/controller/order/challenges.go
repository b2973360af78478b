package order

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/order"
)

func (w *work) createChallenges(ctx context.Context, specs []acmev1.ChallengeSpec) error {
	for _, wanted := range specs {
		challenge := &acmev1.Challenge{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: w.subject.Namespace,
				Name:      core.ChallengeName(w.subject.Name, wanted),
				// Set from the start, it needs no write of its own.
				Finalizers:      []string{acmev1.ACMEFinalizer},
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(w.State.Object, acmev1.SchemeGroupVersion.WithKind(acmev1.OrderKind))},
			},
			// The answer is decoded into it.
			Spec: *wanted.DeepCopy(),
		}
		err := w.c.deps.Server.Create(ctx, w.subject, acmev1.ChallengeKind, challenge, core.Manager)
		if apierrors.IsAlreadyExists(err) {
			if err = w.adoptChallenge(ctx, challenge); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if !core.SameChallenge(&challenge.Spec, &wanted) {
			// It must not be worked on, and made again it would be no better.
			if err := w.deleteChallenges(ctx, []*acmev1.Challenge{challenge}); err != nil {
				return err
			}
			return fault.New(fault.Permanent, "", "Challenge %q was changed while it was created: its spec is not as it was sent; find the admission policy or webhook that changes Challenges", challenge.Name)
		}
		w.Challenges = append(w.Challenges, challenge)
		w.c.deps.Server.Send(w.State.Object, challengeEvent(challenge))
	}
	return nil
}

// adoptChallenge looks at a Challenge that has the name of the one to create: it
// is this Order's and not in the cache yet, or it is in the way.
func (w *work) adoptChallenge(ctx context.Context, wanted *acmev1.Challenge) error {
	live := &acmev1.Challenge{}
	if err := w.c.deps.Server.Live(ctx, client.ObjectKeyFromObject(wanted), live); err != nil {
		return err
	}
	if metav1.IsControlledBy(live, w.State.Object) && live.DeletionTimestamp == nil && core.SameChallenge(&live.Spec, &wanted.Spec) {
		w.Challenges = append(w.Challenges, live)
		return nil
	}
	if !metav1.IsControlledBy(live, w.State.Object) && live.DeletionTimestamp == nil {
		return fault.New(fault.Transient, "", "Challenge %q is in the way: it is not one of this Order; delete it", live.Name)
	}
	return fmt.Errorf("found Challenge %s/%s that is not this Order's, retrying", live.Namespace, live.Name)
}

func (w *work) deleteChallenges(ctx context.Context, challenges []*acmev1.Challenge) error {
	for _, c := range challenges {
		if err := w.c.deps.Server.Delete(ctx, w.subject, acmev1.ChallengeKind, c); err != nil {
			return err
		}
		w.Challenges = slices.DeleteFunc(w.Challenges, func(left *acmev1.Challenge) bool { return left.Name == c.Name })
	}
	return nil
}
