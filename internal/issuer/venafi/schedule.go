package venafi

import (
	"time"

	"github.com/everleaf/everleaf/internal/lifecycle/request"
)

// longestLook is the longest wait between two looks whether a certificate is there: a
// person's approval may take days.
const longestLook = 5 * time.Minute

// longestTurn is the longest wait between two tries of a request whose object another one waits
// for: no server is asked.
const longestTurn = 30 * time.Second

// nextTurn is when a request tries again whose object another one waits for.
func nextTurn(created, now time.Time) time.Time {
	next, latest := nextLook(created, now), now.Add(longestTurn)
	if next.After(latest) {
		return latest
	}
	return next
}

// nextLook is when to look again for the certificate of a request that was created at a
// time in the cluster: when the server has got it is not known. A quarter of its age passes
// between two looks. So a certificate is found after at most a quarter more than the age
// that its request had when it was there, and one that takes hours is not asked for each
// second.
func nextLook(created, now time.Time) time.Time {
	wait := now.Sub(created) / 4
	return now.Add(min(max(wait, request.PendingFloor), longestLook))
}
