// Package process runs lego's providers in processes of their own, one per set of
// credentials.
//
// lego's providers, and the vendors' SDKs below them, take their settings from the
// environment of their process: most when they are made, and some later. One process
// has one environment, so requests with different credentials need different
// processes, if they shall never get each other's. A process keeps its provider: many
// need what they remember of Present for CleanUp.
package process

import "time"

// Argument is the first argument of a process with a provider; the code of the
// provider is the second.
const Argument = "provider"

// answers is the file descriptor on which a process answers. Providers may print to
// the others.
const answers = 3

// maxAnswer bounds the text in an answer, in bytes.
const maxAnswer = 256 << 10

// call is a request to a process: a line of JSON on its standard input.
type call struct {
	CleanUp           bool
	FQDN, Zone, Value string
	// Patience is how long the call may take.
	Patience time.Duration
}

// answer is a line of JSON. The first one of a process says whether the provider could
// be made.
type answer struct {
	// Error is empty if all went well.
	Error string
}
