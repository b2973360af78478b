// Package pki creates and parses keys, certificate signing requests,
// certificates and chains (RFC 5280, RFC 2986, RFC 5958, RFC 7468) from plain
// values. It depends on neither the Kubernetes API nor the time.
//
// All parsed data may come from an attacker: the size is checked before
// anything is decoded, and errors contain no key material.
package pki

import (
	"cmp"
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

// ErrNoPEM means that the input contains no PEM block.
var ErrNoPEM = errors.New("no PEM data was found in given input")

// DataError means that the input is malformed. The same input always fails with
// the same text.
type DataError struct{ Err error }

func (e *DataError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *DataError) Unwrap() error { return e.Err }

func dataErrorf(format string, args ...any) *DataError {
	return &DataError{Err: fmt.Errorf(format, args...)}
}

// Limits are the largest accepted PEM inputs, in bytes. Zero means the default
// in DefaultLimits.
type Limits struct {
	// MaxCertificateSize applies to one certificate or one request.
	MaxCertificateSize int
	MaxPrivateKeySize  int
	// MaxChainLength applies to a chain. Despite its name it is in bytes.
	MaxChainLength int
	// MaxBundleSize applies to a bundle of trusted roots.
	MaxBundleSize int
}

// DefaultLimits are the limits that the API documents.
var DefaultLimits = Limits{
	MaxCertificateSize: 36500,
	MaxPrivateKeySize:  13000,
	MaxChainLength:     95000,
	MaxBundleSize:      330000,
}

func (l Limits) withDefaults() Limits {
	return Limits{
		MaxCertificateSize: cmp.Or(l.MaxCertificateSize, DefaultLimits.MaxCertificateSize),
		MaxPrivateKeySize:  cmp.Or(l.MaxPrivateKeySize, DefaultLimits.MaxPrivateKeySize),
		MaxChainLength:     cmp.Or(l.MaxChainLength, DefaultLimits.MaxChainLength),
		MaxBundleSize:      cmp.Or(l.MaxBundleSize, DefaultLimits.MaxBundleSize),
	}
}

// firstBlock returns the first PEM block for which skip is not true.
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

// allBlocks returns the contents of every PEM block. All must have the given
// type.
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
	// The type is foreign text: a long one would fill a status.
	const longest = 40
	got := block.Type
	if len(got) > longest {
		got = strings.ToValidUTF8(got[:longest], "") + "..."
	}
	return dataErrorf("PEM block is of type %q, not %q", got, want)
}
