// Package shim decides which Certificates an Ingress, a Gateway or a ListenerSet
// needs: one procedure for the three kinds, which are put into one form before.
package shim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/plan"
)

// None is the status of the objects: these controllers write none.
type None struct{}

// Plan is what an object needs next.
type Plan = plan.Plan[None]

// State is everything that decides what an object needs next.
type State struct {
	Object Object
	Wanted Wanted
	// Issuer is what is known of the issuer that the object names.
	Issuer Issuer
	// Certificates are those that the object controls, and those that have a name
	// that it wants. They are not to be changed.
	Certificates []*cmv1.Certificate
	// Memory is what the process knows of the object.
	Memory *Memory
}

// Create creates a Certificate.
type Create struct{ Certificate *cmv1.Certificate }

// String implements plan.Action.
func (a Create) String() string { return "create Certificate " + a.Certificate.Name }

// Update changes a Certificate, from Before.
type Update struct{ Before, Certificate *cmv1.Certificate }

// String implements plan.Action.
func (a Update) String() string { return "update Certificate " + a.Certificate.Name }

// Delete deletes a Certificate.
type Delete struct{ Certificate *cmv1.Certificate }

// String implements plan.Action.
func (a Delete) String() string { return "delete Certificate " + a.Certificate.Name }

// Tell remembers what has been told about the object, by State.Tell.
type Tell struct{ Events []plan.Event }

// String implements plan.Action.
func (Tell) String() string { return "tell what is wrong with the object" }

// Local implements plan.Local.
func (Tell) Local() {}

// PutOff remembers that a Certificate could not be written, by State.PutOff.
type PutOff struct {
	name string
	off  putOff
}

// String implements plan.Action.
func (a PutOff) String() string { return "put off Certificate " + a.name }

// Local implements plan.Local.
func (PutOff) Local() {}

// Next decides what an object needs next.
func (s State) Next(now time.Time) Plan {
	if s.Object.Ignored {
		return Plan{}
	}
	if tell := s.tell(); tell.Do != nil {
		return tell
	}
	if !s.Wanted.Valid {
		return Plan{}
	}
	var until time.Time
	for _, action := range s.changes() {
		if off := s.offOf(action); off.until.After(now) {
			until = plan.Earliest(until, off.until)
			continue
		}
		p := Plan{Do: action, Events: s.done(action)}
		if _, ok := action.(Look); !ok {
			p.Confirm = s.Object.asSeen()
		}
		return p
	}
	return Plan{Until: until}
}

// tell is the plan that tells what is wrong with the object, each thing once. It
// does nothing if all has been told.
func (s State) tell() Plan {
	events := s.warnings()
	if equality.Semantic.DeepEqual(events, s.Memory.told) {
		return Plan{}
	}
	p := Plan{Do: Tell{events}}
	for _, e := range events {
		if !slices.Contains(s.Memory.told, e) {
			p.Events = append(p.Events, e)
		}
	}
	return p
}

// warnings are what is wrong with the object now.
func (s State) warnings() []plan.Event {
	events := slices.Clone(s.Wanted.mistakes)
	if !s.Wanted.Valid {
		return events
	}
	warn := func(reason, message string) {
		events = append(events, plan.Event{Warning: true, Reason: reason, Message: message, Component: ManagerOf(s.Object.Kind)})
	}
	if mistaken := s.Issuer.mistaken(s.Wanted.Issuer, s.Object.Namespace); mistaken != "" {
		warn(ReasonIssuerNotFound, mistaken)
	}
	for _, wanted := range s.Wanted.Certificates {
		existing := s.named(wanted.Name)
		if existing == nil || s.controls(existing) || s.orphan(existing, wanted) != nil || existing.DeletionTimestamp != nil {
			continue
		}
		if controller := metav1.GetControllerOfNoCopy(existing); controller != nil && controller.Kind == s.Object.Kind && controller.Name == s.Object.Name {
			// It belonged to an object of this name that is gone, and goes as well.
			continue
		}
		warn(ReasonNotOwned, s.Wanted.stranger(s.Object, existing, wanted))
	}
	if len(s.Memory.putOff) > 0 {
		for _, action := range s.changes() {
			off := s.offOf(action)
			if reason := cmp.Or(off.reason, off.undone(action)); reason != "" {
				warn(ReasonWriteFailed, reason)
			}
		}
	}
	return events
}

// changes are the writes that the object needs, in their order.
func (s State) changes() []plan.Action {
	var actions []plan.Action
	names := map[string]bool{}
	for _, wanted := range s.Wanted.Certificates {
		names[wanted.Name] = true
		existing := s.named(wanted.Name)
		switch {
		case existing == nil:
			actions = append(actions, Create{wanted})
		case existing.DeletionTimestamp != nil:
			// It is made anew when it is gone.
		case s.controls(existing):
			if action := s.update(existing, wanted); action != nil {
				actions = append(actions, action)
			}
		default:
			if c := s.orphan(existing, wanted); c != nil {
				actions = append(actions, Update{existing, c})
			}
		}
	}
	for _, c := range s.Certificates {
		if s.controls(c) && c.DeletionTimestamp == nil && !names[c.Name] && !s.Wanted.used[c.Spec.SecretName] {
			actions = append(actions, Delete{c})
		}
	}
	return actions
}

// orphan returns a Certificate that nobody controls as the object adopts it, nil if it does not.
func (s State) orphan(existing, wanted *cmv1.Certificate) *cmv1.Certificate {
	if metav1.GetControllerOfNoCopy(existing) != nil || existing.DeletionTimestamp != nil {
		return nil
	}
	return s.Wanted.adopted(existing, wanted)
}

func (s State) controls(c *cmv1.Certificate) bool {
	controller := metav1.GetControllerOfNoCopy(c)
	return controller != nil && controller.UID == s.Object.UID
}

func (s State) named(name string) *cmv1.Certificate {
	for _, c := range s.Certificates {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// done are the events of an action that has succeeded.
func (s State) done(action plan.Action) []plan.Event {
	e := plan.Event{Component: ManagerOf(s.Object.Kind), Verbose: true}
	switch a := action.(type) {
	case Create:
		e.Reason, e.Message = ReasonCreate, fmt.Sprintf("Successfully created Certificate %q", a.Certificate.Name)
	case Update:
		e.Reason, e.Message = ReasonUpdate, fmt.Sprintf("Successfully updated Certificate %q", a.Certificate.Name)
	case Delete:
		e.Reason, e.Message = ReasonDelete, fmt.Sprintf("Successfully deleted unrequired Certificate %q", a.Certificate.Name)
	default:
		return nil
	}
	return []plan.Event{e}
}
