package injectable

import (
	"bytes"
	"crypto/x509"
	"slices"
	"time"

	"github.com/everleaf/everleaf/internal/pki"
)

const (
	// maxAuthority is the largest ca.crt that is read, and maxBundle the largest
	// bundle that is written, in bytes.
	maxAuthority, maxBundle = 330_000, 330_000
	// maxObject is how large all bundles of an object are together, in bytes. In base64
	// they have 1 MiB then; etcd takes 1.5 MiB by default
	// (https://etcd.io/docs/v3.5/dev-guide/limit/).
	maxObject = 3 << 18
	// maxCurrent is the largest bundle that is read, in bytes: as large as an object
	// can be.
	maxCurrent = 2 << 20
	// maxCertificates is how many certificates a bundle has at most. A CA that is
	// issued anew again and again, with certificates that are valid for years, would
	// otherwise fill the object.
	maxCertificates = 200
)

// Entry is one bundle of an object: that of an entry in a list of webhooks, by its
// name, or the only one.
type Entry struct {
	Name string
	// Bundle is in PEM.
	Bundle []byte
}

// Injection is what the bundles of an object become.
type Injection struct {
	// Entries has all bundles, in the order of the object.
	Entries []Entry
	// Changed are the names of those that differ. If there are none, nothing has to be
	// written.
	Changed []string
	// Next is when the first certificate expires and a bundle changes by itself; zero
	// if that never happens.
	Next time.Time
}

// Inject adds a CA, in PEM, to the bundles of an object. The error is a *Nothing; it
// names source.
func Inject(source Source, entries []Entry, ca []byte, now time.Time) (Injection, error) {
	parsed, err := pki.ParseBundle(ca, pki.Limits{MaxBundleSize: maxAuthority})
	if err != nil {
		return Injection{}, nothing("the CA of %s cannot be read: %v", source, err)
	}
	added := valid(parsed, now)
	if len(added) == 0 {
		return Injection{}, nothing("the CA of %s has expired", source)
	}
	var injection Injection
	largest := min(maxBundle, maxObject/max(1, len(entries)))
	for _, entry := range entries {
		bundle, certificates, changed := merge(entry.Bundle, ca, parsed, added, largest, now)
		injection.Entries = append(injection.Entries, Entry{entry.Name, bundle})
		if changed {
			injection.Changed = append(injection.Changed, entry.Name)
		}
		injection.Next = earliest(injection.Next, nextExpiry(certificates))
	}
	return injection, nil
}

// merge returns the bundle that follows on a current one, its certificates, and
// whether it differs. The current certificates come first. Certificates that have
// expired, and those that are there already, are dropped, and the oldest until the
// bundle has largest bytes.
func merge(current, ca []byte, parsed, added []*x509.Certificate, largest int, now time.Time) (bundle []byte, certificates []*x509.Certificate, changed bool) {
	kept, err := pki.ParseBundle(current, pki.Limits{MaxBundleSize: maxCurrent})
	if err != nil {
		// It is empty, or something that no server trusts anything by.
		if equal(parsed, added) {
			return ca, added, true
		}
		return pki.EncodeChain(added...), added, true
	}
	certificates = bounded(valid(slices.Concat(kept, added), now), added, largest)
	if equal(kept, certificates) {
		return current, certificates, false
	}
	return pki.EncodeChain(certificates...), certificates, true
}

// valid returns the certificates that have not expired, each once.
func valid(certificates []*x509.Certificate, now time.Time) []*x509.Certificate {
	seen := map[string]bool{}
	var left []*x509.Certificate
	for _, c := range certificates {
		if !now.After(c.NotAfter) && !seen[string(c.Raw)] {
			seen[string(c.Raw)] = true
			left = append(left, c)
		}
	}
	return left
}

// bounded drops certificates from the front, where the oldest are, until the bundle
// has at most largest bytes. Those of the present CA stay.
func bounded(certificates, present []*x509.Certificate, largest int) []*x509.Certificate {
	stays := map[string]bool{}
	for _, c := range present {
		stays[string(c.Raw)] = true
	}
	count, size := len(certificates), 0
	for _, c := range certificates {
		size += len(pki.EncodeChain(c))
	}
	return slices.DeleteFunc(certificates, func(c *x509.Certificate) bool {
		if stays[string(c.Raw)] || (count <= maxCertificates && size <= largest) {
			return false
		}
		count, size = count-1, size-len(pki.EncodeChain(c))
		return true
	})
}

func equal(a, b []*x509.Certificate) bool {
	return slices.EqualFunc(a, b, func(x, y *x509.Certificate) bool { return bytes.Equal(x.Raw, y.Raw) })
}

// nextExpiry is the first moment at which one of the certificates has expired.
func nextExpiry(certificates []*x509.Certificate) time.Time {
	var next time.Time
	for _, c := range certificates {
		next = earliest(next, c.NotAfter.Add(time.Second))
	}
	return next
}

// earliest returns the earlier of two times; the zero time is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
