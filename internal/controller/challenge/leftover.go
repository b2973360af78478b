package challenge

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/solver"
)

const (
	// leftoverTries is after how many failed tries the record of a Challenge that is
	// gone counts as left behind. It is tried again all the same.
	leftoverTries = 3
	// leftoverAge is how long after the Challenge its record is tried to be removed.
	leftoverAge = 24 * time.Hour
	// maxLeftovers is how many records are remembered, maxOfNamespace how many of one
	// namespace: each holds the credentials that it was written with.
	maxLeftovers   = 1000
	maxOfNamespace = maxLeftovers / 10
)

// leftoverBackoff is the wait between two tries.
var leftoverBackoff = plan.Backoff{Min: time.Minute, Max: leftoverAge}

// leftover is what a Challenge that is gone has presented.
type leftover struct {
	session solver.Session
	// begun is what the Session was begun with, by an issuer.
	begun  solver.Challenge
	issuer issuerOf
	// abandoned reports whether it counts as left behind already.
	abandoned bool
	// since is when the Challenge was gone.
	since time.Time
	// crowded is closed when there is no more room for the record.
	crowded chan struct{}
}

// log names the record in each line.
func (l *leftover) log(log logr.Logger) logr.Logger {
	return log.WithValues("challenge", l.begun.Namespace+"/"+l.begun.Name, "dnsName", l.begun.DNSName, "name", l.session.String())
}

// issuerOf is the issuer of a Challenge, which may be gone by now.
type issuerOf struct {
	ref cmmeta.IssuerReference
	uid types.UID
}

// still reports whether found, nil if there is none, is that issuer and has the solver of
// a Challenge.
func (i issuerOf) still(found cmv1.GenericIssuer, of *solver.Challenge) bool {
	return found != nil && found.GetUID() == i.uid && found.GetSpec().ACME != nil && order.HasSolver(found.GetSpec().ACME, of.Type, &of.Solver)
}

// leftovers are the records that are tried to be removed.
type leftovers struct {
	sync.WaitGroup

	mu sync.Mutex
	// kept are the records of each namespace that are remembered, the oldest first, and
	// number is how many these are.
	kept   map[string][]*leftover
	number int
	// stored are those that the next process is to know. changed reports whether that is
	// still to be saved, saver whether keepSaving runs.
	stored         map[*leftover]entry
	changed, saver bool
}

// keep remembers a record. If that is one too many, the oldest one of the namespace is
// forgotten, or of the namespace that has the most: a tenant whose records cannot be
// removed takes no room from others.
func (s *leftovers) keep(l *leftover) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.crowded = make(chan struct{})
	namespace := l.begun.Namespace
	s.kept[namespace] = append(s.kept[namespace], l)
	s.number++
	switch {
	case len(s.kept[namespace]) > maxOfNamespace:
	case s.number > maxLeftovers:
		for other, of := range s.kept {
			if len(of) > len(s.kept[namespace]) {
				namespace = other
			}
		}
	default:
		return
	}
	oldest := s.kept[namespace][0]
	s.drop(oldest)
	close(oldest.crowded)
}

// forget ends that a record is remembered.
func (s *leftovers) forget(l *leftover) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(l)
}

func (s *leftovers) drop(l *leftover) {
	namespace := l.begun.Namespace
	at := slices.Index(s.kept[namespace], l)
	if at < 0 {
		return
	}
	s.number--
	if s.kept[namespace] = slices.Delete(s.kept[namespace], at, at+1); len(s.kept[namespace]) == 0 {
		delete(s.kept, namespace)
	}
}

// forget drops what is remembered of a Challenge that is gone. If somebody else
// has removed the finalizer, what it has presented is cleaned up first.
func (c *Controller) forget(m *memory) {
	solver.ObserverOf(m.session).Forget()
	if m.session == nil || !m.session.Presented() || m.CleanedUp || m.released {
		return
	}
	c.sweep(&leftover{session: m.session, begun: m.begun, issuer: m.issuer})
}

// LeftBehind implements metrics.Challenges.
func (c *Controller) LeftBehind() int {
	c.leftovers.mu.Lock()
	defer c.leftovers.mu.Unlock()
	return c.leftovers.number
}

// sweep removes what a Challenge that is gone has presented, at once or later.
func (c *Controller) sweep(l *leftover) {
	if l.since.IsZero() {
		l.since = c.Clock.Now()
	}
	c.leftovers.keep(l)
	if l.abandoned {
		c.note(l, true)
	}
	c.leftovers.Go(func() {
		defer c.leftovers.forget(l)
		defer c.note(l, false)
		c.keepSweeping(l)
	})
}

var (
	errCrowded            = errors.New("there are too many newer records of the namespace to remember it")
	errLimited            = errors.New("the DNS provider has limited calls all the time")
	errPresentedElsewhere = errors.New("another Challenge has presented the value with another solver, maybe at the same server")
)

// keepSweeping tries until the record is removed, or cannot be removed, or too long, or
// until there is no more room for it.
func (c *Controller) keepSweeping(l *leftover) {
	log := l.log(c.Log)
	end := l.since.Add(leftoverAge)
	failed := 0
	if l.abandoned {
		// The Challenge was let go because its clean-up failed, or had to wait.
		failed = 1
	}
	for tries := 1; ; tries++ {
		wait := time.Duration(0)
		if failed > 0 {
			wait = leftoverBackoff.Delay(failed)
		}
		err := c.rest(l, wait, end)
		crowded := errors.Is(err, errCrowded)
		if err == nil {
			err = c.cleanUpLeftover(l, tries >= leftoverTries)
		}
		if err == nil {
			if failed > 0 {
				log.Info("The record of a Challenge that is gone has been removed after all", "tries", tries)
			}
			return
		}
		failed++
		last := crowded || !end.After(c.Clock.Now()) || fault.Of(err).Class == fault.Permanent
		if last || tries >= leftoverTries {
			c.leave(l, err)
		}
		if last {
			log.Info("The record of a Challenge that is gone is no longer tried to be removed", "tries", tries, "error", err.Error())
			return
		}
		if l.abandoned {
			c.note(l, true)
		}
		log.Info("The record of a Challenge that is gone could not be removed; it is tried again", "after", leftoverBackoff.Delay(failed).String(), "error", err.Error())
	}
}

// rest waits for a time, and as long as the provider of a leftover is to be left alone,
// until end at the latest. Without an error, the provider may be asked.
func (c *Controller) rest(l *leftover, wait time.Duration, end time.Time) error {
	who := credentialOf(l.begun)
	for until := c.Clock.Now().Add(wait); ; {
		if now := c.Clock.Now(); until.After(now) {
			select {
			case <-c.Clock.After(max(min(until.Sub(now), end.Sub(now)), 0)):
			case <-l.crowded:
				return errCrowded
			}
		}
		now := c.Clock.Now()
		if until = c.limits.Until(who, now); until.IsZero() {
			return nil
		}
		if !end.After(now) {
			return errLimited
		}
	}
}

// leave counts a record as left behind, once.
func (c *Controller) leave(l *leftover, err error) {
	if l.abandoned {
		return
	}
	l.abandoned = true
	l.log(c.Log).Info("The record of a Challenge that is gone could not be removed and is left behind", "value", l.begun.Key, "error", err.Error())
	c.Abandoned()
}

// cleanUpLeftover removes what a Challenge has presented that is gone, unless
// another Challenge needs it. If that one has another solver, which may write to the
// same server or not, only a try that insists removes the record. Without the issuer
// that the record was written for, no credentials are read: a Secret of the same name
// may belong to somebody else by now.
func (c *Controller) cleanUpLeftover(l *leftover, insists bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	others, _, err := c.othersOf(ctx, l.begun.UID, l.begun.DNSName, l.begun.Type)
	if err != nil {
		return err
	}
	shared, elsewhere := c.sharedBy(others, l.begun.Key, &l.begun.Solver)
	switch {
	case shared:
		return nil
	case elsewhere && !insists:
		return errPresentedElsewhere
	}
	issuer, err := c.Issuers.Get(ctx, l.begun.Namespace, l.issuer.ref)
	if err != nil {
		return err
	}
	if !l.issuer.still(issuer, &l.begun) {
		if session, ok := l.session.(solver.Detacher); ok {
			session.Detach()
		}
	}
	err = l.session.CleanUp(ctx)
	c.limits.Note(credentialOf(l.begun), err, c.Clock.Now())
	return err
}
