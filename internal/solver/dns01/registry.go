package dns01

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/clock"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/fault"
)

// Spec is the dns01 part of a solver. A provider reads its own field of it.
type Spec = acmev1.ACMEChallengeSolverDNS01

// Factory makes Providers of one kind from the API's fields, and answers
// questions about these fields.
type Factory struct {
	// Name is the provider's field of a Spec, such as "rfc2136".
	Name string
	// Selected reports whether a Spec, which is not nil, selects the provider.
	// The other functions are called only for such a Spec.
	Selected func(*Spec) bool
	// Secrets returns the entries of Secrets that New reads. Entries without a
	// Secret name are ignored. Secrets may be nil.
	Secrets func(*Spec) []cmmeta.SecretKeySelector
	// Check returns the errors in the provider's field that can be found without
	// a Secret or a server. The path is that of the Spec. Check may be nil.
	Check func(*field.Path, *Spec) field.ErrorList
	// Server names the server to which the Provider writes, as in a message, such as
	// "the Cloudflare API".
	Server func(*Spec) string
	// Origin returns the name servers, host:port, to which the Provider writes. Origin
	// may be nil: most vendors do not say.
	Origin func(*Spec) []string
	// TTL is the time to live with which the Provider writes records. It is the
	// least that the vendor takes: a resolver that has cached an older set of
	// values keeps it this long.
	TTL time.Duration
	// New makes the Provider, with the credentials as they are now. Its errors
	// are fault.Errors.
	New func(context.Context, Deps, *Spec) (Provider, error)
}

// Secrets reads Secrets from the API server.
type Secrets interface {
	// Read returns a Secret's data, nil if there is no such Secret.
	Read(ctx context.Context, namespace, name string) (map[string][]byte, error)
}

// Deps holds what a Factory needs besides the Spec.
type Deps struct {
	// Namespace is the namespace of the issuer's Secrets.
	Namespace string
	Secrets   Secrets
	// Zone finds the zone of a challenge name with recursive resolvers, without
	// a question for the name itself.
	Zone  func(ctx context.Context, fqdn string) (string, error)
	Clock clock.PassiveClock
	// Ambient reports whether the issuer may use the credentials of the environment
	// in which everleaf runs.
	Ambient bool
	// HTTP asks the vendors' APIs; vendorapi.Client makes the client of it.
	HTTP http.RoundTripper
	// Cluster is nil if there is none.
	Cluster Cluster
}

// Cluster is what providers need of the API server besides Secrets.
type Cluster interface {
	// ServiceAccountToken returns a token of a service account for audiences
	// (TokenRequest).
	ServiceAccountToken(ctx context.Context, namespace, name string, audiences []string, lifetime time.Duration) (string, error)
	// Ask sends a request, with JSON as its body, to a path of the API server. It
	// returns the body and the HTTP status code of the answer, whatever that is. The
	// error says that there was no answer.
	Ask(ctx context.Context, method, path string, body []byte) (answer []byte, status int, err error)
}

// Secret returns the value of an entry of a Secret. It is a Transient fault if
// the Secret cannot be read, and a User fault if it, or the entry, is missing.
func (d Deps) Secret(ctx context.Context, ref cmmeta.SecretKeySelector) (string, error) {
	data, err := d.Secrets.Read(ctx, d.Namespace, ref.Name)
	switch {
	case err != nil:
		return "", fault.New(fault.Transient, cmv1.EventReasonSecretGetError, "the secret %s/%s cannot be read", d.Namespace, ref.Name).Because(err)
	case data == nil:
		return "", fault.New(fault.User, cmv1.EventReasonSecretMissing, "the secret %s/%s does not exist", d.Namespace, ref.Name)
	}
	value, ok := data[ref.Key]
	switch {
	case !ok:
		return "", fault.New(fault.User, cmv1.EventReasonSecretInvalidData, "the secret %s/%s does not have key %q%s", d.Namespace, ref.Name, ref.Key, otherKeys(data))
	case len(value) == 0:
		return "", fault.New(fault.User, cmv1.EventReasonSecretInvalidData, "the secret %s/%s has an empty value for key %q", d.Namespace, ref.Name, ref.Key)
	default:
		return string(value), nil
	}
}

// maxKeys is how many keys of a Secret a message names.
const maxKeys = 8

// otherKeys says which keys a Secret has, as the end of a message. A typo in a key is
// easily seen then.
func otherKeys(data map[string][]byte) string {
	keys := slices.Sorted(maps.Keys(data))
	switch {
	case len(keys) == 0:
		return "; it has none"
	case len(keys) > maxKeys:
		return fmt.Sprintf("; it has %s and %d more", strings.Join(keys[:maxKeys], ", "), len(keys)-maxKeys)
	default:
		return "; it has " + strings.Join(keys, ", ")
	}
}

// Registry holds the providers of a build.
type Registry []Factory

// find returns the provider that a Spec selects, or nil.
func (r Registry) find(spec *Spec) *Factory {
	if spec == nil {
		return nil
	}
	for i := range r {
		if r[i].Selected(spec) {
			return &r[i]
		}
	}
	return nil
}

// Name returns the name of the provider that a Spec selects, "" if there is none.
func (r Registry) Name(spec *Spec) string {
	if f := r.find(spec); f != nil {
		return f.Name
	}
	return ""
}

// ttl returns the time to live with which a Spec's provider writes.
func (r Registry) ttl(spec *Spec) time.Duration {
	if f := r.find(spec); f != nil {
		return f.TTL
	}
	return 0
}

// Server names the server to which a Spec's provider writes, or "".
func (r Registry) Server(spec *Spec) string {
	if f := r.find(spec); f != nil {
		return f.Server(spec)
	}
	return ""
}

// names lists the providers as messages do.
func (r Registry) names() string {
	names := make([]string, 0, len(r))
	for _, f := range r {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

// New makes the Provider that a Spec selects. It is a User fault if the Registry
// does not have it.
func (r Registry) New(ctx context.Context, d Deps, spec *Spec) (Provider, error) {
	f := r.find(spec)
	if f == nil {
		return nil, fault.New(fault.User, "UnsupportedSolver", "this version of everleaf has no provider for the solver; it has %s", r.names())
	}
	return f.New(ctx, d, spec)
}

// Secrets returns the entries of Secrets that an issuer's solvers read, each
// once, in the order of the solvers.
func (r Registry) Secrets(issuer *acmev1.ACMEIssuer) []cmmeta.SecretKeySelector {
	var refs []cmmeta.SecretKeySelector
	for _, s := range issuer.Solvers {
		f := r.find(s.DNS01)
		if f == nil || f.Secrets == nil {
			continue
		}
		for _, ref := range f.Secrets(s.DNS01) {
			if ref.Name != "" && !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
	}
	return refs
}

// Check returns the errors in the name servers and the provider's field of a Spec at a
// path. A provider that the Registry does not have is not an error.
func (r Registry) Check(path *field.Path, spec *Spec) field.ErrorList {
	var errs field.ErrorList
	if spec != nil {
		for i, server := range spec.Nameservers {
			if err := dns.CheckNameserver(server); err != nil {
				errs = append(errs, field.Invalid(path.Child("nameservers").Index(i), server, err.Error()))
			}
		}
	}
	if f := r.find(spec); f != nil && f.Check != nil {
		errs = append(errs, f.Check(path, spec)...)
	}
	return errs
}

// Unsupported says why this build cannot use a solver, as the end of a sentence
// that begins with the solver, or returns "".
func (r Registry) Unsupported(s *acmev1.ACMEChallengeSolver) string {
	switch {
	case s.DNS01 == nil:
		// HTTP-01 needs no provider.
		return ""
	case r.find(s.DNS01) == nil:
		return "is a DNS-01 provider that this version of everleaf does not have yet; it has " + r.names()
	default:
		return ""
	}
}
