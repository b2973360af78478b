package acme

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"strconv"
)

const (
	// maxChain exceeds the length of any real chain.
	maxChain = 10
	// maxChainPEM leaves room for a leaf with many names and for keys and
	// signatures of post-quantum size.
	maxChainPEM   = 512 << 10
	maxAlternates = 10
)

// Chain is an issued certificate.
type Chain struct {
	// Certificates begin with the leaf.
	Certificates []*x509.Certificate
	// PEM is the same certificates, without any other text.
	PEM []byte
	// Alternates are the URLs of other chains for the same leaf.
	Alternates []string
}

// Certificate reads an issued certificate and its chain (RFC 8555 section
// 7.4.2).
func (c *Client) Certificate(ctx context.Context, url string) (Chain, error) {
	return c.fetchChain(ctx, actionCertificate, url)
}

// FetchAlternate reads one of the chain's alternates.
func (c *Client) FetchAlternate(ctx context.Context, url string) (Chain, error) {
	return c.fetchChain(ctx, actionAlternate, url)
}

// PreferredChain reads the certificate. If its chain does not match, it reads
// the alternates, one request each, until one matches. A chain matches if the
// issuer of its topmost certificate has the preferred common name. If none
// matches, or preferred is empty, it returns the server's default chain.
func (c *Client) PreferredChain(ctx context.Context, url, preferred string) (Chain, error) {
	first, err := c.Certificate(ctx, url)
	if err != nil || preferred == "" || first.toppedBy(preferred) {
		return first, err
	}
	for _, alternate := range first.Alternates {
		chain, err := c.FetchAlternate(ctx, alternate)
		if err != nil {
			return Chain{}, err
		}
		if chain.Certificates[0].Equal(first.Certificates[0]) && chain.toppedBy(preferred) {
			return chain, nil
		}
	}
	return first, nil
}

func (c Chain) toppedBy(commonName string) bool {
	return c.Certificates[len(c.Certificates)-1].Issuer.CommonName == commonName
}

func (c *Client) fetchChain(ctx context.Context, action, url string) (Chain, error) {
	answer, err := c.post(ctx, request{action: action, url: url, accept: "application/pem-certificate-chain"})
	if err != nil {
		return Chain{}, err
	}
	chain, wrong := parseChain(answer.body)
	if wrong != "" {
		return Chain{}, &ServerError{Host: answer.url.Host, What: wrong}
	}
	alternates := answer.links("alternate")
	chain.Alternates = alternates[:min(len(alternates), maxAlternates)]
	return chain, nil
}

// parseChain reads PEM that consists of certificates only (RFC 8555 section
// 9.1). If it fails, wrong is what the server did wrong.
func parseChain(data []byte) (chain Chain, wrong string) {
	if len(data) > maxChainPEM {
		return Chain{}, "sent a certificate chain of more than " + strconv.Itoa(maxChainPEM>>10) + " KiB"
	}
	for {
		data = bytes.TrimSpace(data)
		if len(data) == 0 {
			break
		}
		if len(chain.Certificates) == maxChain {
			return Chain{}, "sent a chain of more than " + strconv.Itoa(maxChain) + " certificates"
		}
		if !bytes.HasPrefix(data, []byte("-----BEGIN CERTIFICATE-----")) {
			return Chain{}, "sent something else than a PEM certificate chain"
		}
		block, rest := pem.Decode(data)
		// Decode skips unreadable text before a block.
		if block == nil || bytes.Count(data[:len(data)-len(rest)], []byte("-----BEGIN")) != 1 {
			return Chain{}, "sent something else than a PEM certificate chain"
		}
		data = rest
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return Chain{}, "sent a certificate that cannot be read"
		}
		chain.Certificates = append(chain.Certificates, cert)
		chain.PEM = append(chain.PEM, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes})...)
	}
	if len(chain.Certificates) == 0 {
		return Chain{}, "sent an empty certificate chain"
	}
	return chain, ""
}
