// Package selfsigned signs certificates with their own keys, which it reads
// from the Secret that the request names.
package selfsigned

import (
	"context"
	"crypto"

	corev1 "k8s.io/api/core/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
)

// Secrets reads Secrets from the API server, nil if there is none.
type Secrets interface {
	Live(ctx context.Context, namespace, name string) (*corev1.Secret, error)
}

// Signer is the issuer type selfsigned.
type Signer struct {
	secrets Secrets
	limits  pki.Limits
}

var (
	_ issuer.Type   = (*Signer)(nil)
	_ issuer.Signer = (*Signer)(nil)
)

// New returns a Signer. The limits hold for requests and keys.
func New(secrets Secrets, limits pki.Limits) *Signer {
	return &Signer{secrets: secrets, limits: limits}
}

const (
	templateError = "Error generating certificate template"
	emptyIssuer   = "Certificate will be issued with an empty Issuer DN, which contravenes RFC 5280 and could break some strict clients"
)

// Name implements issuer.Type.
func (*Signer) Name() facts.IssuerType { return facts.IssuerSelfSigned }

// Secrets implements issuer.Type: the key is the request's.
func (*Signer) Secrets(*cmv1.IssuerSpec) []string { return nil }

// Check implements issuer.Type.
func (*Signer) Check(context.Context, issuer.Issuer) (issuer.Status, error) {
	return issuer.Status{Reason: cmv1.IssuerReasonSelfSignedReady}, nil
}

// Sign issues the certificate that r asks for.
func (s *Signer) Sign(ctx context.Context, r issuer.Request) (request.Outcome, error) {
	if r.Issuer.SelfSigned == nil {
		return request.Outcome{}, fault.New(fault.User, cmv1.EventReasonIssuerTypeMissing, "Missing issuer type: not a self-signed issuer")
	}
	key, err := s.key(ctx, r)
	if err != nil {
		return request.Outcome{}, err
	}
	template, err := r.Template(s.limits, pki.SignOptions{CRLDistributionPoints: r.Issuer.SelfSigned.CRLDistributionPoints})
	if err != nil {
		return request.Outcome{}, fault.New(fault.Permanent, cmv1.EventReasonErrorGenerating, "%s: %s", templateError, err).Because(err)
	}
	if !pki.PublicKeysEqual(key.Public(), template.PublicKey) {
		return request.Outcome{}, fault.New(fault.Permanent, cmv1.EventReasonErrorKeyMatch, "%s: CSR not signed by referenced private key", templateError)
	}
	cert, err := pki.Sign(template, template, template.PublicKey, key)
	if err != nil {
		return request.Outcome{}, fault.New(fault.Permanent, cmv1.EventReasonErrorSigning, "Error signing certificate: %s", err).Because(err)
	}
	o := request.Outcome{Chain: pki.EncodeChain(cert), CA: pki.EncodeChain(cert)}
	if len(cert.Issuer.Names) == 0 {
		o.Warning, o.WarningReason = emptyIssuer, cmv1.EventReasonBadConfig
	}
	return o, nil
}

func (s *Signer) key(ctx context.Context, r issuer.Request) (crypto.Signer, error) {
	if r.Key.Name == "" {
		return nil, fault.New(fault.Permanent, cmv1.EventReasonMissingAnnotation,
			"Annotation %q missing or reference empty: secret name missing", r.KeyAnnotation)
	}
	secret, err := s.secrets.Live(ctx, r.Key.Namespace, r.Key.Name)
	if err != nil {
		cause := fault.Of(err)
		failure := fault.New(cause.Class, cmv1.EventReasonErrorGettingSecret,
			"Failed to get key %q referenced in annotation %q", r.Key.Name, r.KeyAnnotation).Because(err)
		failure.At = cause.At
		return nil, failure
	}
	if secret == nil {
		return nil, fault.New(fault.User, cmv1.EventReasonMissingSecret, "Referenced secret %s not found", r.Key)
	}
	key, err := pki.ParseKey(secret.Data[corev1.TLSPrivateKeyKey], s.limits)
	if err != nil {
		return nil, fault.New(fault.User, cmv1.EventReasonErrorParsingKey,
			"Failed to get key %q referenced in annotation %q: %s", r.Key.Name, r.KeyAnnotation, err).Because(err)
	}
	return key, nil
}
