package vault

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign"
)

const (
	// maxText bounds one sentence of Vault's in a message, maxTexts how many there are.
	maxText  = 300
	maxTexts = 4
	// rateLimitWait is the wait after a rate limit without Retry-After.
	rateLimitWait = time.Minute
)

// failure is why a request to Vault was not met.
type failure struct {
	// server is the host, below the path in the server's URL, path the request's, without
	// /v1/.
	server, below, path string
	// plain reports that the URL begins with http.
	plain bool
	// status is the HTTP status, 0 if there was no answer.
	status int
	// said is what Vault's list of errors says, fit for a status. It is empty for the
	// body of a server that is not Vault.
	said string
	// foreign reports that the answer is none of Vault's.
	foreign bool
	// header is the answer's, nil without one.
	header http.Header
	// err is the cause; its text may have what a status must not have.
	err error
}

// newFailure reads what the client library returned for a request that was not met. Texts
// of the server are shown without those in hide.
func newFailure(client *api.Client, path string, answer *api.Response, err error, hide []string) *failure {
	f := failureAt(client, path)
	f.err = err
	var refused *api.ResponseError
	switch {
	case errors.As(err, &refused):
		// Vault has a list of errors in all refusals, even an empty one.
		f.status, f.foreign = refused.StatusCode, refused.RawError || refused.Errors == nil
		if !f.foreign {
			f.said = sentences(refused.Errors, hide)
		}
		// Its text is the answer's body.
		f.err = nil
	case err == nil, answer != nil && answer.StatusCode < http.StatusBadRequest:
		f.status, f.foreign = answer.StatusCode, true
	}
	if answer != nil && f.status != 0 {
		f.header = answer.Header
	}
	return f
}

// failureAt is a failure at a server and a path.
func failureAt(client *api.Client, path string) *failure {
	address := client.Address()
	return &failure{server: host(address), below: below(address), path: path, plain: strings.HasPrefix(strings.ToLower(address), "http:")}
}

// counted begins a list of errors of Vault's.
var counted = regexp.MustCompile(`^\d+ errors? occurred:$`)

// sentences makes one line of Vault's list of errors, which may have lists in it.
func sentences(errs []string, hide []string) string {
	var out []string
	for _, text := range errs {
		for _, secret := range hide {
			if secret != "" {
				text = strings.ReplaceAll(text, secret, "<secret>")
			}
		}
		for line := range strings.Lines(text) {
			line = strings.TrimPrefix(strings.TrimSpace(line), "* ")
			line = foreign.Text(line, maxText)
			if line != "" && !counted.MatchString(line) && !slices.Contains(out, line) && len(out) < maxTexts {
				out = append(out, line)
			}
		}
	}
	return strings.Join(out, "; ")
}

// text names the server and the request, and says how it was answered.
func (f *failure) text() string {
	switch {
	case f.status == 0:
		return f.unanswered()
	case redirects(f.status) && f.prefixLost():
		return fmt.Sprintf("%s answered HTTP %d to /v1/%s, and redirects to a path without the %s of spec.vault.server, which is not followed: "+
			"a node of Vault that is not the active one does not know that path; set spec.vault.server to the address of a node, or have what is before Vault ask the active one",
			f.server, f.status, f.path, f.below)
	case redirects(f.status):
		return fmt.Sprintf("%s answered HTTP %d to /v1/%s, and redirects elsewhere, which is not followed: check spec.vault.server", f.server, f.status, f.path)
	case f.foreign && f.plain && f.status == http.StatusBadRequest:
		return fmt.Sprintf("%s answered HTTP %d to /v1/%s, and not as Vault does: if this port speaks TLS, spec.vault.server must begin with https://", f.server, f.status, f.path)
	case f.foreign:
		return fmt.Sprintf("%s answered HTTP %d to /v1/%s, and not as Vault does: check spec.vault.server", f.server, f.status, f.path)
	case f.status == http.StatusServiceUnavailable && f.sealed():
		return f.answered() + "; " + unseal
	default:
		return f.answered()
	}
}

// prefixLost reports whether the answer redirects to the request without the path in the
// server's URL: what stands before Vault takes that off, and a node redirects to what it
// has been asked for.
func (f *failure) prefixLost() bool {
	to, err := url.Parse(f.header.Get("Location"))
	return err == nil && f.below != "" && strings.TrimPrefix(to.Path, "/v1/") == f.path
}

func (f *failure) answered() string {
	text := fmt.Sprintf("%s answered HTTP %d to /v1/%s", f.server, f.status, f.path)
	if f.said != "" {
		text += ": " + f.said
	}
	return text
}

func (f *failure) unanswered() string {
	why, _ := foreign.Unreachable(f.err)
	text := f.server + ": " + why
	if errors.As(f.err, new(x509.UnknownAuthorityError)) {
		text += "; caBundle or caBundleSecretRef must have the certificate of that authority"
	}
	if other := (x509.HostnameError{}); errors.As(f.err, &other) {
		text += namesIn(other.Certificate) + "; set serverName to a name in the certificate, or server to such a name"
	}
	return text
}

// namesIn says which names a certificate has, in brackets.
func namesIn(crt *x509.Certificate) string {
	names := crt.DNSNames
	for _, ip := range crt.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return " (it has none)"
	}
	return " (it has " + foreign.Text(strings.Join(names, ", "), maxText) + ")"
}

// sealed reports whether Vault says that it is sealed.
func (f *failure) sealed() bool { return strings.Contains(f.said, "sealed") }

// invalidToken reports whether Vault says that it does not know the token, or not any
// longer. Old versions do not say so.
func (f *failure) invalidToken() bool {
	return f.status == http.StatusForbidden && (strings.Contains(f.said, "invalid token") || strings.Contains(f.said, "bad token"))
}

// fault classifies the failure: what is not a matter of the request ends by itself. rest is
// the class of what Vault refuses.
func (f *failure) fault(rest fault.Class, reason, message string, now time.Time) *fault.Error {
	class, at := rest, time.Time{}
	again := foreign.RetryAfter(f.header, now)
	switch {
	case f.status == http.StatusTooManyRequests && !again.After(now):
		class, at = fault.Later, now.Add(rateLimitWait)
	case f.status == http.StatusTooManyRequests, f.status >= http.StatusInternalServerError && again.After(now):
		class, at = fault.Later, again
	case f.foreign, f.status == 0, f.status >= http.StatusInternalServerError,
		f.status == http.StatusRequestTimeout, f.status == http.StatusPreconditionFailed:
		// What stands before a Vault answers with pages of its own while that is away, and
		// a node that is behind its cluster with 412.
		class = fault.Transient
	}
	out := fault.New(class, reason, "%s", message)
	out.At = at
	if f.err != nil {
		_, cause := foreign.Unreachable(f.err)
		out.Err = cause
	}
	return out
}
