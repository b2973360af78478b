package component

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
)

// FlagError is an error about the value of one flag.
type FlagError struct{ Flag, Message string }

// Error implements error.
func (e *FlagError) Error() string { return "--" + e.Flag + ": " + e.Message }

// Complaint adds an error about the value of a flag. The text may name other flags,
// with their dashes.
type Complaint func(flag, format string, args ...any)

// Complaints collects errors about flags.
type Complaints []error

// Add is a Complaint.
func (c *Complaints) Add(flag, format string, args ...any) {
	*c = append(*c, &FlagError{flag, fmt.Sprintf(format, args...)})
}

// Err returns the errors as one, nil if there are none.
func (c *Complaints) Err() error { return errors.Join(*c...) }

// Listeners are addresses to listen on, host:port each, by the flag that sets them.
// "0" is none.
type Listeners map[string]string

// all are the flags of the addresses to listen on, in order.
func (l Listeners) all() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(l)), func(flag string) bool { return l[flag] == "0" })
}

// Check complains about addresses that are none.
func (l Listeners) Check(bad Complaint) {
	for _, flag := range l.all() {
		if l[flag] == "" {
			bad(flag, "must be host:port, or 0 for none")
			continue
		}
		if _, err := net.ResolveTCPAddr("tcp", l[flag]); err != nil {
			bad(flag, "%s", cannotListen(l[flag], err))
		}
	}
}

// Try says which address cannot be listened on, by its flag, before anything is
// started.
func (l Listeners) Try() error {
	var bad Complaints
	for _, flag := range l.all() {
		listener, err := net.Listen("tcp", l[flag])
		if err != nil {
			bad.Add(flag, "%s", cannotListen(l[flag], err))
			continue
		}
		listener.Close()
	}
	return bad.Err()
}

func cannotListen(address string, err error) string {
	return fmt.Sprintf("cannot listen on %q: %v; choose another address, or 0 for none", address, err)
}
