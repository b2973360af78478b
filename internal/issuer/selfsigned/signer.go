// Package selfsigned signs certificates with their own keys, which it reads
// from the Secret that the request names.
package selfsigned

import (
	"context"
	"crypto"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
)

// Keys reads the private key that is in tls.key of a Secret. A Secret that
// does not exist is the API's NotFound, one that holds no key is
// pki.ParseKey's error, and any other error is taken for a failure to read it.
type Keys interface {
	PrivateKey(ctx context.Context, namespace, name string) (crypto.Signer, error)
}

// Signer is the issuer type selfsigned.
type Signer struct {
	keys   Keys
	limits pki.Limits
}

var (
	_ issuer.Type   = (*Signer)(nil)
	_ issuer.Signer = (*Signer)(nil)
)

// New returns a Signer that takes the keys from keys. The limits hold for
// requests.
func New(keys Keys, limits pki.Limits) *Signer { return &Signer{keys: keys, limits: limits} }

const (
	annotation    = cmv1.CertificateRequestPrivateKeyAnnotationKey
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

// Sign issues the certificate that r asks for. The key is looked for in the
// namespace of the request, whatever the kind of the issuer.
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
	name := r.Object.Annotations[annotation]
	if name == "" {
		return nil, fault.New(fault.Permanent, cmv1.EventReasonMissingAnnotation,
			"Annotation %q missing or reference empty: secret name missing", annotation)
	}
	key, err := s.keys.PrivateKey(ctx, r.Object.Namespace, name)
	if err == nil {
		return key, nil
	}
	if apierrors.IsNotFound(err) {
		return nil, fault.New(fault.User, cmv1.EventReasonMissingSecret,
			"Referenced secret %s/%s not found", r.Object.Namespace, name).Because(err)
	}
	var data *pki.DataError
	if errors.As(err, &data) {
		return nil, fault.New(fault.User, cmv1.EventReasonErrorParsingKey,
			"Failed to get key %q referenced in annotation %q: %s", name, annotation, data).Because(err)
	}
	failure := fault.New(fault.Transient, cmv1.EventReasonErrorGettingSecret,
		"Failed to get key %q referenced in annotation %q", name, annotation).Because(err)
	var classified *fault.Error
	if errors.As(err, &classified) {
		failure.Class, failure.At = classified.Class, classified.At
	}
	return nil, failure
}
