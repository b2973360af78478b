package servingcert

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/everleaf/everleaf/internal/plan"
)

const (
	// firstWait is how long a damaged Secret is left alone that has changed before;
	// each further change doubles it, up to longestWait.
	firstWait, longestWait = 2 * time.Second, 10 * time.Minute
	// firstDoubt is the same for a CA that is refused only because of this node's
	// clock: whoever has just stored it has another time.
	firstDoubt = 30 * time.Second
	// calmAfter is how long the CA has to stay until its past is forgotten.
	calmAfter = time.Hour
)

// brake bounds how often the CA is replaced. It counts the changes by everybody, so
// that two replicas which do not agree slow down together. The zero value has seen
// nothing.
type brake struct {
	// content is what the Secret holds, as far as is known.
	content digest
	known   bool
	// changes counts the changes since the last calm, and last is the last one.
	changes int
	last    time.Time
	// refused is how the API server changed what was last sent to it; nil if it did not.
	refused error
	// told is the last complaint that was logged.
	told string
}

// digest tells the contents of Secrets apart.
type digest [sha256.Size]byte

func digestOf(data map[string][]byte) digest {
	h := sha256.New()
	for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey, caKey} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(data[key]), data[key])
	}
	return digest(h.Sum(nil))
}

// saw notes what the Secret holds. What it holds at the start is no change.
func (b *brake) saw(data map[string][]byte, now time.Time) {
	content := digestOf(data)
	if b.known && content != b.content {
		b.count(now)
	}
	b.content, b.known = content, true
}

// stored notes that this process has replaced the CA, and what the Secret holds now.
func (b *brake) stored(answer map[string][]byte, refused error, now time.Time) {
	b.count(now)
	b.content, b.known, b.refused = digestOf(answer), true, refused
}

func (b *brake) count(now time.Time) {
	if now.Sub(b.last).Abs() > calmAfter {
		b.changes, b.told, b.refused = 0, "", nil
	}
	b.changes++
	b.last = now
}

// hold returns how long the CA stays although there is a reason to replace it.
func (b *brake) hold(why error, now time.Time) time.Duration {
	passed := now.Sub(b.last).Abs()
	if b.changes == 0 || passed > calmAfter {
		return 0
	}
	wait := firstWait
	var clocks *clockError
	if errors.As(why, &clocks) {
		wait = firstDoubt
		if clocks.early {
			// It becomes valid by itself, or somebody else has the right time.
			wait = longestWait
		}
	}
	return max(0, plan.Backoff{Min: wait, Max: longestWait}.Delay(b.changes)-passed)
}

// contested is why a CA is not replaced yet.
type contested struct {
	// reason is stable while the cause is the same.
	reason string
	// loud is whether this is worth a line in the log: somebody may delete the Secret
	// once.
	loud bool
	// wait is the time until the next try.
	wait time.Duration
	// ca is what is in the Secret; nil if it cannot be read.
	ca *x509.Certificate
}

// Error implements error.
func (c *contested) Error() string { return c.reason }

// complaint says what to do while a CA is held.
func (b *brake) complaint(why error, wait time.Duration) *contested {
	var clocks *clockError
	switch isClock := errors.As(why, &clocks); {
	case b.refused != nil:
		return &contested{reason: b.refused.Error(), loud: true, wait: wait}
	case isClock && b.changes > 1:
		return &contested{reason: fmt.Sprintf("it is replaced again and again, so the clock of this node or of another replica's node may be wrong: set them. By the clock of this node, %v", why), loud: true, wait: wait, ca: clocks.ca}
	case isClock:
		return &contested{reason: fmt.Sprintf("%v, by the clock of this node, but was stored a short time ago: it is replaced later. Check the clocks of this node and of the nodes of the other replicas", why), loud: clocks.early, wait: wait, ca: clocks.ca}
	default:
		return &contested{reason: fmt.Sprintf("it does not stay as it was stored: %v. Stop the program that changes the Secret, such as a GitOps tool", why), loud: b.changes > 2, wait: wait}
	}
}
