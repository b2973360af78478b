// Package ca signs with the key of a CA that is kept in a Secret.
package ca

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
)

const (
	// WarningOutlivesIssuer is the reason of the warning that the CA of a
	// certificate expires before the certificate is renewed.
	WarningOutlivesIssuer = "OutlivesIssuer"
	// WarningOutsideConstraints is the reason of the warning that a certificate has
	// a name that its CA, or one above it, may not sign for.
	WarningOutsideConstraints = "OutsideNameConstraints"
)

// Signer is the issuer type ca: it issues certificates of a CA.
type Signer struct {
	pairs  KeyPairs
	limits pki.Limits
}

var (
	_ issuer.Type       = (*Signer)(nil)
	_ issuer.BareSigner = (*Signer)(nil)
)

// New returns a Signer that takes its key pairs from pairs. The limits hold
// for requests.
func New(pairs KeyPairs, limits pki.Limits) *Signer {
	return &Signer{pairs: pairs, limits: limits}
}

// Name implements issuer.Type.
func (*Signer) Name() facts.IssuerType { return facts.IssuerCA }

// Secrets implements issuer.Type.
func (*Signer) Secrets(spec *cmv1.IssuerSpec) []string { return []string{spec.CA.SecretName} }

// Check implements issuer.Type.
func (s *Signer) Check(ctx context.Context, i issuer.Issuer) (issuer.Status, error) {
	namespace, name := i.Namespace, i.Spec.CA.SecretName
	pair, f := load(ctx, s.pairs, namespace, name, i.Now)
	if f == nil {
		// The end is included.
		expired := pair.Chain[0].NotAfter.Add(time.Second)
		return issuer.Status{Reason: cmv1.IssuerReasonKeyPairVerified, Message: "Signing CA verified", Until: expired}, nil
	}
	reason, text := cmv1.IssuerReasonErrGetKeyPair, f.Message
	switch {
	case errors.Is(f, errUnfit):
		reason = cmv1.IssuerReasonErrInvalidKeyPair
	case f.Reason == cmv1.EventReasonSecretMissing:
		text = fmt.Sprintf("secret %s/%s not found", namespace, name)
	case text == "":
		text = fmt.Sprintf("secret %s/%s cannot be read", namespace, name)
	}
	f.Reason, f.Message = reason, keyPairError+text
	return issuer.Status{}, f
}

// SignsBare implements issuer.BareSigner.
func (*Signer) SignsBare() {}

// Sign issues the certificate that r asks for. It is valid for as long as r
// wants, even beyond the life of the CA, and for all names, even those outside of
// the CA's name constraints. The outcome has a warning if there are such names, or
// else if the CA expires before the certificate's renewal time; see
// pki.RenewalTime.
func (s *Signer) Sign(ctx context.Context, r issuer.Request) (request.Outcome, error) {
	spec := r.Issuer.CA
	if spec == nil {
		return request.Outcome{}, fault.New(fault.User, cmv1.EventReasonIssuerTypeMissing, "Missing issuer type: not a CA issuer")
	}
	pair, f := load(ctx, s.pairs, r.Namespace, spec.SecretName, r.Now)
	if f != nil {
		return request.Outcome{}, pending(f, r.Namespace+"/"+spec.SecretName)
	}
	options := pki.SignOptions{
		CRLDistributionPoints:  spec.CRLDistributionPoints,
		OCSPServers:            spec.OCSPServers,
		IssuingCertificateURLs: spec.IssuingCertificateURLs,
	}
	if left, bounded := pathLeft(pair.Chain); bounded && r.IsCA {
		if left < 1 {
			return request.Outcome{}, failed("Error generating certificate template",
				fmt.Errorf("the path length of the CA %q allows no further CA below it", pair.Chain[0].Subject))
		}
		below := left - 1
		options.PathLen = &below
	}
	template, err := r.Template(s.limits, options)
	if err != nil {
		return request.Outcome{}, failed("Error generating certificate template", err)
	}
	leaf, err := pki.Sign(template, pair.Chain[0], template.PublicKey, pair.Key)
	if err != nil {
		return request.Outcome{}, failed("Error signing certificate", err)
	}
	return outcome(leaf, pair), nil
}

func outcome(leaf *x509.Certificate, pair KeyPair) request.Outcome {
	issuers, root := pair.issuers, pair.root
	if root == nil {
		issuers, root = encodeIssuers(pair.Chain)
	}
	o := request.Outcome{Chain: append(pki.EncodeChain(leaf), issuers...), CA: bytes.Clone(root)}
	if name := pki.OutsideConstraints(leaf, pair.Chain); name != "" {
		o.WarningReason = WarningOutsideConstraints
		o.Warning = "Clients will not accept the certificate, because the name constraints of its CA do not allow it: " + name
		return o
	}
	// A CA that expires later is no reason to warn: the certificate has been
	// replaced by then. The renewal time is the default, because a request does
	// not know its Certificate's renewBefore.
	if ca := pair.Chain[0]; ca.NotAfter.Before(pki.RenewalTime(leaf.NotBefore, leaf.NotAfter, nil, nil)) {
		o.WarningReason = WarningOutlivesIssuer
		o.Warning = fmt.Sprintf("The certificate is valid until %s, but its CA only until %s",
			leaf.NotAfter.UTC().Format(time.RFC3339), ca.NotAfter.UTC().Format(time.RFC3339))
	}
	return o
}

// pathLeft is how many CAs may stand between the CA that chain begins with and
// a leaf (RFC 5280, section 4.2.1.9), if any certificate of the chain bounds
// it. Certificates that a CA issued to itself do not count.
func pathLeft(chain []*x509.Certificate) (left int, bounded bool) {
	below := 0
	for i, cert := range chain {
		if i > 0 && !bytes.Equal(chain[i-1].RawSubject, chain[i-1].RawIssuer) {
			below++
		}
		if !cert.BasicConstraintsValid || cert.MaxPathLen < 0 || (cert.MaxPathLen == 0 && !cert.MaxPathLenZero) {
			continue
		}
		if here := cert.MaxPathLen - below; !bounded || here < left {
			left, bounded = here, true
		}
	}
	return left, bounded
}

func pending(f *fault.Error, secret string) error {
	var message string
	if errors.Is(f, errUnfit) {
		// The issuer waits for the time, and the request for the issuer or another
		// Secret, whichever is first.
		f.Class, f.At = fault.User, time.Time{}
	}
	switch f.Reason {
	case cmv1.EventReasonSecretMissing:
		message = fmt.Sprintf("Referenced secret %s not found", secret)
	case cmv1.EventReasonSecretInvalidData:
		message = fmt.Sprintf("Failed to parse signing CA keypair from secret %s", secret)
	default:
		message = fmt.Sprintf("Failed to get certificate key pair from secret %s", secret)
	}
	if f.Message != "" {
		message += ": " + f.Message
	}
	f.Message = message
	return f
}

func failed(message string, err error) error {
	return fault.New(fault.Permanent, cmv1.EventReasonSigningError, "%s: %s", message, err).Because(err)
}
