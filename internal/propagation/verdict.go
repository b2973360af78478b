package propagation

import "time"

// Evidence is what one check of a presented challenge found.
type Evidence interface {
	// Verdict decides from the evidence what to do at now. It is a pure
	// function: the same evidence and time give the same Verdict.
	Verdict(now time.Time) Verdict
}

// State is what to do about a challenge that has been presented.
type State string

// States.
const (
	// Accept: the CA can be asked to validate now.
	Accept State = "Accept"
	// Wait: check again at Verdict.Until.
	Wait State = "Wait"
	// Stuck: like Wait. The challenge has waited so long that a person should read the
	// message.
	Stuck State = "Stuck"
)

// Verdict says what to do next.
type Verdict struct {
	State State
	// Until is when the next check is due, at once if it is not after the time
	// of the Verdict. It is zero for Accept.
	Until time.Time
	// Message is the reason, without times: the same evidence gives the same
	// text. It is empty for a wait that is too short to report. For Accept it
	// is empty, or names what was left out of account.
	Message string
	// AbsentSince is the time from which every server that answers has lacked the
	// value, so that presenting it again may help; zero if one has it.
	AbsentSince time.Time
	// Unanswered reports whether no server gave an answer in time.
	Unanswered bool
	// VisibleSince is when the challenge became visible everywhere that counts;
	// zero if it is not. It can be set while the State is Wait.
	VisibleSince time.Time
}
