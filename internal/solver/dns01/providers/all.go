// Package providers lists the DNS providers of this build.
package providers

import (
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/solver/dns01/rfc2136"
)

// All returns the DNS providers of this build, in the order in which messages
// list them.
func All() dns01.Registry {
	return dns01.Registry{
		rfc2136.Factory(),
	}
}
