package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// measureCA measures the CA issuer, and then the floor on the same control
// plane.
func measureCA(ctx context.Context, s settings) ([]*result, error) {
	return measurePair(ctx, s, nameCA, nameFloor, (*plane).keepPolicies)
}

// measureBareCA is measureCA without admission policies: what a cluster with a
// webhook has, less the webhook.
func measureBareCA(ctx context.Context, s settings) ([]*result, error) {
	return measurePair(ctx, s, nameBareCA, nameBareFloor, (*plane).deletePolicies)
}

func measurePair(ctx context.Context, s settings, ca, floor string, prepare func(*plane, context.Context) error) ([]*result, error) {
	if !s.wants(ca) && !s.wants(floor) {
		return nil, nil
	}
	p, err := startCA(ctx, s, ca, prepare)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	c, err := p.startControllers(ctx)
	if err != nil {
		return nil, err
	}
	n := s.ca
	if !s.wants(ca) {
		n = 1 // the model of the floor's objects
	}
	r, err := p.measure(ctx, c, n)
	c.stop()
	if err != nil {
		return nil, err
	}
	var results []*result
	if s.wants(ca) {
		results = append(results, r)
	}
	if s.wants(floor) {
		least, err := p.floor(ctx, number("crt", 0), s.ca, nil)
		if err != nil {
			return nil, err
		}
		least.name = floor
		results = append(results, least)
	}
	return results, nil
}

// startCA starts a control plane with a CA issuer.
func startCA(ctx context.Context, s settings, name string, prepare func(*plane, context.Context) error) (*plane, error) {
	p, err := startPlane(ctx, s, name)
	if err != nil {
		return nil, err
	}
	cert, key, err := authority()
	if err == nil {
		err = prepare(p, ctx)
	}
	if err == nil {
		err = p.clusterSecret(ctx, "ca", map[string]string{"tls.crt": cert, "tls.key": key})
	}
	if err == nil {
		err = p.issuer(ctx, cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "ca"}})
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (*plane) keepPolicies(context.Context) error { return nil }

// deletePolicies takes the admission policies out of force.
func (p *plane) deletePolicies(ctx context.Context) error {
	for _, binding := range []client.Object{
		&admissionv1.ValidatingAdmissionPolicyBinding{}, &admissionv1.MutatingAdmissionPolicyBinding{},
	} {
		if err := p.DeleteAllOf(ctx, binding); err != nil {
			return fmt.Errorf("delete the admission policies: %w", err)
		}
	}
	return nil
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
