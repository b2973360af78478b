// Package propagation judges whether a presented challenge is visible where a
// CA looks for it, so that the CA can be asked to validate. Evidence, of any
// challenge type, gives a Verdict.
//
// The rest of the package is the evidence of dns-01 challenges (RFC 8555
// section 8.4): a Report holds what each name server answered, a Ledger
// remembers when a CA looked which name up, and Judge decides from both.
//
// The package is pure: it has no clock, does no I/O and imports no network or
// DNS package. Package dns asks the name servers and fills the Reports.
package propagation
