package inspection

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

const (
	// checkTime bounds the request to one server.
	checkTime = 10 * time.Second
	// maxCRL bounds a list of revoked certificates: those of large CAs have some megabytes.
	maxCRL = 64 << 20
	// maxOCSP bounds the answer of an OCSP server.
	maxOCSP = 1 << 20
)

// Checker checks certificates.
type Checker struct {
	Client *http.Client
	// Roots are the trusted ones; nil is those of this computer.
	Roots *x509.CertPool
	Now   time.Time
}

// Check checks a certificate of a Secret with the other certificates there, among which
// its issuer may be.
func (c Checker) Check(ctx context.Context, leaf *x509.Certificate, intermediates, roots []*x509.Certificate) Debugging {
	issuer := issuerOf(leaf, slices.Concat(intermediates, roots))
	return Debugging{
		Trusted: c.trusted(leaf, intermediates),
		CRL:     c.crl(ctx, leaf, issuer),
		OCSP:    c.ocsp(ctx, leaf, issuer),
	}
}

func (c Checker) trusted(leaf *x509.Certificate, intermediates []*x509.Certificate) string {
	pool := x509.NewCertPool()
	for _, cert := range intermediates {
		pool.AddCert(cert)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Intermediates: pool, Roots: c.Roots, CurrentTime: c.Now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return fmt.Sprintf("no: %v", err)
	}
	return "yes"
}

func issuerOf(leaf *x509.Certificate, candidates []*x509.Certificate) *x509.Certificate {
	for _, candidate := range candidates {
		if bytes.Equal(candidate.RawSubject, leaf.RawIssuer) && leaf.CheckSignatureFrom(candidate) == nil {
			return candidate
		}
	}
	return nil
}

// crl looks for a certificate in the lists that it names.
func (c Checker) crl(ctx context.Context, leaf, issuer *x509.Certificate) string {
	if len(leaf.CRLDistributionPoints) == 0 {
		return "No CRL endpoints set"
	}
	asked := false
	for _, point := range leaf.CRLDistributionPoints {
		if where, err := url.Parse(point); err != nil || where.Scheme != "http" && where.Scheme != "https" {
			continue
		}
		asked = true
		revoked, err := c.revokedBy(ctx, point, leaf, issuer)
		if err != nil {
			return fmt.Sprintf("Cannot check CRL: %v", err)
		}
		if revoked {
			return "Revoked by " + point
		}
	}
	if !asked {
		return "No CRL endpoints we support found"
	}
	return "Valid"
}

func (c Checker) revokedBy(ctx context.Context, point string, leaf, issuer *x509.Certificate) (bool, error) {
	body, err := c.do(ctx, http.MethodGet, point, nil, maxCRL)
	if err != nil {
		return false, err
	}
	list, err := x509.ParseRevocationList(body)
	if err != nil {
		return false, fmt.Errorf("%s has no list of revoked certificates", point)
	}
	if issuer != nil {
		if err := list.CheckSignatureFrom(issuer); err != nil {
			return false, fmt.Errorf("the list of %s is not signed by the issuer: %w", point, err)
		}
	}
	return slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool {
		return e.SerialNumber.Cmp(leaf.SerialNumber) == 0
	}), nil
}

// ocsp asks the OCSP servers of a certificate (RFC 6960) until one answers.
func (c Checker) ocsp(ctx context.Context, leaf, issuer *x509.Certificate) string {
	if issuer == nil {
		return "Cannot check OCSP, does not have a CA or intermediate certificate provided"
	}
	if len(leaf.OCSPServer) == 0 {
		return "Cannot check OCSP: No OCSP Server set"
	}
	request, err := ocsp.CreateRequest(leaf, issuer, &ocsp.RequestOptions{Hash: crypto.SHA1})
	if err != nil {
		return fmt.Sprintf("Cannot check OCSP: %v", err)
	}
	var errs []error
	for _, server := range leaf.OCSPServer {
		body, err := c.do(ctx, http.MethodPost, server, request, maxOCSP)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		answer, err := ocsp.ParseResponseForCert(body, leaf, issuer)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("the answer of %s cannot be used: %w", server, err))
		case answer.Status == ocsp.Revoked:
			return "Marked as revoked"
		case answer.Status == ocsp.Good:
			return "valid"
		default:
			errs = append(errs, fmt.Errorf("%s does not know the certificate", server))
		}
	}
	return fmt.Sprintf("Cannot check OCSP: %v", errors.Join(errs...))
}

// do sends a request and returns the body of the answer, of most bytes at most.
func (c Checker) do(ctx context.Context, method, server string, body []byte, most int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, server, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/ocsp-request")
	}
	answer, err := c.Client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", server, answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, most+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", server, err)
	}
	if int64(len(text)) > most {
		return nil, fmt.Errorf("the answer of %s is larger than %d MiB", server, most>>20)
	}
	return text, nil
}
