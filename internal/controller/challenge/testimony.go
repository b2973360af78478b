package challenge

import (
	"context"
	"fmt"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/diagnosis"
	"github.com/everleaf/everleaf/internal/solver"
)

// How an answer without a view begins, by the type of the Challenge.
const (
	notAsked     = "no name server is asked for this Challenge"
	notAskedHTTP = "no address is asked for this Challenge"
)

// asksNobody is how an answer for the Challenge begins that has no view.
func (w *work) asksNobody() string {
	if w.State.Object.Spec.Type == acmev1.ACMEChallengeTypeHTTP01 {
		return notAskedHTTP
	}
	return notAsked
}

// testimony is witness for a Challenge in any state. Of one that has ended, load does not
// look at the provenance. A failure to do so is the answer: it must not stop the clean-up.
func (w *work) testimony(ctx context.Context, id string) (diagnosis.Answer, solver.Witness) {
	if !w.ProvenanceDecides() {
		if err := w.loadProvenance(ctx); err != nil {
			return diagnosis.Answer{ID: id, Problem: w.asksNobody() + ": its Order cannot be looked up: " + err.Error()}, nil
		}
	}
	return w.witness(id)
}

// witness is who can answer. For a Challenge that its Order and its issuer do not call for
// nobody is asked: its name, value and solver are only what somebody has written, and who
// may create Challenges must not choose what the controllers ask which servers.
func (w *work) witness(id string) (diagnosis.Answer, solver.Witness) {
	answer, notAsked := diagnosis.Answer{ID: id}, w.asksNobody()
	object := w.State.Object
	issuer := object.Spec.IssuerRef.WithDefaults()
	switch {
	case w.Untrusted != "":
		answer.Problem = notAsked + ": " + w.Untrusted
	case w.issuer == nil:
		answer.Problem = fmt.Sprintf("%s: there is no ACME %s %q", notAsked, issuer.Kind, issuer.Name)
	case !w.OwnSolver:
		answer.Problem = notAsked + ": its solver is not one of its issuer's"
	case w.Account == nil:
		// What the Order calls for depends on the key of the account.
		answer.Problem = fmt.Sprintf("%s while the ACME account of %s %q is not ready: until then, it cannot be compared with what its Order calls for",
			notAsked, issuer.Kind, issuer.Name)
	case !object.Status.Presented:
		answer.Problem = "the challenge is not presented, so that there is nothing to see"
	}
	if answer.Problem != "" {
		return answer, nil
	}
	with := w.c.Solvers[object.Spec.Type]
	if placed, ok := with.(solver.Placed); ok {
		answer.Provider = placed.Server(&object.Spec.Solver)
	}
	if with != nil {
		if witness, ok := with.Begin(w.challenge(object)).(solver.Witness); ok {
			return answer, witness
		}
	}
	answer.Problem = "there is nothing to ask about challenges of this type"
	return answer, nil
}
