package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
)

// pool has the CAs of the clients; nil if any client may connect.
func (c *Clients) pool() (*x509.CertPool, error) {
	if !c.Verify {
		return nil, nil
	}
	data, err := os.ReadFile(c.CAPath)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s has no certificate in PEM", c.CAPath)
	}
	return pool, nil
}

// configure has a server verify its clients.
func (c *Clients) configure(config *tls.Config) error {
	pool, err := c.pool()
	if err != nil || pool == nil {
		return err
	}
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, pool
	// A session that is resumed would not show its certificate again.
	config.SessionTicketsDisabled = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the client has shown no certificate")
		}
		return c.authorize(state.PeerCertificates[0])
	}
	return nil
}

// authorize checks the name in a client's certificate.
func (c *Clients) authorize(cert *x509.Certificate) error {
	if len(c.Subjects) == 0 || slices.Contains(c.Subjects, cert.Subject.CommonName) {
		return nil
	}
	if slices.ContainsFunc(cert.DNSNames, func(name string) bool { return slices.Contains(c.Subjects, name) }) {
		return nil
	}
	return fmt.Errorf("unauthorized client certificate: CN=%s DNS=%v", cert.Subject.CommonName, cert.DNSNames)
}
