package certificate

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// TakesAdvice reports whether certificates of an issuer are renewed when its CA
// advises it (RFC 9773).
func TakesAdvice(spec *cmv1.IssuerSpec) bool {
	return spec.ACME != nil && spec.ACME.RenewalInformationSource != acmev1.RenewalInformationSourceNone
}

// advice is the CA's advice on the certificate of a revision, nil without any. Advice
// from before the certificate is about another one.
func (c State) advice(revision int) *cmv1.ACMERenewalInfo {
	if !c.Advised || c.Object.Status.ACME == nil || c.Object.Status.ACME.ARI == nil {
		return nil
	}
	ari := c.Object.Status.ACME.ARI
	if ari.LastChecked == nil || ari.LastChecked.Time.Before(c.issuedFrom(revision).Truncate(time.Second)) {
		return nil
	}
	return ari
}

// advisedRenewal is an instant in the window that the CA suggests, zero without one.
// status.renewalTime keeps it as long as the window has it. It is chosen at random, and
// is the same each time for one certificate and one window: the renewal without advice,
// which status.renewalTime has until the CA is asked, is not chosen, although windows
// usually have it. A window that opens when the certificate has expired, or was not valid
// yet, does not count.
func (c State) advisedRenewal(revision int, without time.Time) time.Time {
	ari, leaf := c.advice(revision), c.Secret.Leaf
	if ari == nil || ari.SuggestedWindow == nil {
		return time.Time{}
	}
	start, end := ari.SuggestedWindow.Start.Time, ari.SuggestedWindow.End.Time
	if !start.After(leaf.NotBefore) || !start.Before(leaf.NotAfter) {
		return time.Time{}
	}
	if end.After(leaf.NotAfter) {
		end = leaf.NotAfter
	}
	if !start.Before(end) {
		return start
	}
	if kept := c.Object.Status.RenewalTime; kept != nil && !kept.Time.Equal(without) && !kept.Time.Before(start) && kept.Time.Before(end) {
		return kept.Time
	}
	at := share("advice", string(c.Object.UID), string(leaf.Digest[:])) * float64(end.Sub(start))
	return later(start, start.Add(time.Duration(at)).Truncate(time.Second))
}

// share is a number from 0 to 1, without 1. It looks random, is equal for equal words,
// and differs for others.
func share(words ...string) float64 {
	sum := sha256.New()
	for _, word := range words {
		sum.Write([]byte(word))
		sum.Write([]byte{0})
	}
	const bits = 53 // that a float64 holds
	return float64(binary.BigEndian.Uint64(sum.Sum(nil))>>(64-bits)) / (1 << bits)
}
