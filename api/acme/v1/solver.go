package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ACMEChallengeSolver is a way to prove control of names. Exactly one of http01
// and dns01 must be set.
type ACMEChallengeSolver struct {
	// Selector says for which names and Certificates this solver is. If it is
	// not set, it is for all that no other solver fits better.
	// +optional
	Selector *CertificateDNSNameSelector `json:"selector,omitempty"`
	// HTTP01 serves a token over HTTP on port 80 of the name (RFC 8555,
	// section 8.3). It cannot prove control of wildcards.
	// +optional
	HTTP01 *ACMEChallengeSolverHTTP01 `json:"http01,omitempty"`
	// DNS01 puts a TXT record beside the name (RFC 8555, section 8.4).
	// +optional
	DNS01 *ACMEChallengeSolverDNS01 `json:"dns01,omitempty"`
	// WaitInsteadOfSelfCheck is how long to wait after the challenge has been
	// presented before the CA is asked, as a Go duration such as 30s, in place
	// of the check that it can be seen. It is for networks in which the
	// controller cannot see what the CA will. If it is not set, the check is
	// made. It must not be negative.
	// +optional
	WaitInsteadOfSelfCheck *metav1.Duration `json:"waitInsteadOfSelfCheck,omitempty"`
}

// CertificateDNSNameSelector says for which names and Certificates a solver is.
// All of its parts must fit. Among the solvers that fit, one that lists the very
// name is used before one that does not, then the one with the longest zone,
// then the one with the most labels, then the first.
type CertificateDNSNameSelector struct {
	// MatchLabels are labels that the Certificate must have.
	// +optional
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
	// DNSNames are the names for which the solver is. A wildcard must be
	// listed as such, with *.
	// +optional
	// +listType=atomic
	DNSNames []string `json:"dnsNames,omitempty"`
	// DNSZones are domains for which the solver is, with all names below them,
	// wildcards too.
	// +optional
	// +listType=atomic
	DNSZones []string `json:"dnsZones,omitempty"`
}
