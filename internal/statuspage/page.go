// Package statuspage collects and prints the state of a Certificate and of everything
// behind it. The text is that of cert-manager's command-line tool, which scripts match
// by regular expressions.
package statuspage

import (
	"time"
)

// Page is the state of a Certificate. A part that is missing has a Problem, the line that
// is printed in its place, and nothing else.
type Page struct {
	Name      string    `json:"name"`
	Namespace string    `json:"namespace"`
	CreatedAt time.Time `json:"createdAt"`
	// Conditions are in the order of the object.
	Conditions  []Condition `json:"conditions,omitempty"`
	DNSNames    []string    `json:"dnsNames,omitempty"`
	Events      Events      `json:"events,omitzero"`
	Issuer      Issuer      `json:"issuer"`
	Secret      Secret      `json:"secret"`
	NotBefore   *time.Time  `json:"notBefore,omitempty"`
	NotAfter    *time.Time  `json:"notAfter,omitempty"`
	RenewalTime *time.Time  `json:"renewalTime,omitempty"`
	// Request is that of the next revision: the one after the revision that the Secret
	// has.
	Request Request `json:"certificateRequest"`
	// Order and Challenges are nil if the issuer is not an ACME issuer, or if there is no
	// request.
	Order      *Order      `json:"order,omitempty"`
	Challenges *Challenges `json:"challenges,omitempty"`
}

// Condition is a condition of any kind.
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Events are the events of an object, the oldest first.
type Events struct {
	Items []Event `json:"items,omitempty"`
	// Problem says why they could not be read.
	Problem string `json:"problem,omitempty"`
}

// Event is an event.
type Event struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
	// First and Last are when it happened, Count is how often.
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Count   int32     `json:"count"`
	From    string    `json:"from"`
	Message string    `json:"message"`
}

// Issuer is an Issuer or ClusterIssuer.
type Issuer struct {
	Problem    string      `json:"problem,omitempty"`
	Name       string      `json:"name,omitempty"`
	Kind       string      `json:"kind,omitempty"`
	Conditions []Condition `json:"conditions,omitempty"`
	Events     Events      `json:"events,omitzero"`
}

// Secret is what the certificate in the Secret says. Key IDs and the serial number are
// in hexadecimal.
type Secret struct {
	Problem            string   `json:"problem,omitempty"`
	Name               string   `json:"name,omitempty"`
	IssuerCountry      []string `json:"issuerCountry,omitempty"`
	IssuerOrganisation []string `json:"issuerOrganisation,omitempty"`
	IssuerCommonName   string   `json:"issuerCommonName,omitempty"`
	KeyUsage           []string `json:"keyUsage,omitempty"`
	ExtendedKeyUsages  []string `json:"extendedKeyUsages,omitempty"`
	PublicKeyAlgorithm string   `json:"publicKeyAlgorithm,omitempty"`
	SignatureAlgorithm string   `json:"signatureAlgorithm,omitempty"`
	SubjectKeyID       string   `json:"subjectKeyID,omitempty"`
	AuthorityKeyID     string   `json:"authorityKeyID,omitempty"`
	SerialNumber       string   `json:"serialNumber,omitempty"`
	Events             Events   `json:"events,omitzero"`
}

// Request is a CertificateRequest.
type Request struct {
	Problem    string      `json:"problem,omitempty"`
	Name       string      `json:"name,omitempty"`
	Namespace  string      `json:"namespace,omitempty"`
	Conditions []Condition `json:"conditions,omitempty"`
	Events     Events      `json:"events,omitzero"`
}

// Order is an Order.
type Order struct {
	Problem        string          `json:"problem,omitempty"`
	Name           string          `json:"name,omitempty"`
	State          string          `json:"state,omitempty"`
	Reason         string          `json:"reason,omitempty"`
	Authorizations []Authorization `json:"authorizations,omitempty"`
	FailureTime    *time.Time      `json:"failureTime,omitempty"`
}

// Authorization is an authorization of an Order.
type Authorization struct {
	URL          string `json:"url"`
	Identifier   string `json:"identifier"`
	InitialState string `json:"initialState"`
	// Wildcard is nil if the server has not said.
	Wildcard *bool `json:"wildcard,omitempty"`
}

// Challenges are the Challenges of an Order.
type Challenges struct {
	Problem string      `json:"problem,omitempty"`
	Items   []Challenge `json:"items,omitempty"`
}

// Challenge is a Challenge.
type Challenge struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	Token      string `json:"token"`
	Key        string `json:"key"`
	State      string `json:"state"`
	Reason     string `json:"reason"`
	Processing bool   `json:"processing"`
	Presented  bool   `json:"presented"`
}
