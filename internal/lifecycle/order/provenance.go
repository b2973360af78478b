package order

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
)

// The specs of Orders and Challenges are inputs to check, never to trust: who
// may write one must not thereby reach the credentials of an issuer
// (GHSA-8rvj-mm4h-c258). An Order counts only if an approved request calls for
// it, a Challenge only if such an Order and the issuer's solvers do.

// Provenance returns why an Order must not be worked on, or "". A request
// of nil means that none was found.
func Provenance(o *acmev1.Order, request *cmv1.CertificateRequest, limits pki.Limits) string {
	if request == nil || !metav1.IsControlledBy(o, request) {
		return "The Order is not controlled by a CertificateRequest; nothing is asked of the ACME server for it"
	}
	owner := kindOf(request).Kind + " that controls"
	switch {
	case !condition.Approved(request):
		return "The " + owner + " the Order is not approved"
	case !o.Spec.IssuerRef.Equal(request.Spec.IssuerRef):
		return "The Order names another issuer than the " + owner + " it"
	case !bytes.Equal(o.Spec.Request, request.Spec.Request):
		return "The Order carries another certificate signing request than the " + owner + " it"
	}
	switch wanted, err := specOf(request, limits); {
	case err != nil:
		return "The certificate signing request of the " + owner + " the Order cannot be read: " + readError(request, err, limits)
	case !sameNames(&wanted, &o.Spec):
		return "The Order asks for other names than the " + owner + " it"
	default:
		return ""
	}
}

// readError says why a signing request cannot be read, and what sets the limit
// that it exceeds.
func readError(request *cmv1.CertificateRequest, err error, limits pki.Limits) string {
	if len(request.Spec.Request) > cmp.Or(limits.MaxCertificateSize, pki.DefaultLimits.MaxCertificateSize) {
		return err.Error() + " (--max-certificate-size)"
	}
	return err.Error()
}

// ChallengeProvenance returns why a Challenge must not be worked on, or "":
// the Order, whose own provenance has been checked, must call for exactly it.
func ChallengeProvenance(c *acmev1.Challenge, o *acmev1.Order, account *facts.Account) string {
	if o == nil || !metav1.IsControlledBy(c, o) {
		return "The Challenge is not controlled by an Order; no credential is used for it"
	}
	if account == nil {
		// Nothing is done for it before the issuer is ready.
		return ""
	}
	wanted, why := WantedChallenges(o, account)
	for i := range wanted {
		if SameChallenge(&c.Spec, &wanted[i]) {
			return ""
		}
	}
	if why != "" {
		return "The Challenge cannot be compared with what its Order calls for, and no credential is used for it: " + why
	}
	return "The Challenge is not what its Order and the issuer's solvers call for; no credential is used for it"
}

// WantedChallenges derives the Challenges that an Order needs from its
// authorizations and the issuer's solvers. The string says why a solver cannot
// be chosen, or is empty.
func WantedChallenges(o *acmev1.Order, account *facts.Account) ([]acmev1.ChallengeSpec, string) {
	wanted, why, _ := wantedChallenges(o, account)
	return wanted, why
}

// wantedChallenges is WantedChallenges. It also reports whether the Order's annotations
// are why a solver cannot be chosen.
func wantedChallenges(o *acmev1.Order, account *facts.Account) (wanted []acmev1.ChallengeSpec, why string, annotated bool) {
	if why := unasked(o); why != "" {
		return nil, why, false
	}
	for _, a := range o.Status.Authorizations {
		if a.InitialState == acmev1.Valid {
			continue
		}
		sel, ok := selectSolver(account.Issuer.Solvers, o.Labels, a)
		if !ok {
			return nil, noSolver(o, account.Issuer.Solvers, a), false
		}
		if why := unsupported(o, account, sel, a.Identifier); why != "" {
			return nil, why, false
		}
		solver, why := override(o, sel.solver)
		if why != "" {
			return nil, why, true
		}
		key := acme.KeyAuthorization(sel.challenge.Token, account.Thumbprint)
		if sel.kind == acmev1.ACMEChallengeTypeDNS01 {
			key = acme.DNS01Value(key)
		}
		wanted = append(wanted, acmev1.ChallengeSpec{
			URL:              sel.challenge.URL,
			AuthorizationURL: a.URL,
			DNSName:          a.Identifier,
			Wildcard:         a.Wildcard != nil && *a.Wildcard,
			Type:             sel.kind,
			Token:            sel.challenge.Token,
			Key:              key,
			Solver:           solver,
			IssuerRef:        o.Spec.IssuerRef,
		})
	}
	return wanted, "", false
}

// unasked says which authorization that needs a Challenge is for a name that the
// Order does not ask for, or returns "".
func unasked(o *acmev1.Order) string {
	asked := map[string]bool{}
	for _, id := range Identifiers(o) {
		asked[id.Value] = true
	}
	for _, a := range o.Status.Authorizations {
		if a.InitialState == acmev1.Valid || a.Identifier == "" {
			continue
		}
		if name := authorizedName(a); !asked[name] {
			return fmt.Sprintf("The ACME server named an authorization for %q, which the Order does not ask for", name)
		}
	}
	return ""
}

// authorizedName is the identifier in an order that an authorization is for.
func authorizedName(a acmev1.ACMEAuthorization) string {
	if addr, err := netip.ParseAddr(a.Identifier); err == nil {
		return addr.Unmap().String()
	}
	name := strings.ToLower(strings.TrimSuffix(a.Identifier, "."))
	if a.Wildcard != nil && *a.Wildcard {
		// Some servers keep the prefix.
		return "*." + strings.TrimPrefix(name, "*.")
	}
	return name
}

// elsewhere reports whether the order is at another server than the account, or
// another account's. After a restart only the host shows it.
func (s State) elsewhere() bool {
	switch {
	case s.Account.URL == "":
		return false
	case s.Memory.Account != "":
		return s.Memory.Account != s.Account.URL
	}
	url := s.Object.Status.URL
	return !acme.SameHost(url, s.Account.URL) && !acme.SameHost(url, s.Account.Issuer.Server)
}

// ChallengesToCome counts the Challenges that an Order calls for, for the name
// of one of them, and that are not there yet.
func ChallengesToCome(o *acmev1.Order, account *facts.Account, one *acmev1.Challenge, others []*acmev1.Challenge) int {
	wanted, _ := WantedChallenges(o, account)
	missing := 0
	for i := range wanted {
		if wanted[i].DNSName != one.Spec.DNSName || SameChallenge(&wanted[i], &one.Spec) {
			continue
		}
		if !slices.ContainsFunc(others, func(c *acmev1.Challenge) bool { return SameChallenge(&wanted[i], &c.Spec) }) {
			missing++
		}
	}
	return missing
}

// HasSolver reports whether the solver of a Challenge of a type is one of the issuer's.
// Only then may the issuer's credentials be used for a Challenge about which nothing else
// is known. HTTP-01 uses none: what there is to remove is in the Challenge's own namespace.
// Its solver may differ from the issuer's by annotations of the Order, and has nothing for
// DNS-01 beside it.
func HasSolver(issuer *acmev1.ACMEIssuer, of acmev1.ACMEChallengeType, solver *acmev1.ACMEChallengeSolver) bool {
	if of == acmev1.ACMEChallengeTypeHTTP01 && solver.HTTP01 != nil && solver.DNS01 == nil {
		return true
	}
	return slices.ContainsFunc(issuer.Solvers, func(s acmev1.ACMEChallengeSolver) bool {
		return equality.Semantic.DeepEqual(&s, solver)
	})
}

// SameChallenge compares two specs; a defaulted issuer reference equals one
// that is spelt out.
func SameChallenge(a, b *acmev1.ChallengeSpec) bool {
	if !a.IssuerRef.Equal(b.IssuerRef) {
		return false
	}
	aligned := *a
	aligned.IssuerRef = b.IssuerRef
	return equality.Semantic.DeepEqual(&aligned, b)
}

// sameProof reports whether a Challenge proves what is wanted, by whatever solver.
func sameProof(c, wanted *acmev1.ChallengeSpec) bool {
	aligned := *c
	aligned.Solver = wanted.Solver
	return SameChallenge(&aligned, wanted)
}

// ChallengeName is the name of the Challenge that an Order needs: stable for
// equal specs, so that creating it twice is refused. The key is left out.
func ChallengeName(order string, spec acmev1.ChallengeSpec) string {
	spec.Key = ""
	return hashedName(order, spec)
}

// NameOf is the name of an object that begins with that of its owner, stable for equal
// specs.
func NameOf(owner string, spec any) string { return hashedName(owner, spec) }

// Name is the name of the Order for a request, stable for equal specs.
func Name(request string, spec acmev1.OrderSpec) string {
	spec.Request = nil
	return hashedName(request, spec)
}

// hashedName appends a 32-bit FNV-1 hash of the spec's JSON, as clusters that
// cert-manager has worked in hold it.
func hashedName(prefix string, spec any) string {
	encoded, err := json.Marshal(spec)
	if err != nil {
		// Specs are plain data; they always encode.
		panic(err)
	}
	h := fnv.New32()
	h.Write(encoded)
	suffix := fmt.Sprintf("-%d", h.Sum32())
	valid := facts.SubdomainOf(prefix)
	if valid != prefix || len(valid)+len(suffix) > facts.LongestName {
		h.Write([]byte(prefix))
		suffix = fmt.Sprintf("-%d", h.Sum32())
		valid = facts.CutName(valid, facts.LongestName-len(suffix))
	}
	return valid + suffix
}
