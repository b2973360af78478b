package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// measureCA measures the CA issuer, and then the floor on the same control
// plane.
func measureCA(ctx context.Context, s settings) ([]*result, error) {
	if !s.wants(nameCA) && !s.wants(nameFloor) {
		return nil, nil
	}
	p, err := startPlane(ctx, s, nameCA)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	cert, key, err := authority()
	if err != nil {
		return nil, err
	}
	if err := p.clusterSecret(ctx, "ca", map[string]string{"tls.crt": cert, "tls.key": key}); err != nil {
		return nil, err
	}
	if err := p.issuer(ctx, cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "ca"}}); err != nil {
		return nil, err
	}
	c, err := p.startControllers(ctx)
	if err != nil {
		return nil, err
	}
	n := s.ca
	if !s.wants(nameCA) {
		n = 1 // the model of the floor's objects
	}
	r, err := p.measure(ctx, c, n)
	c.stop()
	if err != nil {
		return nil, err
	}
	var results []*result
	if s.wants(nameCA) {
		results = append(results, r)
	}
	if s.wants(nameFloor) {
		floor, err := p.floor(ctx, s.ca)
		if err != nil {
			return nil, err
		}
		results = append(results, floor)
	}
	return results, nil
}

// authority returns a self-signed CA as PEM.
func authority() (cert, key string, err error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return "", "", err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})), nil
}
