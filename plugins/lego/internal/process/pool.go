package process

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/plugins/lego/internal/settings"
)

// How long a process without work is kept. One whose provider has written records that
// it has not removed yet is kept longer, since it may need its memory for that.
const (
	idleKept    = 5 * time.Minute
	writtenKept = 2 * time.Hour
)

// most is how many processes there are at most. One needs about 50 MB.
const most = 32

// Pool has the processes of providers.
type Pool struct {
	// Program is this program, or another one that runs Main for Argument.
	Program string
	// Base is the environment of all processes, and Ambient is it for requests that
	// may use the credentials of the plugin's environment.
	Base, Ambient []string
	Clock         clock.WithTicker

	mu      sync.Mutex
	workers map[[sha256.Size]byte]*slot
}

// slot is a worker, or one that is about to start.
type slot struct {
	// starting is closed when worker, refused and err are set.
	starting chan struct{}
	worker   *worker
	refused  string
	err      error
	// users are requests that have the slot, and used is when there was one last.
	users int
	used  time.Time
}

// Request is what a provider is to do.
type Request struct {
	Setting     settings.Setting
	Environment settings.Environment
	Ambient     bool
	CleanUp     bool
	// FQDN and Zone end with a dot.
	FQDN, Zone, Value string
}

// Do has a provider do something. ctx has a deadline.
func (p *Pool) Do(ctx context.Context, r Request) error {
	id := r.identity()
	s, err := p.acquire(id, r)
	if err != nil {
		return err
	}
	defer p.release(id, s)
	select {
	case <-s.starting:
	case <-ctx.Done():
		return fmt.Errorf("provider %s is still being set up", r.Setting.Config.Provider)
	}
	switch {
	case s.err != nil:
		return fmt.Errorf("provider %s: %w", r.Setting.Config.Provider, s.err)
	case s.refused != "":
		return r.Setting.Unusable(r.Environment.Scrub(s.refused))
	}
	select {
	case <-s.worker.turn:
	case <-ctx.Done():
		return fmt.Errorf("provider %s is busy with other records, which it writes one by one", r.Setting.Config.Provider)
	}
	defer func() { s.worker.turn <- struct{}{} }()
	return r.perform(ctx, s.worker)
}

// perform uses what the worker remembers: few providers succeed in writing or removing
// a record a second time.
func (r Request) perform(ctx context.Context, w *worker) error {
	record := key{r.FQDN, r.Value}
	if r.CleanUp && w.removed[record] || !r.CleanUp && w.written[record] && w.last(record) {
		return nil
	}
	a, err := w.do(ctx, call{CleanUp: r.CleanUp, FQDN: r.FQDN, Zone: r.Zone, Value: r.Value})
	if err != nil {
		w.stop()
		return fmt.Errorf("provider %s: %w", r.Setting.Config.Provider, err)
	}
	if a.Error != "" {
		return r.Setting.Failed(r.Environment.Scrub(a.Error), r.CleanUp)
	}
	w.note(record, r.CleanUp)
	return nil
}

// identity tells apart what may not share a process.
func (r Request) identity() [sha256.Size]byte {
	// Maps are encoded in the order of their keys.
	text, err := json.Marshal(struct {
		Provider         string
		Ambient          bool
		Variables, Files map[string]string
	}{r.Setting.Provider.Package, r.Ambient, r.Environment.Variables, r.Environment.Files})
	if err != nil {
		panic(err) // strings can be encoded
	}
	return sha256.Sum256(text)
}

var errFull = errors.New("the plugin has as many processes with different credentials as it may have, and all are in use")

// acquire returns the slot of a request's process, and starts that if there is none.
func (p *Pool) acquire(id [sha256.Size]byte, r Request) (*slot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, found := p.workers[id]; found {
		s.users++
		return s, nil
	}
	if len(p.workers) >= most && !p.evict() {
		return nil, errFull
	}
	s := &slot{starting: make(chan struct{}), users: 1}
	if p.workers == nil {
		p.workers = map[[sha256.Size]byte]*slot{}
	}
	p.workers[id] = s
	base := p.Base
	if r.Ambient {
		base = p.Ambient
	}
	go func() {
		defer close(s.starting)
		s.worker, s.refused, s.err = start(context.Background(), p.Program, r.Setting.Provider.Codes[0], base, r.Environment)
	}()
	return s, nil
}

// release gives a slot back. One without a working process is forgotten.
func (p *Pool) release(id [sha256.Size]byte, s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.users--
	s.used = p.Clock.Now()
	if p.workers[id] != s || s.users > 0 {
		return
	}
	select {
	case <-s.starting:
		if s.worker == nil || !s.worker.alive() {
			delete(p.workers, id)
		}
	default:
	}
}

// evict stops the process that has been idle longest, preferably one whose provider
// has no records to remove. The caller has the lock.
func (p *Pool) evict() bool {
	var victim *[sha256.Size]byte
	for id, s := range p.workers {
		if s.users == 0 && (victim == nil || s.before(p.workers[*victim])) {
			victim = &id
		}
	}
	if victim == nil {
		return false
	}
	p.drop(*victim)
	return true
}

// before reports whether a slot is to go before another.
func (s *slot) before(other *slot) bool {
	if a, b := s.holds(), other.holds(); a != b {
		return b
	}
	return s.used.Before(other.used)
}

// holds reports whether a slot's provider has records to remove. No request has it.
func (s *slot) holds() bool {
	select {
	case <-s.starting:
		return s.worker != nil && len(s.worker.written) > 0
	default:
		return false
	}
}

func (p *Pool) drop(id [sha256.Size]byte) {
	s := p.workers[id]
	delete(p.workers, id)
	go func() {
		<-s.starting
		if s.worker != nil {
			s.worker.stop()
		}
	}()
}

// Sweep stops processes that have been idle for long.
func (p *Pool) Sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Clock.Now()
	for id, s := range p.workers {
		kept := idleKept
		if s.holds() {
			kept = writtenKept
		}
		if s.users == 0 && now.Sub(s.used) > kept {
			p.drop(id)
		}
	}
}

// Run sweeps until ctx ends. The processes then end with this one, after the last
// requests: their standard input ends.
func (p *Pool) Run(ctx context.Context) {
	ticker := p.Clock.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
			p.Sweep()
		case <-ctx.Done():
			return
		}
	}
}

// Close stops all processes.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.workers {
		<-s.starting
		if s.worker != nil {
			s.worker.stop()
		}
	}
	p.workers = nil
}

// mostRemoved bounds what a process remembers of removed records. It is for requests
// that are repeated soon.
const mostRemoved = 1000

// note remembers what a provider has done.
func (w *worker) note(k key, cleaned bool) {
	if cleaned {
		delete(w.written, k)
		if w.latest[k.fqdn] == k.value {
			delete(w.latest, k.fqdn)
		}
		if len(w.removed) >= mostRemoved {
			clear(w.removed)
		}
		w.removed[k] = true
		return
	}
	w.written[k] = true
	w.latest[k.fqdn] = k.value
	delete(w.removed, k)
}

// last reports whether no other value has been written at the name since. Some
// providers keep only one.
func (w *worker) last(k key) bool { return w.latest[k.fqdn] == k.value }
