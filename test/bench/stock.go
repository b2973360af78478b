package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// stock is a certificate that the controllers have issued: the model of many that are
// held as if they had issued them too.
type stock struct {
	name    string
	objects []*unstructured.Unstructured
	leaf    *x509.Certificate
	// chain is what follows the leaf.
	chain []byte
	csr   *x509.CertificateRequest
	// signer stands for the CA: nobody looks at the signature of what is held.
	signer *ecdsa.PrivateKey
}

// newStock issues a certificate, and returns it as a model.
func (p *plane) newStock(ctx context.Context, name, issuer string) (*stock, error) {
	crt := certificate(name, 1)
	crt.Spec.IssuerRef.Name = issuer
	if err := p.Create(ctx, crt, client.FieldOwner("bench")); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.settings.timeout)
	defer cancel()
	for !ready(crt) {
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return nil, fmt.Errorf("Certificate %s is not ready: %w: %v", name, err, crt.Status.Conditions)
		}
		if err := p.Get(ctx, client.ObjectKeyFromObject(crt), crt); err != nil {
			return nil, err
		}
	}
	return p.stockOf(ctx, crt)
}

func ready(crt *cmv1.Certificate) bool {
	for _, c := range crt.Status.Conditions {
		if c.Type == cmv1.CertificateConditionReady && c.Status == "True" {
			return true
		}
	}
	return false
}

// stockOf reads what belongs to an issued Certificate.
func (p *plane) stockOf(ctx context.Context, crt *cmv1.Certificate) (*stock, error) {
	s := &stock{name: crt.Name}
	var err error
	for _, one := range []struct{ version, kind, name string }{
		{cmv1.SchemeGroupVersion.String(), cmv1.CertificateKind, crt.Name},
		{cmv1.SchemeGroupVersion.String(), cmv1.CertificateRequestKind, crt.Name + "-1"},
		{"v1", "Secret", crt.Spec.SecretName},
	} {
		o := &unstructured.Unstructured{}
		o.SetAPIVersion(one.version)
		o.SetKind(one.kind)
		if err := p.Get(ctx, client.ObjectKey{Namespace: namespace, Name: one.name}, o); err != nil {
			return nil, err
		}
		s.objects = append(s.objects, o)
	}
	orders := &unstructured.UnstructuredList{}
	orders.SetAPIVersion(acmev1.SchemeGroupVersion.String())
	orders.SetKind(acmev1.OrderKind + "List")
	if err := p.List(ctx, orders, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	for i := range orders.Items {
		if o := &orders.Items[i]; strings.HasPrefix(o.GetName(), crt.Name+"-") {
			s.objects = append(s.objects, o)
		}
	}
	encoded, _, _ := unstructured.NestedString(s.objects[2].Object, "data", corev1.TLSCertKey)
	chain, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(chain)
	if block == nil {
		return nil, errors.New("the model's Secret has no certificate")
	}
	s.chain = rest
	if s.leaf, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, err
	}
	encoded, _, _ = unstructured.NestedString(s.objects[1].Object, "spec", "request")
	request, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, err
	}
	if block, _ = pem.Decode(request); block == nil {
		return nil, errors.New("the model's request has no signing request")
	}
	if s.csr, err = x509.ParseCertificateRequest(block.Bytes); err != nil {
		return nil, err
	}
	s.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return s, err
}

// copies returns the objects of another certificate of the same kind, with a key of its
// own. It was issued earlier than the model by a time, and lives as long.
func (s *stock) copies(name string, earlier time.Duration) ([]*unstructured.Unstructured, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cert, csr, err := s.sign(name, key, earlier)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	names := []string{s.name, name}
	for _, o := range s.objects {
		names = append(names, string(o.GetUID()), string(uuid.NewUUID()))
	}
	replace := strings.NewReplacer(names...)
	var made []*unstructured.Unstructured
	for _, model := range s.objects {
		text, err := model.MarshalJSON()
		if err != nil {
			return nil, err
		}
		o := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(replace.Replace(string(text))), &o.Object); err != nil {
			return nil, err
		}
		// The API server takes etcd's revision.
		o.SetResourceVersion("")
		o.SetCreationTimestamp(metav1.NewTime(o.GetCreationTimestamp().Add(-earlier)))
		set := func(value []byte, fields ...string) {
			if _, ok, _ := unstructured.NestedString(o.Object, fields...); ok {
				_ = unstructured.SetNestedField(o.Object, base64.StdEncoding.EncodeToString(value), fields...)
			}
		}
		set(cert, "data", corev1.TLSCertKey)
		set(private, "data", corev1.TLSPrivateKeyKey)
		set(csr, "spec", "request")
		set(cert, "status", "certificate")
		for _, field := range []string{"notBefore", "notAfter", "renewalTime"} {
			text, ok, _ := unstructured.NestedString(o.Object, "status", field)
			at, err := time.Parse(time.RFC3339, text)
			if ok && err == nil {
				_ = unstructured.SetNestedField(o.Object, at.Add(-earlier).UTC().Format(time.RFC3339), "status", field)
			}
		}
		made = append(made, o)
	}
	return made, nil
}

// sign returns a certificate with its chain, and a signing request, like the model's.
func (s *stock) sign(name string, key *ecdsa.PrivateKey, earlier time.Duration) (cert, csr []byte, err error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	subject := s.leaf.Subject
	subject.CommonName = strings.ReplaceAll(subject.CommonName, s.name, name)
	leaf := &x509.Certificate{
		SerialNumber: serial, Subject: subject, NotBefore: s.leaf.NotBefore.Add(-earlier), NotAfter: s.leaf.NotAfter.Add(-earlier),
		KeyUsage: s.leaf.KeyUsage, ExtKeyUsage: s.leaf.ExtKeyUsage, BasicConstraintsValid: s.leaf.BasicConstraintsValid, IsCA: s.leaf.IsCA,
	}
	for _, n := range s.leaf.DNSNames {
		leaf.DNSNames = append(leaf.DNSNames, strings.ReplaceAll(n, s.name, name))
	}
	if len(s.leaf.SubjectKeyId) > 0 {
		id, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			return nil, nil, err
		}
		sum := sha256.Sum256(id)
		leaf.SubjectKeyId = sum[:20]
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, &x509.Certificate{RawSubject: s.leaf.RawIssuer, SubjectKeyId: s.leaf.AuthorityKeyId}, key.Public(), s.signer)
	if err != nil {
		return nil, nil, err
	}
	cert = append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), s.chain...)
	subject = s.csr.Subject
	subject.CommonName = strings.ReplaceAll(subject.CommonName, s.name, name)
	der, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject, DNSNames: leaf.DNSNames}, key)
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), err
}
