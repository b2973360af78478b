package order

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/pki"
)

// specOf is the spec of an Order that asks for what a request does.
func specOf(request *cmv1.CertificateRequest, limits pki.Limits) (acmev1.OrderSpec, error) {
	csr, err := pki.ParseRequest(request.Spec.Request, limits)
	if err != nil {
		return acmev1.OrderSpec{}, err
	}
	return specFor(request, csr), nil
}

func specFor(request *cmv1.CertificateRequest, csr *x509.CertificateRequest) acmev1.OrderSpec {
	spec := acmev1.OrderSpec{
		Request:    request.Spec.Request,
		IssuerRef:  request.Spec.IssuerRef,
		CommonName: csr.Subject.CommonName,
		DNSNames:   csr.DNSNames,
	}
	for _, ip := range csr.IPAddresses {
		spec.IPAddresses = append(spec.IPAddresses, ip.String())
	}
	return spec
}

// sameNames reports whether two Orders ask for the same names, in any sequence.
func sameNames(a, b *acmev1.OrderSpec) bool {
	same := func(a, b []string) bool {
		return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
	}
	return a.CommonName == b.CommonName && same(a.DNSNames, b.DNSNames) && same(a.IPAddresses, b.IPAddresses)
}

// Build returns the Order for an approved request, or a Permanent error that
// says why ACME cannot meet the request.
func Build(request *cmv1.CertificateRequest, issuer *acmev1.ACMEIssuer, limits pki.Limits) (*acmev1.Order, *fault.Error) {
	csr, err := pki.ParseRequest(request.Spec.Request, limits)
	if err != nil {
		return nil, fault.New(fault.Permanent, cmv1.EventReasonRequestParsingError, "Failed to decode CSR in spec.request: %s", readError(request, err, limits))
	}
	// What the CA signs, or refuses after all names are proved, is the signing
	// request. Approvers look at the spec.
	if err = pki.VerifyRequest(csr); err == nil {
		err = pki.CheckEncoded(csr, facts.Words(request.Spec.Usages), request.Spec.IsCA)
	}
	if err != nil {
		return nil, fault.New(fault.Permanent, cmv1.EventReasonInvalidOrder, "The CSR in spec.request cannot be ordered: %v", err)
	}
	spec := specFor(request, csr)
	spec.Profile = issuer.Profile
	for _, name := range append([]string{spec.CommonName}, spec.DNSNames...) {
		if strings.HasSuffix(name, ".") {
			return nil, fault.New(fault.Permanent, cmv1.EventReasonInvalidOrder,
				"The CSR PEM requests the name %q with a final dot, which no ACME server signs; remove the dot", name)
		}
	}
	if cn := spec.CommonName; cn != "" && !slices.Contains(spec.DNSNames, cn) && !slices.Contains(spec.IPAddresses, cn) {
		return nil, fault.New(fault.Permanent, cmv1.EventReasonInvalidOrder, "The CSR PEM requests a commonName that is not present in the list of dnsNames or ipAddresses. "+
			"If a commonName is set, ACME requires that the value is also present in the list of dnsNames or ipAddresses: %q does not exist in %s or %s", cn, spec.DNSNames, spec.IPAddresses)
	}
	if issuer.EnableDurationFeature {
		spec.Duration = request.Spec.Duration
	}
	return &acmev1.Order{
		ObjectMeta: metav1.ObjectMeta{
			Name:            Name(request.Name, spec),
			Namespace:       request.Namespace,
			Labels:          request.Labels,
			Annotations:     maps.Clone(request.Annotations),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(request, kindOf(request))},
		},
		Spec: spec,
	}, nil
}

// kindOf is the kind of a request. An Order may be for one of another kind, which is
// then shown as the CertificateRequest that asks for the same.
func kindOf(request *cmv1.CertificateRequest) schema.GroupVersionKind {
	if kind := request.GroupVersionKind(); kind.Kind != "" {
		return kind
	}
	return cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateRequestKind)
}

// Replacement returns a copy of an Order that takes the place of ones that went
// away at the server; replaces counts them.
func Replacement(wanted *acmev1.Order, replaces int) *acmev1.Order {
	next := wanted.DeepCopy()
	if next.Annotations == nil {
		next.Annotations = map[string]string{}
	}
	next.Annotations[facts.OrderReplacesAnnotation] = strconv.Itoa(replaces)
	return next
}

// Identifiers are what an Order asks the server for (RFC 8555 section 7.1.3):
// DNS names, then addresses, each sorted and once. The common name counts if it
// is a domain name or an address.
func Identifiers(o *acmev1.Order) []acme.Identifier {
	dns, ips := map[string]bool{}, map[string]bool{}
	add := func(name string) {
		if addr, err := netip.ParseAddr(name); err == nil {
			ips[addr.Unmap().String()] = true
		} else {
			dns[strings.ToLower(strings.TrimSuffix(name, "."))] = true
		}
	}
	for _, name := range append(slices.Clone(o.Spec.DNSNames), o.Spec.IPAddresses...) {
		add(name)
	}
	if strings.Contains(o.Spec.CommonName, ".") || strings.Contains(o.Spec.CommonName, ":") {
		add(o.Spec.CommonName)
	}
	var ids []acme.Identifier
	for _, name := range slices.Sorted(maps.Keys(dns)) {
		ids = append(ids, acme.Identifier{Type: acme.IdentifierDNS, Value: name})
	}
	for _, ip := range slices.Sorted(maps.Keys(ips)) {
		ids = append(ids, acme.Identifier{Type: acme.IdentifierIP, Value: ip})
	}
	return ids
}

// DNSNames are the names for which an Order may need a Challenge: its DNS
// identifiers without the wildcard label.
func DNSNames(o *acmev1.Order) []string {
	var names []string
	for _, id := range Identifiers(o) {
		if id.Type == acme.IdentifierDNS {
			names = append(names, strings.TrimPrefix(id.Value, "*."))
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

// MayNeedChallenge reports whether an Order may need a Challenge for a name: its
// authorizations are not known yet, or one of them is open.
func MayNeedChallenge(o *acmev1.Order, name string) bool {
	if o.DeletionTimestamp != nil || o.Status.State != "" && o.Status.State != acmev1.Pending {
		return false
	}
	for _, a := range o.Status.Authorizations {
		if a.Identifier == "" || a.Identifier == name && a.InitialState != acmev1.Valid {
			return true
		}
	}
	return len(o.Status.Authorizations) == 0
}

// Class is equal for Orders that a server may answer with one order.
func Class(o *acmev1.Order) string {
	var b strings.Builder
	issuer := o.Spec.IssuerRef.WithDefaults()
	fmt.Fprintf(&b, "%s/%s/", issuer.Kind, issuer.Name)
	if issuer.Kind == cmv1.IssuerKind {
		b.WriteString(o.Namespace)
	}
	fmt.Fprintf(&b, "/%s", o.Spec.Profile)
	for _, id := range Identifiers(o) {
		fmt.Fprintf(&b, "/%s", id.Value)
	}
	return b.String()
}

// stuckAfter is how long an Order may hold back others of its class. One that
// takes longer is stuck, as with a record that never appears, and must not keep
// another's certificate from being renewed.
const stuckAfter = 5 * time.Minute

// BlocksUntil is when an Order that precedes others of its class no longer holds
// them back, zero before it has its order at the server.
func BlocksUntil(o *acmev1.Order) time.Time {
	if o.Status.URL == "" {
		return time.Time{}
	}
	return o.CreationTimestamp.Add(stuckAfter)
}

// Precedes reports whether an Order of the same class comes before
// another: it is unfinished and older.
func Precedes(a, b *acmev1.Order) bool {
	if a.UID == b.UID || a.DeletionTimestamp != nil || Failed(a.Status.State) || a.Status.State == acmev1.Valid {
		return false
	}
	if a.Status.URL != "" {
		return true
	}
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.UID, b.UID)) < 0
}
