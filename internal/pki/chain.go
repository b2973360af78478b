package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
)

// maxChainCertificates bounds the signatures that ordering a chain checks.
// Real chains have two to four certificates.
const maxChainCertificates = 16

// ErrBrokenChain says that certificates do not form one chain.
var ErrBrokenChain = errors.New("certificate chain is malformed or broken: the certificates do not lead from one leaf to one root")

// ParseCertificate reads one certificate from PEM, the first. The error is a
// *DataError.
func ParseCertificate(data []byte, limits Limits) (*x509.Certificate, error) {
	block, err := firstBlock(data, limits.certificate(), nil)
	if err != nil {
		return nil, err
	}
	if block.Type != blockCertificate {
		return nil, wrongBlock(block, blockCertificate)
	}
	return parseDER(block.Bytes)
}

// ParseChain reads all certificates of PEM as they come; there is at least
// one. The error is a *DataError.
func ParseChain(data []byte, limits Limits) ([]*x509.Certificate, error) {
	return parseAll(data, limits.chain())
}

// ParseBundle is ParseChain for a bundle of trusted roots, which may be larger.
func ParseBundle(data []byte, limits Limits) ([]*x509.Certificate, error) {
	return parseAll(data, limits.bundle())
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
		// A bytes.Buffer takes every write.
		_ = pem.Encode(&out, &pem.Block{Type: blockCertificate, Bytes: cert.Raw})
	}
	return out.Bytes()
}

// Bundle is an issued chain as it is stored: tls.crt and ca.crt.
type Bundle struct {
	// Chain is the leaf and its issuers upwards, without a self-signed root,
	// unless that is all there is.
	Chain []*x509.Certificate
	// CA is the self-signed root, or else the topmost certificate.
	CA *x509.Certificate
}

// NewBundle puts certificates into order and splits them. The error is that
// of OrderChain.
func NewBundle(certs []*x509.Certificate) (Bundle, error) {
	ordered, err := OrderChain(certs)
	if err != nil {
		return Bundle{}, err
	}
	return SplitRoot(ordered), nil
}

// SplitRoot makes a Bundle of a chain that is in order and not empty.
func SplitRoot(ordered []*x509.Certificate) Bundle {
	last := len(ordered) - 1
	b := Bundle{Chain: ordered, CA: ordered[last]}
	if last > 0 && SelfSigned(ordered[last]) {
		b.Chain = ordered[:last:last]
	}
	return b
}

// SelfSigned says whether a certificate is signed by its own key.
func SelfSigned(cert *x509.Certificate) bool { return issued(cert, cert) }

// OrderChain sorts the certificates of one chain from the leaf upwards and
// drops repeated ones. Of two certificates for one issuer (a cross-signed
// root) it follows the one that came first and drops the other. The error is
// a *DataError: ErrBrokenChain, or too many or no certificates.
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

// issuersOf lists, for each certificate, which of them have issued it, itself
// included if it is self-signed.
func issuersOf(certs []*x509.Certificate) [][]int {
	parents := make([][]int, len(certs))
	for child := range certs {
		for parent := range certs {
			if issued(certs[parent], certs[child]) {
				parents[child] = append(parents[child], parent)
			}
		}
	}
	return parents
}

// climb walks from the first certificate that has issued no other to its
// issuer, again and again, until one is self-signed or has no issuer here. If
// every certificate has issued another, there is no path.
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

// alternative says whether i has issued a certificate of the path and only
// lost against another issuer of the same.
func alternative(i int, path []int, parents [][]int) bool {
	return slices.ContainsFunc(path, func(p int) bool { return slices.Contains(parents[p], i) })
}

// issued says whether child names parent as its issuer and bears its
// signature. It orders certificates, it does not trust them: a signature with
// a hash that is no longer accepted still tells who made it.
func issued(parent, child *x509.Certificate) bool {
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
