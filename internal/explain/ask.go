package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/diagnosis"
	"github.com/everleaf/everleaf/internal/fault"
)

const (
	// viewTime bounds the questions to servers from here, caTime those to the CA.
	viewTime = 8 * time.Second
	caTime   = 5 * time.Second
	// glance is how often the answer of the controllers is looked for.
	glance = 200 * time.Millisecond
)

// fromHere asks the servers about a Challenge.
func (c *Collector) fromHere(ctx context.Context, e *diagnosis.Evidence, one *acmev1.Challenge) {
	if one.Spec.Type == acmev1.ACMEChallengeTypeHTTP01 {
		c.askAddresses(ctx, e, one)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, viewTime)
	defer cancel()
	survey := c.Providers.Survey(c.Survey, one.Spec.DNSName, one.Spec.Key, &one.Spec.Solver)
	survey.Presented = one.Status.Presented
	view := survey.Run(ctx)
	c.add(e, diagnosis.Sighting{
		Challenge: one.Name, From: diagnosis.FromCommand, Provider: c.Providers.Server(one.Spec.Solver.DNS01), View: &view,
	})
}

func (c *Collector) add(e *diagnosis.Evidence, s diagnosis.Sighting) {
	c.here.Lock()
	defer c.here.Unlock()
	e.Sightings = append(e.Sightings, s)
}

// fromControllers asks the controllers about a Challenge and waits for the answer.
func (c *Collector) fromControllers(ctx context.Context, e *diagnosis.Evidence, one *acmev1.Challenge) {
	seen := diagnosis.Sighting{Challenge: one.Name, From: diagnosis.FromController}
	answer, err := c.ask(ctx, client.ObjectKeyFromObject(one))
	switch {
	case err != nil:
		seen.Problem = err.Error()
	default:
		seen.Provider, seen.Problem, seen.View, seen.HTTP = answer.Provider, answer.Problem, answer.View, answer.HTTP
	}
	c.add(e, seen)
}

// ask puts the question to a Challenge and removes it again. Another's question is
// waited for, as long as there is time.
func (c *Collector) ask(ctx context.Context, key types.NamespacedName) (diagnosis.Answer, error) {
	id := c.ID()
	end := c.Clock.After(2 * c.Patience)
	var answered <-chan time.Time
	asked := false
	defer func() {
		if asked {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), caTime)
			defer cancel()
			// The controllers remove it too, later.
			_ = c.retract(ctx, key, id)
		}
	}()
	ticks := c.Clock.NewTicker(glance)
	defer ticks.Stop()
	for {
		object := &acmev1.Challenge{}
		if err := c.Client.Get(ctx, key, object); err != nil {
			return diagnosis.Answer{}, err
		}
		answer := diagnosis.AnswerTo(object.Annotations, id)
		switch there := object.Annotations[diagnosis.AskAnnotation]; {
		case asked && answer != nil:
			return *answer, nil
		case !asked && there == "":
			changed := object.DeepCopy()
			metav1.SetMetaDataAnnotation(&changed.ObjectMeta, diagnosis.AskAnnotation, id)
			err := c.Client.Patch(ctx, changed, client.MergeFromWithOptions(object, client.MergeFromWithOptimisticLock{}), client.FieldOwner(manager))
			if apierrors.IsConflict(err) {
				break
			}
			if err != nil {
				return diagnosis.Answer{}, fmt.Errorf("the controllers were not asked: %w", err)
			}
			asked, answered = true, c.Clock.After(c.Patience)
		}
		select {
		case <-ctx.Done():
			return diagnosis.Answer{}, ctx.Err()
		case <-answered:
			return diagnosis.Answer{}, fmt.Errorf(
				"no controller answered within %s: everleaf does not run, is not the leader, is busy with other questions, or is cert-manager, which does not know the question; what follows is seen from here only", c.Patience)
		case <-end:
			return diagnosis.Answer{}, errors.New("somebody else asks about this Challenge at the moment; what follows is seen from here only")
		case <-ticks.C():
		}
	}
}

// manager is the field manager of questions.
const manager = "everleaf-explain"

// retract removes a question if it is still the one with an id.
func (c *Collector) retract(ctx context.Context, key types.NamespacedName, id string) error {
	object := &acmev1.Challenge{}
	if err := c.Client.Get(ctx, key, object); err != nil || object.Annotations[diagnosis.AskAnnotation] != id {
		return err
	}
	changed := object.DeepCopy()
	delete(changed.Annotations, diagnosis.AskAnnotation)
	delete(changed.Annotations, diagnosis.AnswerAnnotation)
	return c.Client.Patch(ctx, changed, client.MergeFromWithOptions(object, client.MergeFromWithOptimisticLock{}), client.FieldOwner(manager))
}

// events reads the latest Warning events of the objects.
func (c *Collector) events(ctx context.Context, e *diagnosis.Evidence) {
	var of []diagnosis.Ref
	note := func(kind string, o client.Object) {
		of = append(of, diagnosis.Ref{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()})
	}
	if e.Certificate != nil {
		note(cmv1.CertificateKind, e.Certificate)
	}
	if e.Request != nil {
		note(cmv1.CertificateRequestKind, e.Request)
	}
	if e.Order != nil {
		note(acmev1.OrderKind, e.Order)
	}
	for i := range e.Challenges[:min(len(e.Challenges), maxAsked)] {
		note(acmev1.ChallengeKind, &e.Challenges[i])
	}
	var found []diagnosis.Event
	for _, ref := range of {
		list := &corev1.EventList{}
		err := c.Client.List(ctx, list, client.InNamespace(ref.Namespace), client.Limit(page),
			client.MatchingFields{"type": corev1.EventTypeWarning, "involvedObject.kind": ref.Kind, "involvedObject.name": ref.Name})
		if err != nil {
			c.miss(e, "events of %s: %s", ref, err)
			return
		}
		for _, v := range list.Items {
			last := v.LastTimestamp
			if last.IsZero() {
				last = metav1.Time(v.EventTime)
			}
			found = append(found, diagnosis.Event{Object: ref, Type: v.Type, Reason: v.Reason, Message: v.Message, Count: v.Count, Last: last})
		}
	}
	slices.SortFunc(found, func(a, b diagnosis.Event) int { return b.Last.Compare(a.Last.Time) })
	c.here.Lock()
	defer c.here.Unlock()
	e.Events = found[:min(len(found), maxEvents)]
}

// ca asks the ACME server what it says of itself.
func (c *Collector) ca(ctx context.Context, e *diagnosis.Evidence) {
	if e.Issuer == nil || e.Issuer.Spec == nil || e.Issuer.Spec.ACME == nil {
		return
	}
	spec := e.Issuer.Spec.ACME
	found := &diagnosis.CA{Server: spec.Server}
	ctx, cancel := context.WithTimeout(ctx, caTime)
	defer cancel()
	asking, err := acme.HTTPClient(acme.TransportOptions{CABundle: spec.CABundle, SkipTLSVerify: spec.SkipTLSVerify})
	if err == nil {
		var d acme.Directory
		d, err = acme.New(acme.Config{DirectoryURL: spec.Server, HTTPClient: asking, Clock: c.Clock}).Directory(ctx)
		found.Identities = d.Meta.CAAIdentities
	}
	if err != nil {
		found.Problem = fault.Of(err).Message
	}
	c.here.Lock()
	defer c.here.Unlock()
	e.CA = found
}
