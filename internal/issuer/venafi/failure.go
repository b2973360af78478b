package venafi

import (
	"fmt"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
)

// kind is what has gone wrong.
type kind int

const (
	// misconfiguration is an error in the spec or in a Secret.
	misconfiguration kind = iota
	// missing is a Secret that does not exist, unread one that cannot be read.
	missing
	unread
	// absent means that a Secret has no credentials.
	absent
	// refused means that the server does not take the credentials.
	refused
	// unavailable means that there was no answer, that the server cannot work now, or that
	// something else has answered.
	unavailable
	// declined is any other answer than the one that was asked for.
	declined
	// unusable is an answer that cannot be read, or that is not for the request.
	unusable
)

// failure is why Certificate Manager did not do what it was asked for.
type failure struct {
	kind kind
	// call is what was asked, in cert-manager's words, such as
	// "tppClient.VerifyAccessToken"; empty if nobody was asked.
	call string
	// text is stable: without ids, times, and bodies of foreign servers.
	text string
	// at is when to ask again, in the future, zero if the server has not said so. Credentials
	// that rest have none: they may change before.
	at  time.Time
	err error
	// settled reports that what was refused is a login which is not replaced now.
	settled bool
}

// Error implements error.
func (f *failure) Error() string {
	if f.call == "" {
		return f.text
	}
	return f.call + ": " + f.text
}

// Is reports whether the failure is an issuer.ErrRefused.
func (f *failure) Is(target error) bool { return target == issuer.ErrRefused && f.kind == refused }

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.err }

func misconfigured(format string, args ...any) *failure {
	return &failure{kind: misconfiguration, text: fmt.Sprintf(format, args...)}
}

func noCredentials(format string, args ...any) *failure {
	return &failure{kind: absent, text: fmt.Sprintf(format, args...)}
}

// class is what to do about a failure that is no request's fault.
func (f *failure) class() fault.Class {
	switch {
	case !f.at.IsZero():
		return fault.Later
	case f.kind == missing || f.kind == misconfiguration || f.kind == absent:
		return fault.User
	default:
		return fault.Transient
	}
}

func (f *failure) fault(class fault.Class, reason, message string) *fault.Error {
	out := fault.New(class, reason, "%s", message).Because(f)
	if class == fault.Later {
		out.At = f.at
	}
	return out
}

// unauthorized reports whether the failure is about the credentials.
func (f *failure) unauthorized() bool { return f.kind == absent || f.kind == refused }

// ofIssuer is the failure of a check, whose step is named.
func (f *failure) ofIssuer(step string) error {
	if f.unauthorized() {
		return f.fault(f.class(), cmv1.IssuerReasonAuthFailed, "OAuth token request failed: "+f.Error())
	}
	return f.fault(f.class(), cmv1.IssuerReasonErrorSetup, "Failed to setup Certificate Manager issuer: "+step+": "+f.Error())
}

// ofClient is the failure of what comes before a request: it waits.
func (f *failure) ofClient() error {
	switch {
	case f.kind == missing:
		return f.fault(f.class(), cmv1.EventReasonSecretMissing, "Required secret resource not found: "+f.Error())
	case f.unauthorized():
		return f.fault(f.class(), cmv1.EventReasonVenafiInitError, "Failed to initialise Certificate Manager client for signing: OAuth token request failed: "+f.Error())
	default:
		return f.fault(f.class(), cmv1.EventReasonVenafiInitError, "Failed to initialise Certificate Manager client for signing: "+f.Error())
	}
}

// waits reports whether a request waits after a failure that is not its own.
func (f *failure) waits() bool { return f.kind == refused || f.kind == unavailable }

// final reports whether the server has answered that a request gets no certificate.
func (f *failure) final() bool { return f != nil && (f.kind == declined || f.kind == unusable) }

// ofRequest is the failure of a request for a certificate.
func (f *failure) ofRequest() error {
	const prefix = "Failed to request certificate from Certificate Manager: "
	switch {
	case f.kind == refused:
		return f.ofClient()
	case f.waits():
		return f.fault(f.class(), cmv1.EventReasonRequestError, prefix+f.text)
	default:
		return f.fault(fault.Permanent, cmv1.EventReasonRequestError, prefix+f.text)
	}
}

// ofRetrieval is the failure to get the certificate of a request that the server has
// taken. retried reports that the kind of request is not ended by it.
func (f *failure) ofRetrieval(retried bool) error {
	const prefix = "Failed to obtain certificate from Certificate Manager: "
	switch {
	case f.kind == refused:
		return f.ofClient()
	case f.waits():
		return f.fault(f.class(), cmv1.EventReasonRetrieveError, prefix+f.text)
	case retried:
		return f.fault(fault.Transient, cmv1.EventReasonRetrieveError, prefix+f.text)
	default:
		return f.fault(fault.Permanent, cmv1.EventReasonRetrieveError, prefix+f.text)
	}
}
