package component

import (
	"github.com/spf13/pflag"

	"github.com/everleaf/everleaf/internal/pki"
)

const (
	flagMaxCertificate = "max-certificate-size"
	flagMaxKey         = "max-private-key-size"
	flagMaxChain       = "max-certificate-chain-length"
	flagMaxBundle      = "max-certificate-bundle-size"
)

// AddLimits adds the flags of the sizes of PEM that is read, with l's values as
// defaults.
func AddLimits(fs *pflag.FlagSet, l *pki.Limits) {
	fs.IntVar(&l.MaxCertificateSize, flagMaxCertificate, l.MaxCertificateSize, "largest PEM of a certificate that is read, in bytes")
	fs.IntVar(&l.MaxPrivateKeySize, flagMaxKey, l.MaxPrivateKeySize, "largest PEM of a private key that is read, in bytes")
	fs.IntVar(&l.MaxChainLength, flagMaxChain, l.MaxChainLength, "largest PEM of a certificate chain that is read, in bytes")
	fs.IntVar(&l.MaxBundleSize, flagMaxBundle, l.MaxBundleSize, "largest PEM of a bundle of roots that is read, in bytes")
}

// CheckLimits complains about sizes that do not fit together.
func CheckLimits(l pki.Limits, bad Complaint) {
	for _, n := range []struct {
		flag  string
		value int
	}{
		{flagMaxCertificate, l.MaxCertificateSize},
		{flagMaxKey, l.MaxPrivateKeySize},
		{flagMaxChain, l.MaxChainLength},
		{flagMaxBundle, l.MaxBundleSize},
	} {
		if n.value < 1 {
			bad(n.flag, "must be greater than 0, not %d", n.value)
		}
	}
	const larger = "is %d, and must not be larger than --%s, which is %d"
	if l.MaxCertificateSize > l.MaxBundleSize {
		bad(flagMaxCertificate, larger, l.MaxCertificateSize, flagMaxBundle, l.MaxBundleSize)
	}
	if l.MaxChainLength > l.MaxBundleSize {
		bad(flagMaxChain, larger, l.MaxChainLength, flagMaxBundle, l.MaxBundleSize)
	}
}
