package issuer

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/everleaf/everleaf/internal/pki"
)

// Template reads the request, checks that its sender holds the key unless it is bare, and
// returns the certificate that is asked for, ready to be signed; Now is its
// first second. What the issuer adds is in o; the fields that the request
// decides are set here. An error means that this request can never be met.
func (r Request) Template(limits pki.Limits, o pki.SignOptions) (*x509.Certificate, error) {
	csr, err := r.read(limits)
	if err != nil {
		return nil, err
	}
	duration, err := r.duration()
	if err != nil {
		return nil, err
	}
	o.NotBefore, o.NotAfter = r.Now, r.Now.Add(duration)
	o.IsCA = r.IsCA
	o.Usages = r.Usages
	return pki.CertificateFromRequest(csr, o)
}

// read returns what is asked for.
func (r Request) read(limits pki.Limits) (*x509.CertificateRequest, error) {
	if r.Bare != nil {
		return pki.UnsignedRequest(r.Bare.Wanted, r.Bare.Key)
	}
	csr, err := pki.ParseRequest(r.CSR, limits)
	if err != nil {
		return nil, err
	}
	if err := pki.VerifyRequest(csr); err != nil {
		return nil, err
	}
	return csr, pki.CheckEncoded(csr, r.Usages, r.IsCA)
}

func (r Request) duration() (time.Duration, error) {
	switch {
	case r.Duration == 0:
		return pki.DefaultDuration, nil
	case r.Duration < time.Second:
		return 0, fmt.Errorf("a duration of %s is too short", r.Duration)
	default:
		return r.Duration, nil
	}
}
