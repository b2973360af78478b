// Package pki makes and reads keys, certificate signing requests,
// certificates and chains (RFC 5280, RFC 2986, RFC 5958, RFC 7468) from plain
// values. It knows neither the Kubernetes API nor the time.
//
// Everything that it parses may come from a stranger: sizes are checked before
// anything is decoded, and errors carry no key material.
package pki

import (
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

const (
	blockCertificate = "CERTIFICATE"
	blockRequest     = "CERTIFICATE REQUEST"
	blockOldRequest  = "NEW CERTIFICATE REQUEST"
)

// ErrNoPEM says that the input has no PEM block at all.
var ErrNoPEM = errors.New("no PEM data was found in given input")

// DataError says that given bytes are not what they are meant to be. The same
// bytes fail again with the same text.
type DataError struct{ Err error }

func (e *DataError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *DataError) Unwrap() error { return e.Err }

func dataErrorf(format string, args ...any) *DataError {
	return &DataError{Err: fmt.Errorf(format, args...)}
}

// Limits are the largest PEM inputs that are decoded, in bytes. A field that is
// zero means its default of DefaultLimits.
type Limits struct {
	// MaxCertificateSize holds for one certificate or one request.
	MaxCertificateSize int
	MaxPrivateKeySize  int
	// MaxChainLength holds for a chain, in bytes in spite of its name.
	MaxChainLength int
	// MaxBundleSize holds for a bundle of trusted roots.
	MaxBundleSize int
}

// DefaultLimits are what the API documents.
var DefaultLimits = Limits{
	MaxCertificateSize: 36500,
	MaxPrivateKeySize:  13000,
	MaxChainLength:     95000,
	MaxBundleSize:      330000,
}

func (l Limits) certificate() int {
	return orDefault(l.MaxCertificateSize, DefaultLimits.MaxCertificateSize)
}

func (l Limits) privateKey() int {
	return orDefault(l.MaxPrivateKeySize, DefaultLimits.MaxPrivateKeySize)
}

func (l Limits) chain() int {
	return orDefault(l.MaxChainLength, DefaultLimits.MaxChainLength)
}

func (l Limits) bundle() int {
	return orDefault(l.MaxBundleSize, DefaultLimits.MaxBundleSize)
}

func orDefault(n, fallback int) int {
	if n == 0 {
		return fallback
	}
	return n
}

// firstBlock returns the first PEM block that skip does not reject.
func firstBlock(data []byte, limit int, skip func(*pem.Block) bool) (*pem.Block, error) {
	if len(data) > limit {
		return nil, dataErrorf("provided PEM data was larger than the maximum %dB", limit)
	}
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return nil, &DataError{Err: ErrNoPEM}
		}
		if skip == nil || !skip(block) {
			return block, nil
		}
		data = rest
	}
}

// allBlocks returns the contents of every PEM block; each must be of the type.
func allBlocks(data []byte, limit int, blockType string) ([][]byte, error) {
	if len(data) > limit {
		return nil, dataErrorf("provided PEM data was larger than the maximum %dB", limit)
	}
	var contents [][]byte
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		if block.Type != blockType {
			return nil, wrongBlock(block, blockType)
		}
		contents = append(contents, block.Bytes)
		data = rest
	}
	if len(contents) == 0 {
		return nil, &DataError{Err: ErrNoPEM}
	}
	return contents, nil
}

func wrongBlock(block *pem.Block, want string) error {
	// The type is text of the sender's: a long one would flood a status.
	const longest = 40
	got := block.Type
	if len(got) > longest {
		got = strings.ToValidUTF8(got[:longest], "") + "..."
	}
	return dataErrorf("PEM block is of type %q, not %q", got, want)
}
