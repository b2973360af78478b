package responder

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
)

// maxKey is the longest key authorization that is answered, in bytes: many times that of
// every CA (RFC 8555 section 8.1), and nothing to flood others with.
const maxKey = 4096

// Table has the tokens of all Challenges of type HTTP-01, from the moment they exist,
// which is before their routes do, until they are gone. Its size follows the number of
// Challenges; requests add nothing to it. It is safe for concurrent use.
type Table struct {
	clock clock.PassiveClock

	mu    sync.RWMutex
	byUID map[types.UID]*entry
	// byToken and byName have the entries of one token, and of one token and name, the
	// one that is answered first.
	byToken map[string][]*entry
	byName  map[question][]*entry
}

// question is what a CA asks for: a token, of a name in canonical form.
type question struct{ token, name string }

// entry is a Challenge in the table.
type entry struct {
	question
	uid     types.UID
	created time.Time
	key     string
	// live is whether the CA may still ask.
	live bool

	mu  sync.Mutex
	saw Sighting
}

// Sighting is what has been seen of the requests for the token of a Challenge by this
// process. Other replicas may have seen others.
type Sighting struct {
	// Answered is when a request for the Challenge's name was last answered; zero if
	// there was none.
	Answered time.Time
	// Misdirected is when a request with another Host last came; zero if there was none.
	Misdirected time.Time
	// Host is that other Host, with its port, at most 253 printable characters.
	Host string
	// Accepted is whether that request was answered with the key nevertheless.
	Accepted bool
}

var _ cache.ResourceEventHandler = (*Table)(nil)

// NewTable returns an empty Table. It is to be given to the informer of Challenges.
func NewTable(clock clock.PassiveClock) *Table {
	return &Table{
		clock: clock, byUID: map[types.UID]*entry{}, byToken: map[string][]*entry{}, byName: map[question][]*entry{},
	}
}

// OnAdd implements cache.ResourceEventHandler.
func (t *Table) OnAdd(object any, _ bool) { t.OnUpdate(nil, object) }

// OnUpdate implements cache.ResourceEventHandler. An informer that has missed the
// deletion of an object shows another one of its name as an update.
func (t *Table) OnUpdate(old, object any) {
	if before, ok := old.(*acmev1.Challenge); ok {
		if after, ok := object.(*acmev1.Challenge); !ok || after.UID != before.UID {
			t.OnDelete(before)
		}
	}
	if challenge, ok := object.(*acmev1.Challenge); ok {
		t.set(challenge)
	}
}

// OnDelete implements cache.ResourceEventHandler.
func (t *Table) OnDelete(object any) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	if challenge, ok := object.(*acmev1.Challenge); ok {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.remove(challenge.UID)
	}
}

// set adds a Challenge, or follows its changes. What has been seen of its requests is kept.
func (t *Table) set(c *acmev1.Challenge) {
	e := &entry{
		question: question{c.Spec.Token, canonical(c.Spec.DNSName)}, uid: c.UID, created: c.CreationTimestamp.Time, key: c.Spec.Key,
		live: !c.Status.State.Final() && c.DeletionTimestamp.IsZero(),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.byUID[e.uid]; old != nil {
		if old.question == e.question && old.key == e.key && old.live == e.live {
			return
		}
		if old.question == e.question {
			e.saw, _ = old.sighting()
		}
	}
	t.remove(e.uid)
	if c.Spec.Type != acmev1.ACMEChallengeTypeHTTP01 || e.token == "" || len(e.key) > maxKey {
		return
	}
	t.byUID[e.uid] = e
	t.byToken[e.token] = insert(t.byToken[e.token], e)
	t.byName[e.question] = insert(t.byName[e.question], e)
}

// remove takes a Challenge out. The table is locked.
func (t *Table) remove(uid types.UID) {
	e := t.byUID[uid]
	if e == nil {
		return
	}
	delete(t.byUID, uid)
	cut(t.byToken, e.token, e)
	cut(t.byName, e.question, e)
}

func insert(entries []*entry, e *entry) []*entry {
	i, _ := slices.BinarySearchFunc(entries, e, compare)
	return slices.Insert(entries, i, e)
}

func cut[K comparable](index map[K][]*entry, key K, e *entry) {
	rest := index[key]
	if i, ok := slices.BinarySearchFunc(rest, e, compare); ok {
		rest = slices.Delete(rest, i, i+1)
	}
	if len(rest) == 0 {
		delete(index, key)
		return
	}
	index[key] = rest
}

// compare orders the Challenges of one token. A CA draws a token at random, so that
// nobody else can know it before its Challenge exists: of several, the oldest is the one
// it was meant for.
func compare(a, b *entry) int {
	switch {
	case a.live != b.live && a.live:
		return -1
	case a.live != b.live:
		return 1
	}
	return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.uid, b.uid))
}

// Answer implements Answers. A token that only one live Challenge has is answered
// whatever the Host is, because there are proxies that do not keep it. If several
// Challenges have the token, the Host decides: otherwise one namespace could take
// another's answer away with a Challenge for a name of its own.
func (t *Table) Answer(token, host string) (string, Result) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	entries := t.byToken[token]
	if len(entries) == 0 {
		return "", UnknownToken
	}
	if named := t.byName[question{token, canonical(hostname(host))}]; len(named) > 0 {
		named[0].answered(t.clock.Now())
		return named[0].key, Answered
	}
	first, now := entries[0], t.clock.Now()
	if first.live && (len(entries) == 1 || !entries[1].live) {
		first.misdirected(now, host, true)
		return first.key, AnsweredOtherHost
	}
	// That the Host is wrong concerns all of them, but one request is not to touch
	// any number of entries.
	first.misdirected(now, host, false)
	return "", WrongHost
}

// Knows reports whether requests for a Challenge are answered, by its UID.
func (t *Table) Knows(uid types.UID) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byUID[uid] != nil
}

// Seen tells which requests for the token of a Challenge have come, by its UID. It
// returns false if there were none, or there is no such Challenge.
func (t *Table) Seen(uid types.UID) (Sighting, bool) {
	t.mu.RLock()
	e := t.byUID[uid]
	t.mu.RUnlock()
	if e == nil {
		return Sighting{}, false
	}
	return e.sighting()
}

func (e *entry) sighting() (Sighting, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.saw, e.saw != Sighting{}
}

func (e *entry) answered(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.saw.Answered = now
}

func (e *entry) misdirected(now time.Time, host string, accepted bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.saw.Misdirected, e.saw.Accepted = now, accepted
	if e.saw.Host != host {
		e.saw.Host = shown(host)
	}
}
