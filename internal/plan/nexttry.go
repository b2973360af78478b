package plan

import (
	"strings"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
)

const (
	// nextTry begins what a message says of the next try.
	nextTry = "; the next try is "
	// exactFrom is the shortest wait whose end a message has. The end of a shorter
	// one differs at each try, and each new text is a write for every object that
	// repeats the message.
	exactFrom = 5 * time.Minute
)

// WithNextTry appends to the message of a failure when the next try is, if time
// alone brings it: at the time that a server has set, or within the longest wait
// of the back-off. Equal failures that are retried soon have equal texts.
func WithNextTry(message string, err error, backoff Backoff, now time.Time) string {
	switch failure := fault.Of(err); {
	case failure.Class == fault.Later && failure.At.Sub(now) > exactFrom:
		return message + nextTry + "at " + failure.At.UTC().Format(time.RFC3339)
	case failure.Class == fault.Later:
		return message + nextTry + "within " + InWords(exactFrom)
	case failure.Class == fault.Transient:
		return message + nextTry + "within " + InWords(backoff.Max)
	default:
		return message
	}
}

// HasNextTry reports whether a message says when the next try is, as WithNextTry does.
func HasNextTry(message string) bool { return strings.Contains(message, nextTry) }

// NextTryOnce joins messages about different things. What they say of the next try
// comes once, at the end: the shortest wait that one of them has, or the earliest
// time if all have times, which are those of longer waits.
func NextTryOnce(messages []string, separator string) string {
	first := ""
	bare := make([]string, len(messages))
	for i, m := range messages {
		bare[i] = m
		if at := strings.LastIndex(m, nextTry); at >= 0 {
			bare[i] = m[:at]
			if said := m[at+len(nextTry):]; first == "" || sooner(said, first) {
				first = said
			}
		}
	}
	if first != "" {
		first = nextTry + first
	}
	return strings.Join(bare, separator) + first
}

// sooner reports whether one of two next tries, in the words of WithNextTry, comes
// before the other.
func sooner(one, other string) bool {
	a, isWait := wait(one)
	b, otherIsWait := wait(other)
	switch {
	case isWait && otherIsWait:
		return a < b
	case isWait || otherIsWait:
		return isWait
	default:
		return one < other
	}
}

func wait(said string) (time.Duration, bool) {
	text, ok := strings.CutPrefix(said, "within ")
	d, err := time.ParseDuration(text)
	return d, ok && err == nil
}

// InWords is a duration in a message, without units that are zero at its end.
func InWords(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
