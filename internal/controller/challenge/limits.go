package challenge

import (
	"crypto/sha256"
	"encoding/json"
	"sync"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/solver"
)

// reasonRateLimited is the reason of a fault if a DNS provider limits the rate of calls.
const reasonRateLimited = "RateLimited"

// credential stands for what a DNS provider counts calls by: the configuration of a
// provider, and the namespace of its Secrets. Issuers that have both in common share it.
// The zero value is none.
type credential [sha256.Size]byte

// credentialOf returns what a provider is asked with for a Challenge. A provider whose
// challenges are not in DNS has none.
func credentialOf(c solver.Challenge) credential {
	if c.Solver.DNS01 == nil {
		return credential{}
	}
	config := *c.Solver.DNS01
	// How the name is found changes nothing about who asks.
	config.CNAMEStrategy, config.Nameservers = "", nil
	data, err := json.Marshal(struct{ Namespace, Config any }{c.SecretNamespace, config})
	if err != nil {
		return credential{}
	}
	return sha256.Sum256(data)
}

// Limits is until when DNS providers are left alone, by credential: a provider counts the
// calls for all challenges together, and goes on refusing those who do not stop. The
// zero value is ready.
type Limits struct {
	mu    sync.Mutex
	until map[credential]time.Time
}

// Note notes the end of the limit that an error tells of, if it tells of one.
func (l *Limits) Note(c credential, err error, now time.Time) {
	f := fault.Of(err)
	if c == (credential{}) || f == nil || f.Class != fault.Later || f.Reason != reasonRateLimited {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until == nil {
		l.until = map[credential]time.Time{}
	}
	for other, until := range l.until {
		if !until.After(now) {
			delete(l.until, other)
		}
	}
	// An answer that was on its way does not shorten what a later one has said.
	if f.At.After(now) && f.At.After(l.until[c]) {
		l.until[c] = f.At
	}
}

// Until is when a provider may be asked again, zero for now.
func (l *Limits) Until(c credential, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := l.until[c]; until.After(now) {
		return until
	}
	return time.Time{}
}

// any reports whether a limit is known at all: usually there is none, and which credential
// a Challenge has need not be worked out.
func (l *Limits) any() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.until) > 0
}

// credential returns what the Challenge's Session asks with.
func (w *work) credential() credential {
	m := w.memory
	switch {
	case m.session != nil && (m.session.Presented() || w.issuer == nil):
		return credentialOf(m.begun)
	case w.issuer == nil:
		return credential{}
	default:
		return credentialOf(w.challenge(w.State.Object))
	}
}

// loadLimit finds until when the provider is left alone.
func (w *work) loadLimit() {
	w.ProviderNotBefore = time.Time{}
	if w.c.limits.any() {
		w.ProviderNotBefore = w.c.limits.Until(w.credential(), w.c.Clock.Now())
	}
	poller, ok := w.memory.session.(solver.Poller)
	w.ProbePolls = ok && poller.Polls()
}

// noteLimit notes what an answer of the provider says about its limit, and what is known
// of it now.
func (w *work) noteLimit(err error) {
	if err != nil {
		w.c.limits.Note(w.credential(), err, w.c.Clock.Now())
	}
	w.loadLimit()
}

// mustWait reports whether an action must not be carried out because the provider has
// limited calls, in answer to another Challenge, since this one was loaded. The next plan
// waits.
func (w *work) mustWait(action plan.Action) bool {
	w.loadLimit()
	_, probes := action.(core.Probe)
	return w.ProviderNotBefore.After(w.c.Clock.Now()) && (!probes || w.ProbePolls)
}
