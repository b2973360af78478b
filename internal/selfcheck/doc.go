// Package selfcheck looks for an HTTP-01 challenge where a CA will look for it (RFC 8555
// section 8.3), and judges what it finds.
//
// A Checker asks: it looks up the addresses of the name and fetches the challenge from
// each of them. The Report says what each address answered. What follows from it is
// pure: Report and View are the propagation.Evidence of a challenge, and Circumstances
// are what the cluster knows of its route, which turn an answer into a cause.
//
// A body is compared and forgotten. Neither it nor the key authorization is in a Report.
package selfcheck
