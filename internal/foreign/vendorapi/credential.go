package vendorapi

import (
	"strings"

	"github.com/everleaf/everleaf/internal/fault"
)

// Unprintable says what in a credential does not fit into an HTTP header, as the end of
// a sentence that begins with the credential, or returns "". It does not contain a byte
// of the credential. net/http refuses such a header with an error that does.
func Unprintable(credential string) string {
	if strings.ContainsAny(credential, "\r\n") {
		return "contains a newline: store it without one (printf %s, not echo)"
	}
	if strings.ContainsFunc(credential, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "is not printable ASCII text: a Secret's data takes base64, its stringData takes the text itself"
	}
	return ""
}

// Prefixed returns a fault with a text before its message. Prefixed of nil is nil.
func Prefixed(prefix string, err error) error {
	if err == nil {
		return nil
	}
	f := *fault.Of(err)
	f.Message = prefix + f.Message
	return &f
}
