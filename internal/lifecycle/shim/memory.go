package shim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/plan"
)

var (
	// backoff is the wait after a Certificate could not be written.
	backoff = plan.Backoff{Min: 5 * time.Second, Max: 5 * time.Minute}
	// brake is the wait before a Certificate is written that somebody changes or
	// deletes again and again.
	brake = plan.Backoff{Min: time.Second, Max: 5 * time.Minute}
)

// forgotten is how long after its time a write is remembered.
const forgotten = 10 * time.Minute

// Memory is what a process knows of an object and does not store.
type Memory struct {
	// told are the events that have been sent about the object as it is.
	told []plan.Event
	// putOff are the Certificates that have been written or could not be written,
	// by name.
	putOff map[string]putOff
	// looked is what is known of who has written what in Certificates, by name.
	looked map[string]look
}

// Empty reports whether there is nothing to remember.
func (m *Memory) Empty() bool { return len(m.told) == 0 && len(m.putOff) == 0 && len(m.looked) == 0 }

// Prune forgets the writes of long ago.
func (m *Memory) Prune(now time.Time) {
	maps.DeleteFunc(m.putOff, func(_ string, off putOff) bool { return now.Sub(off.until) > forgotten })
}

// putOff is a write that is not repeated before a time.
type putOff struct {
	// change identifies what the object wanted.
	change string
	// failed reports that the write failed; otherwise it may have been undone.
	failed bool
	// attempts counts the writes in a row that failed or were undone.
	attempts int
	until    time.Time
	// reason is why it failed. An event says so until the write has succeeded; none does
	// if it is empty.
	reason string
}

// Failed decides what the failure of an action means: other Certificates go on, and
// this one is tried again after a while, or when something else is to be written.
func (s State) Failed(f plan.Failure, now time.Time) Plan {
	off := s.offOf(f.Action)
	if !off.failed {
		off = putOff{failed: true}
	}
	off.attempts++
	off.until = now.Add(backoff.Delay(off.attempts))
	if refusal, ok := plan.RefusalOf(f.Err, false); ok {
		off.reason = plan.WithNextTry(fmt.Sprintf("Failed to %s: %s; %s", f.Action, refusal.Cause, refusal.Advice()), f.Err, backoff, now)
	}
	name, change := s.describe(f.Action)
	off.change = change
	return Plan{Do: PutOff{name, off}}
}

// offOf returns until when an action is put off, and why. The zero value is for one
// that has not failed.
func (s State) offOf(action plan.Action) putOff {
	if len(s.Memory.putOff) == 0 {
		return putOff{}
	}
	name, change := s.describe(action)
	if off := s.Memory.putOff[name]; off.change == change {
		return off
	}
	return putOff{}
}

// describe returns the name of the Certificate that an action writes, and what
// identifies what the object wants of it. What others have put into the Certificate does
// not count: it may be something else each time.
func (s State) describe(action plan.Action) (name, change string) {
	switch a := action.(type) {
	case Create:
		name = a.Certificate.Name
	case Update:
		name = a.Certificate.Name
	case Delete:
		return a.Certificate.Name, "delete"
	case Look:
		return a.Certificate.Name, "look"
	default:
		return "", ""
	}
	for _, wanted := range s.Wanted.Certificates {
		if wanted.Name == name {
			encoded, err := json.Marshal(wanted)
			if err != nil {
				return name, err.Error()
			}
			sum := sha256.Sum256(encoded)
			return name, hex.EncodeToString(sum[:])
		}
	}
	return name, ""
}

// Tell carries out a Tell.
func (s State) Tell(a Tell) { s.Memory.told = a.Events }

// PutOff carries out a PutOff.
func (s State) PutOff(a PutOff) { s.remember(a.name, a.off) }

func (s State) remember(name string, off putOff) {
	if s.Memory.putOff == nil {
		s.Memory.putOff = map[string]putOff{}
	}
	s.Memory.putOff[name] = off
}

// Done brings the state up to date with what the API server has answered to an action:
// a Certificate, nil if it is deleted. If the same is to be written again soon,
// somebody undoes it.
func (s *State) Done(action plan.Action, answer *cmv1.Certificate, now time.Time) {
	off := s.offOf(action)
	if off.failed {
		off = putOff{}
	}
	name, change := s.describe(action)
	off.attempts++
	off.change, off.until = change, now.Add(brake.Delay(off.attempts))
	s.remember(name, off)
	delete(s.Memory.looked, name)
	s.Certificates = slices.DeleteFunc(slices.Clone(s.Certificates), func(c *cmv1.Certificate) bool { return c.Name == name })
	if answer != nil {
		s.Certificates = append(s.Certificates, answer)
	}
}
