package challenge

import (
	"context"
	"errors"
	"time"

	"github.com/everleaf/everleaf/internal/solver"
)

// forget drops what is remembered of a Challenge that is gone. If somebody else
// has removed the finalizer, what it has presented is cleaned up first.
func (c *Controller) forget(m *memory) {
	solver.ObserverOf(m.session).Forget()
	if m.session == nil || !m.session.Presented() || m.CleanedUp || m.released {
		return
	}
	session, begun := m.session, m.begun
	c.leftovers.Go(func() { c.cleanUpLeftovers(session, begun) })
}

// leftoverTries is how often the removal of what a Challenge that is gone has
// presented is tried, leftoverRetry the wait between two tries.
const (
	leftoverTries = 3
	leftoverRetry = time.Minute
)

// cleanUpLeftovers removes what a Challenge has presented that is gone.
func (c *Controller) cleanUpLeftovers(session solver.Session, begun solver.Challenge) {
	log := c.Log.WithValues("challenge", begun.Namespace+"/"+begun.Name, "dnsName", begun.DNSName, "name", session.String())
	for tries := 1; ; tries++ {
		err := c.cleanUpLeftover(session, begun, tries == leftoverTries)
		switch {
		case err == nil:
			return
		case tries == leftoverTries:
			log.Info("The record of a Challenge that somebody has removed the finalizer from could not be removed and is left behind", "error", err.Error())
			c.Abandoned()
			return
		}
		log.Info("The record of a Challenge that is gone could not be removed; it is tried again", "after", leftoverRetry, "error", err.Error())
		<-c.Clock.After(leftoverRetry)
	}
}

var errPresentedElsewhere = errors.New("another Challenge has presented the value with another solver, maybe at the same server")

// cleanUpLeftover removes what a Challenge has presented that is gone, unless
// another Challenge needs it. If that one has another solver, which may write to the
// same server or not, only the last try removes the record.
func (c *Controller) cleanUpLeftover(session solver.Session, begun solver.Challenge, last bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	others, _, err := c.othersOf(ctx, begun.UID, begun.DNSName, begun.Type)
	if err != nil {
		return err
	}
	shared, elsewhere := c.sharedBy(others, begun.Key, &begun.Solver)
	switch {
	case shared:
		return nil
	case elsewhere && !last:
		return errPresentedElsewhere
	default:
		return session.CleanUp(ctx)
	}
}
