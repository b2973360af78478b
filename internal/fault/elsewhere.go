package fault

import "errors"

// Elsewhere returns err as an error that says nothing about the server that an
// action was for: another server, which had to be asked first, caused it or took
// most of the time. Elsewhere(nil) is nil.
func Elsewhere(err error) error {
	if err == nil {
		return nil
	}
	return &elsewhere{err}
}

// IsElsewhere reports whether Elsewhere returned an error in err's chain.
func IsElsewhere(err error) bool {
	var e *elsewhere
	return errors.As(err, &e)
}

type elsewhere struct{ error }

// Unwrap returns the error itself.
func (e *elsewhere) Unwrap() error { return e.error }
