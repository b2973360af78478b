package validation

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

const (
	minRSABits = 2048
	maxRSABits = 8192
)

var (
	curves = []int{256, 384, 521}

	// signatureAlgorithms are those that fit a key algorithm.
	signatureAlgorithms = map[cmv1.PrivateKeyAlgorithm][]cmv1.SignatureAlgorithm{
		cmv1.RSAKeyAlgorithm:     {cmv1.SHA256WithRSA, cmv1.SHA384WithRSA, cmv1.SHA512WithRSA},
		cmv1.ECDSAKeyAlgorithm:   {cmv1.ECDSAWithSHA256, cmv1.ECDSAWithSHA384, cmv1.ECDSAWithSHA512},
		cmv1.Ed25519KeyAlgorithm: {cmv1.PureEd25519},
	}
)

// keys checks the private key and what it signs with.
func (r *Result) keys(path *field.Path, spec *cmv1.CertificateSpec) {
	algorithm := cmv1.RSAKeyAlgorithm
	if key := spec.PrivateKey; key != nil {
		size := path.Child("privateKey", "size")
		if key.Algorithm != "" {
			algorithm = key.Algorithm
		}
		switch algorithm {
		case cmv1.RSAKeyAlgorithm:
			if key.Size > 0 && (key.Size < minRSABits || key.Size > maxRSABits) {
				r.add(field.Invalid(size, key.Size, fmt.Sprintf("must be between %d and %d for rsa keyAlgorithm", minRSABits, maxRSABits)))
			}
		case cmv1.ECDSAKeyAlgorithm:
			if key.Size > 0 && !slices.Contains(curves, key.Size) {
				r.add(field.NotSupported(size, key.Size, []string{"256", "384", "521"}))
			}
		case cmv1.Ed25519KeyAlgorithm:
		default:
			r.add(field.Invalid(path.Child("privateKey", "algorithm"), algorithm, "must be either empty or one of rsa, ecdsa or ed25519"))
		}
	}
	if fitting, known := signatureAlgorithms[algorithm]; known && spec.SignatureAlgorithm != "" && !slices.Contains(fitting, spec.SignatureAlgorithm) {
		r.add(field.Invalid(path.Child("signatureAlgorithm"), spec.SignatureAlgorithm,
			fmt.Sprintf("for key algorithm %s the allowed signature algorithms are %v", algorithm, fitting)))
	}
	usages := path.Child("usages")
	for i, usage := range spec.Usages {
		if !knownUsage(usage) {
			r.invalid(usages, i, usage, "unknown keyusage")
		}
	}
}
