package injectable

import (
	"slices"
	"time"

	"github.com/everleaf/everleaf/internal/plan"
)

const (
	// freeRepeats is how often a bundle that somebody has changed is written again at
	// once: a deployment that removes it must not break admission for long.
	freeRepeats = 3
	// calmAfter is how long a bundle has to be left alone until its past is forgotten.
	calmAfter = time.Hour
	// freeWrites is how many writes an object gets at once, whatever their reason, and
	// writePeriod how long it takes until one more is free.
	freeWrites, writePeriod = 30, 2 * time.Minute
)

// repeatWait is the wait before the time after the free ones.
var repeatWait = plan.Backoff{Min: 10 * time.Second, Max: 10 * time.Minute}

// Brake slows down the writes into an object whose bundles a foreign program keeps
// changing. The zero value has seen no write. It is not safe for concurrent use.
type Brake struct {
	// authority is the CA that was written, and entries the bundles that it was
	// written into.
	authority string
	entries   []string
	// repeats counts the writes that had to be repeated, and last is the last write.
	repeats int
	last    time.Time
	// full is when freeWrites writes are free again.
	full time.Time
}

// Wrote notes a write of a CA into the named entries.
func (b *Brake) Wrote(authority string, entries []string, now time.Time) {
	if authority != b.authority || now.Sub(b.last) > calmAfter {
		*b = Brake{authority: authority, full: b.full}
	}
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(writePeriod)
	if b.again(entries) {
		b.repeats++
	}
	for _, e := range entries {
		if !slices.Contains(b.entries, e) {
			b.entries = append(b.entries, e)
		}
	}
	b.last = now
}

// Hold returns until when the CA is not written into the named entries, which differ;
// the zero time or one that has passed is no wait.
func (b *Brake) Hold(authority string, entries []string) time.Time {
	if authority != b.authority || b.repeats < freeRepeats || !b.again(entries) {
		return time.Time{}
	}
	return b.last.Add(repeatWait.Delay(b.repeats - freeRepeats + 1))
}

// Rest returns until when nothing is written, whatever the reason: a source that keeps
// changing its CA would otherwise have the object written without end. The zero time
// or one that has passed is no wait.
func (b *Brake) Rest() time.Time {
	if b.full.IsZero() {
		return time.Time{}
	}
	return b.full.Add(-(freeWrites - 1) * writePeriod)
}

// Last is the time of the last write.
func (b *Brake) Last() time.Time { return b.last }

// again reports whether the CA has been written into one of the entries before.
func (b *Brake) again(entries []string) bool {
	return slices.ContainsFunc(entries, func(e string) bool { return slices.Contains(b.entries, e) })
}
