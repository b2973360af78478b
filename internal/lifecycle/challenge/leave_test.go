package challenge

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
)

// A Challenge that has ended keeps why while it waits for another one that has
// written its value: the Order takes the reason from there.
func TestSharedElsewhereKeepsTheReason(t *testing.T) {
	c, account := called()
	c.Finalizers = []string{acmev1.ACMEFinalizer}
	at := metav1.NewTime(now.Add(-time.Minute))
	c.Status = acmev1.ChallengeStatus{State: acmev1.Invalid, Reason: "the CA says why", Presented: true, PresentedAt: &at}
	s := State{Object: c, Account: account, CA: "ca", OwnSolver: true, SharedElsewhere: true, Memory: Memory{Presented: true}}
	if got, want := s.Next(now), (Plan{Status: c.Status, Until: now.Add(sharedRecheck)}); !cmp.Equal(got, want) {
		t.Errorf("plan (-want +got):\n%s", cmp.Diff(want, got))
	}
}

// A record is not left behind without a try to remove it.
func TestSharedElsewhereIsCleanedUp(t *testing.T) {
	c, account := called()
	c.Finalizers = []string{acmev1.ACMEFinalizer}
	at := metav1.NewTime(now)
	c.DeletionTimestamp = &at
	c.Status = acmev1.ChallengeStatus{State: acmev1.Pending, Presented: true, PresentedAt: &at}
	s := State{Object: c, Account: account, CA: "ca", OwnSolver: true, SharedElsewhere: true, Memory: Memory{Presented: true}}
	for at := now; ; {
		p := s.Next(at)
		switch a := p.Do.(type) {
		case CleanUp:
			if want := now.Add(abandonCleanUp - lastCleanUp); !at.Equal(want) {
				t.Errorf("cleaned up at %s, want %s", at, want)
			}
			return
		case NoteWait:
			s.Memory.Waiting, s.Memory.WaitingSince = a.Reason, at
		case RemoveFinalizer:
			t.Fatalf("at %s the record is abandoned without a try", at)
		default:
			s.Object.Status = p.Status
			at = p.Until
		}
	}
}
