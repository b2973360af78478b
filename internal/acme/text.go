package acme

import "github.com/everleaf/everleaf/internal/foreign"

const (
	maxDetail = 512
	// maxPausedDetail leaves room for a URL with a signed token.
	maxPausedDetail = maxDetail + maxURL
	maxIdentifier   = 256
)

// safeDetail makes a server's text fit for a status.
func safeDetail(s string) string { return foreign.Text(s, maxDetail) }
