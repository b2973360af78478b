// Package diagnosis says why a certificate is not issued.
//
// Evidence is what was found: the objects from the Certificate down to its
// Challenges, and what name servers answered, seen from one place or two. Explain
// turns it into Verdicts, each with a cause and what cures it. Explain is pure: the
// same Evidence gives the same Verdicts, on any machine, so that Evidence can be
// stored, sent and explained again.
package diagnosis
