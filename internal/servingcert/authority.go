package servingcert

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/everleaf/everleaf/internal/pki"
)

const (
	authorityName     = "cert-manager-webhook-ca"
	authorityLifetime = 365 * 24 * time.Hour
	caKey             = "ca.crt"
	// crossKey holds the CA as its predecessor has signed it. cert-manager keeps
	// such foreign keys as they are.
	crossKey = "everleaf-cross.crt"
	// maxSkew is how far the clocks of two replicas may be apart: a CA of the other
	// one that begins a little later is waited for, not replaced.
	maxSkew = 5 * time.Minute
	// backdate is how long before now certificates begin, so that clients whose clocks
	// are behind accept them.
	backdate = time.Hour
)

var keySpec = pki.KeySpec{Algorithm: pki.ECDSA, Size: 384}

// authority is a CA that signs serving certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	// cross is the CA's certificate as the previous CA has signed it, for clients
	// that do not trust the new one yet; nil if there is none.
	cross *x509.Certificate
}

// clockError is a reason to replace a CA that only the clock gives.
type clockError struct {
	text string
	ca   *x509.Certificate
	// early is whether the CA is not valid yet.
	early bool
}

// Error implements error. The text has no times, so that it stays the same.
func (e *clockError) Error() string { return e.text }

// expired is the text of the error about a CA that has expired.
const expired = "the CA has expired"

// authorityOf reads the CA in a Secret. The error says why the Secret has to get
// another one. If there is both, the CA can be used until then.
func authorityOf(data map[string][]byte, now time.Time) (*authority, error) {
	a, err := read(data)
	switch {
	case err != nil:
		return nil, err
	case now.After(a.cert.NotAfter):
		return nil, &clockError{text: expired, ca: a.cert}
	case a.cert.NotBefore.After(now.Add(maxSkew)):
		return nil, &clockError{text: "the CA is not valid yet", ca: a.cert, early: true}
	case !now.Before(renewalOf(a.cert.NotBefore, a.cert.NotAfter)):
		// That the CA begins some time before it was made moves this by minutes.
		return a, &clockError{text: "less than a third of the CA's lifetime is left", ca: a.cert}
	}
	return a, nil
}

// read reads the CA in a Secret, whatever the time.
func read(data map[string][]byte) (*authority, error) {
	for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey, caKey} {
		if len(data[key]) == 0 {
			return nil, fmt.Errorf("it lacks %s", key)
		}
	}
	if !bytes.Equal(data[corev1.TLSCertKey], data[caKey]) {
		return nil, fmt.Errorf("%s differs from %s", caKey, corev1.TLSCertKey)
	}
	chain, err := pki.ParseChain(data[corev1.TLSCertKey], pki.DefaultLimits)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", corev1.TLSCertKey, err)
	}
	key, err := pki.ParseKey(data[corev1.TLSPrivateKeyKey], pki.DefaultLimits)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", corev1.TLSPrivateKeyKey, err)
	}
	cert := chain[0]
	switch {
	case !pki.PublicKeysEqual(cert.PublicKey, key.Public()):
		return nil, fmt.Errorf("%s is not the key of %s", corev1.TLSPrivateKeyKey, corev1.TLSCertKey)
	case !cert.IsCA:
		return nil, fmt.Errorf("%s is not a CA", corev1.TLSCertKey)
	}
	a := &authority{cert: cert, key: key}
	if cross, err := pki.ParseChain(data[crossKey], pki.DefaultLimits); err == nil && pki.PublicKeysEqual(cross[0].PublicKey, key.Public()) {
		a.cross = cross[0]
	}
	return a, nil
}

// newAuthority makes a CA, and the data of its Secret. previous, which may be nil, is
// the CA that clients trust until they have learned of the new one: it signs the
// new one, too.
func newAuthority(now time.Time, previous *authority) (map[string][]byte, error) {
	key, err := pki.GenerateKey(keySpec)
	if err != nil {
		return nil, err
	}
	template := templateFor(now.Add(-backdate), now.Add(authorityLifetime))
	template.Subject = pkix.Name{CommonName: authorityName}
	template.IsCA, template.KeyUsage = true, template.KeyUsage|x509.KeyUsageCertSign
	cert, err := pki.Sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	encoded, err := pki.EncodeKey(key, pki.PKCS8)
	if err != nil {
		return nil, err
	}
	pem := pki.EncodeChain(cert)
	data := map[string][]byte{corev1.TLSCertKey: pem, caKey: pem, corev1.TLSPrivateKeyKey: encoded}
	if previous == nil || !previous.valid(now) {
		return data, nil
	}
	template.NotBefore = previous.begin(now)
	if template.NotAfter.After(previous.cert.NotAfter) {
		template.NotAfter = previous.cert.NotAfter
	}
	cross, err := pki.Sign(template, previous.cert, key.Public(), previous.key)
	if err != nil {
		return nil, err
	}
	data[crossKey] = pki.EncodeChain(cross)
	return data, nil
}

func (a *authority) valid(now time.Time) bool {
	return !now.Before(a.cert.NotBefore) && now.Before(a.cert.NotAfter)
}

// begin is when a certificate begins that the CA signs now: no earlier than the CA
// itself, and no later than now.
func (a *authority) begin(now time.Time) time.Time {
	begin := now.Add(-backdate)
	if a.cert.NotBefore.After(begin) {
		begin = a.cert.NotBefore
	}
	if begin.After(now) {
		begin = now
	}
	return begin.UTC().Truncate(time.Second)
}

// chain is what a server sends: the leaf, and what leads from it to the previous
// CA while that is valid.
func (a *authority) chain(leaf *x509.Certificate, now time.Time) [][]byte {
	if a.cross == nil || !now.Before(a.cross.NotAfter) {
		return [][]byte{leaf.Raw}
	}
	return [][]byte{leaf.Raw, a.cross.Raw}
}

// leaf signs a serving certificate that ends no later than the CA.
func (a *authority) leaf(now time.Time, lifetime time.Duration, names []string) (*x509.Certificate, crypto.Signer, error) {
	key, err := pki.GenerateKey(keySpec)
	if err != nil {
		return nil, nil, err
	}
	end := now.Add(lifetime)
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	template := templateFor(a.begin(now), end)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range names {
		// Clients that connect to an address do not look for it among the names.
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	cert, err := pki.Sign(template, a.cert, key.Public(), a.key)
	return cert, key, err
}

// templateFor leaves the serial number to crypto/x509, which chooses it at random.
func templateFor(from, until time.Time) *x509.Certificate {
	return &x509.Certificate{
		NotBefore: from.UTC().Truncate(time.Second), NotAfter: until.UTC().Truncate(time.Second),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, BasicConstraintsValid: true,
	}
}

// renewalOf is when two thirds of a lifetime have passed.
func renewalOf(from, until time.Time) time.Time { return from.Add(until.Sub(from) * 2 / 3) }
