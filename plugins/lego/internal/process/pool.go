package process

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
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

// share is how many of them a namespace may have started.
const share = most / 4

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
	home    *home
	// dropped are the processes that are being stopped.
	dropped sync.WaitGroup
}

// slot is a worker, or one that is about to start.
type slot struct {
	// namespace is that of the request that started the process.
	namespace string
	// starting is closed when worker, refused and err are set, and cancel ends that.
	starting chan struct{}
	cancel   context.CancelFunc
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
	// Namespace is where the Secrets are.
	Namespace string
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
		return r.Setting.Unusable(p.fit(r, s.refused))
	}
	select {
	case <-s.worker.turn:
	case <-ctx.Done():
		return fmt.Errorf("provider %s is busy with other records, which it writes one by one", r.Setting.Config.Provider)
	}
	defer func() { s.worker.turn <- struct{}{} }()
	return p.perform(ctx, r, s.worker)
}

// perform uses what the worker remembers: few providers succeed in writing or removing
// a record a second time.
func (p *Pool) perform(ctx context.Context, r Request, w *worker) error {
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
		return r.Setting.Failed(p.fit(r, a.Error), r.CleanUp)
	}
	w.note(record, r.CleanUp)
	return nil
}

// maxText bounds a provider's text in an error, in bytes. It can have the body of a
// server's answer.
const maxText = 4 << 10

// fit makes a provider's text fit for a status: short, and without secrets.
func (p *Pool) fit(r Request, text string) string {
	e := r.Environment
	if r.Ambient {
		e = e.Hide(credentials(p.Ambient, r.Setting.Credentials()))
	}
	return cut(e.Scrub(text), maxText)
}

// cut returns the begin of a text.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// credentials are the values of some variables in an environment. lego reads NAME from
// the file that NAME_FILE names, and some variables are the path of a file.
func credentials(environment, names []string) map[string]string {
	found := map[string]string{}
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		if base, is := strings.CutSuffix(name, "_FILE"); is && !slices.Contains(names, name) {
			name = base
		}
		if !slices.Contains(names, name) {
			continue
		}
		if content, err := os.ReadFile(value); err == nil {
			value = string(content)
		}
		found[name] = value
	}
	return found
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

// errShare says that a namespace has its share of processes.
func errShare(namespace string) error {
	return fmt.Errorf("namespace %s has %d processes with different credentials in the plugin, as many as one namespace may have, and all are in use", namespace, share)
}

// acquire returns the slot of a request's process, and starts that if there is none.
func (p *Pool) acquire(id [sha256.Size]byte, r Request) (*slot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, found := p.workers[id]; found {
		s.users++
		return s, nil
	}
	if err := p.makeRoom(r.Namespace); err != nil {
		return nil, err
	}
	if err := p.prepare(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &slot{namespace: r.Namespace, starting: make(chan struct{}), cancel: cancel, users: 1}
	if p.workers == nil {
		p.workers = map[[sha256.Size]byte]*slot{}
	}
	p.workers[id] = s
	starts := plan{
		program: p.Program, code: r.Setting.Provider.Codes[0], base: p.Base, fixed: true, home: p.home.dir,
		Environment: r.Environment,
	}
	if r.Ambient {
		starts.base, starts.fixed = p.Ambient, false
	}
	go func() {
		defer close(s.starting)
		s.worker, s.refused, s.err = start(ctx, starts)
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

// makeRoom ends a process if a namespace may not have another one otherwise: one of its
// own, if possible. The caller has the lock.
func (p *Pool) makeRoom(namespace string) error {
	counts := map[string]int{}
	for _, s := range p.workers {
		counts[s.namespace]++
	}
	own := func(s *slot) bool { return s.namespace == namespace }
	switch {
	case counts[namespace] >= share:
		if !p.evict(own) {
			return errShare(namespace)
		}
	case len(p.workers) >= most:
		// The memory of records is of use to its namespace only, so it goes for one
		// that has less.
		if !p.evict(own) && !p.evict(func(s *slot) bool { return !s.holds() || counts[s.namespace] > counts[namespace] }) {
			return errFull
		}
	}
	return nil
}

// evict stops the process that has been idle longest of those that may go, preferably
// one whose provider has no records to remove. The caller has the lock.
func (p *Pool) evict(may func(*slot) bool) bool {
	var victim *[sha256.Size]byte
	for id, s := range p.workers {
		if s.users == 0 && may(s) && (victim == nil || s.before(p.workers[*victim])) {
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
	s.cancel()
	p.dropped.Go(s.stop)
}

// stop stops the process of a slot that has been cancelled.
func (s *slot) stop() {
	<-s.starting
	if s.worker != nil {
		s.worker.stop()
	}
}

// Sweep stops processes that have been idle for long.
func (p *Pool) Sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Clock.Now()
	for id, s := range p.workers {
		// A request that has the slot changes what it holds.
		if s.users > 0 {
			continue
		}
		kept := idleKept
		if s.holds() {
			kept = writtenKept
		}
		if now.Sub(s.used) > kept {
			p.drop(id)
		}
	}
}

// Run sweeps until ctx ends. The processes are for the last requests then: Close ends
// them.
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

// Prepare makes the directory for the files of processes, and removes what programs like
// this one have left when they were killed: there are secrets in it.
func (p *Pool) Prepare() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.prepare()
}

func (p *Pool) prepare() error {
	if p.home != nil {
		return nil
	}
	home, err := newHome(os.TempDir())
	if err != nil {
		return fmt.Errorf("make a directory for the files of providers in %s: %w", os.TempDir(), pathless(err))
	}
	p.home = home
	return nil
}

// Close stops all processes, and removes their files.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.workers {
		s.cancel()
	}
	for _, s := range p.workers {
		s.stop()
	}
	p.dropped.Wait()
	p.workers = nil
	if p.home != nil {
		p.home.remove()
		p.home = nil
	}
}
