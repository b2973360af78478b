package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
)

// maxChainCertificates bounds the number of signatures that OrderChain
// verifies. Real chains have two to four certificates.
const maxChainCertificates = 16

// ErrBrokenChain means that certificates do not form one chain.
var ErrBrokenChain = errors.New("certificate chain is malformed or broken: the certificates do not lead from one leaf to one root")

// ParseCertificate parses the first certificate of PEM. The error is a
// *DataError.
func ParseCertificate(data []byte, limits Limits) (*x509.Certificate, error) {
	block, err := firstBlock(data, limits.withDefaults().MaxCertificateSize, nil)
	if err != nil {
		return nil, err
	}
	if block.Type != blockCertificate {
		return nil, wrongBlock(block, blockCertificate)
	}
	return parseDER(block.Bytes)
}

// ParseChain parses all certificates of PEM in their order; there is at least
// one. The error is a *DataError.
func ParseChain(data []byte, limits Limits) ([]*x509.Certificate, error) {
	return parseAll(data, limits.withDefaults().MaxChainLength)
}

// ParseBundle is ParseChain for a bundle of trusted roots, with its larger
// limit.
func ParseBundle(data []byte, limits Limits) ([]*x509.Certificate, error) {
	return parseAll(data, limits.withDefaults().MaxBundleSize)
}

func parseAll(data []byte, limit int) ([]*x509.Certificate, error) {
	contents, err := allBlocks(data, limit, blockCertificate)
	if err != nil {
		return nil, err
	}
	certs := make([]*x509.Certificate, 0, len(contents))
	for _, der := range contents {
		cert, err := parseDER(der)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	return certs, nil
}

func parseDER(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, dataErrorf("certificate cannot be decoded: %w", err)
	}
	return cert, nil
}

// EncodeChain returns the PEM of certificates in their order, nil for none.
func EncodeChain(certs ...*x509.Certificate) []byte {
	var out bytes.Buffer
	for _, cert := range certs {
		// Writes to a bytes.Buffer do not fail.
		_ = pem.Encode(&out, &pem.Block{Type: blockCertificate, Bytes: cert.Raw})
	}
	return out.Bytes()
}

// SelfSigned reports whether a certificate is signed by its own key.
func SelfSigned(cert *x509.Certificate) bool { return Issued(cert, cert) }

// OrderChain sorts the certificates of one chain from the leaf upwards and
// drops duplicates. If two certificates are issuers of the same one (a
// cross-signed root), it follows the first and drops the other. The error is a
// *DataError: ErrBrokenChain, or too many or no certificates.
func OrderChain(certs []*x509.Certificate) ([]*x509.Certificate, error) {
	certs = slices.Clone(certs)
	for i := 0; i < len(certs); i++ {
		certs = append(certs[:i+1], slices.DeleteFunc(certs[i+1:], certs[i].Equal)...)
	}
	if len(certs) == 0 {
		return nil, &DataError{Err: errors.New("certificate chain is empty")}
	}
	if len(certs) > maxChainCertificates {
		return nil, dataErrorf("certificate chain has more than %d certificates", maxChainCertificates)
	}
	parents := issuersOf(certs)
	path := climb(parents)
	for i := range certs {
		if !slices.Contains(path, i) && !alternative(i, path, parents) {
			return nil, &DataError{Err: ErrBrokenChain}
		}
	}
	ordered := make([]*x509.Certificate, 0, len(path))
	for _, i := range path {
		ordered = append(ordered, certs[i])
	}
	return ordered, nil
}

// issuersOf returns, for each certificate, the indexes of its issuers,
// including itself if it is self-signed.
func issuersOf(certs []*x509.Certificate) [][]int {
	parents := make([][]int, len(certs))
	for child := range certs {
		for parent := range certs {
			if Issued(certs[parent], certs[child]) {
				parents[child] = append(parents[child], parent)
			}
		}
	}
	return parents
}

// climb starts at the first certificate that issued no other and follows
// issuers until one is self-signed or has no issuer here. Without a start, if
// every certificate issued another, it returns nil.
func climb(parents [][]int) []int {
	isIssuer := make([]bool, len(parents))
	for child, issuers := range parents {
		for _, parent := range issuers {
			isIssuer[parent] = isIssuer[parent] || parent != child
		}
	}
	at := slices.Index(isIssuer, false)
	if at < 0 {
		return nil
	}
	path := []int{at}
	for !slices.Contains(parents[at], at) {
		next := slices.IndexFunc(parents[at], func(p int) bool { return !slices.Contains(path, p) })
		if next < 0 {
			break
		}
		at = parents[at][next]
		path = append(path, at)
	}
	return path
}

// alternative reports whether i is another issuer of a certificate on the path.
func alternative(i int, path []int, parents [][]int) bool {
	return slices.ContainsFunc(path, func(p int) bool { return slices.Contains(parents[p], i) })
}

// Issued reports whether child names parent as its issuer and carries its
// signature. It serves to order certificates, not to trust them: a signature
// with an outdated hash still identifies its signer.
func Issued(parent, child *x509.Certificate) bool {
	if !bytes.Equal(parent.RawSubject, child.RawIssuer) {
		return false
	}
	if len(child.AuthorityKeyId) > 0 && len(parent.SubjectKeyId) > 0 && !bytes.Equal(child.AuthorityKeyId, parent.SubjectKeyId) {
		return false
	}
	if parent.PublicKey == nil || !verifiable(parent.PublicKey) {
		return false
	}
	err := parent.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature)
	var outdated x509.InsecureAlgorithmError
	return err == nil || errors.As(err, &outdated)
}
