package challenge

import "time"

// The actions of a Challenge.
type (
	// AddFinalizer keeps the Challenge until its clean-up.
	AddFinalizer struct{}
	// TakeSlot takes a slot, or a place in the queue for one.
	TakeSlot struct{}
	// ReleaseSlot gives the slot, or the place in the queue, back.
	ReleaseSlot struct{}
	// Present makes the challenge visible.
	Present struct{}
	// Probe checks whether the CA would find the challenge.
	Probe struct{}
	// Accept asks the ACME server to validate the challenge at URL. Skipped is what the
	// status says from then on if the self-check has not succeeded, else empty.
	Accept struct{ URL, Skipped string }
	// FetchAuthorization fetches the authorization at URL.
	FetchAuthorization struct{ URL string }
	// SuspectAccount takes an account out of use which the server refused in a
	// step that began at Began, with the words of Cause.
	SuspectAccount struct {
		Began time.Time
		Cause string
	}
	// RememberValidation records a validation of an earlier process, which is
	// known from the stored Challenge only.
	RememberValidation struct {
		PresentedAt, EndedAt time.Time
		Failed               bool
	}
	// NoteWait notes that the Challenge waits from now on for a reason.
	NoteWait struct{ Reason string }
	// CleanUp removes what Present made.
	CleanUp struct{}
	// RemoveFinalizer lets the Challenge go. Abandoned reports whether something
	// that was presented is left behind, Untried whether something may be for which
	// there was no clean-up: the time was over before one could be tried.
	RemoveFinalizer struct{ Abandoned, Untried bool }
)

func (AddFinalizer) String() string       { return "add the finalizer" }
func (TakeSlot) String() string           { return "take a slot" }
func (ReleaseSlot) String() string        { return "release the slot" }
func (Present) String() string            { return "present the record" }
func (Probe) String() string              { return "probe the record" }
func (Accept) String() string             { return "ask the server to validate" }
func (FetchAuthorization) String() string { return "fetch the authorization" }
func (SuspectAccount) String() string     { return "suspect the account" }
func (RememberValidation) String() string { return "remember a validation" }
func (NoteWait) String() string           { return "note the wait" }
func (CleanUp) String() string            { return "remove the record" }
func (RemoveFinalizer) String() string    { return "remove the finalizer" }

// Local implements plan.Local.
func (TakeSlot) Local() {}

// Local implements plan.Local.
func (ReleaseSlot) Local() {}

// Local implements plan.Local.
func (SuspectAccount) Local() {}

// Local implements plan.Local.
func (RememberValidation) Local() {}

// Local implements plan.Local.
func (NoteWait) Local() {}
