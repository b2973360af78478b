package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/go-logr/logr"
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

// configure has a server verify its clients, by the CAs that the file has when a
// client connects.
func (c *Clients) configure(config *tls.Config, log logr.Logger) error {
	if !c.Verify {
		return nil
	}
	known, err := newClientCAs(c, log)
	if err != nil {
		return err
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	// A session that is resumed would not show its certificate again.
	config.SessionTicketsDisabled = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the client has shown no certificate")
		}
		return c.authorize(state.PeerCertificates[0])
	}
	// net/http adds its protocols to the configuration that it serves with, and not to
	// those that it gets for a client.
	config.NextProtos = []string{"h2", "http/1.1"}
	common := config.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		own := common.Clone()
		own.ClientCAs = known.current()
		return own, nil
	}
	return nil
}

// clientCAs are the CAs of the clients, as their file had them when it could be read
// last.
type clientCAs struct {
	clients *Clients
	log     logr.Logger

	mu   sync.Mutex
	pool *x509.CertPool
	// read says which file pool is from, and problem is why a newer one is not used.
	read    os.FileInfo
	problem string
}

func newClientCAs(clients *Clients, log logr.Logger) (*clientCAs, error) {
	c := &clientCAs{clients: clients, log: log}
	return c, c.refresh()
}

// current returns the CAs, read again if their file has changed. If that fails, they
// stay as they are, and the log says so once for each cause.
func (c *clientCAs) current() *x509.CertPool {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.refresh()
	switch {
	case err == nil:
		c.problem = ""
	case c.problem != err.Error():
		c.problem = err.Error()
		c.log.Error(err, "Read the CAs of the clients again: failed; those of before are used until the file can be read", "path", c.clients.CAPath)
	}
	return c.pool
}

// refresh reads the file, if it is not the one that was read.
func (c *clientCAs) refresh() error {
	// Before the file is read: if it changes in between, it is read once more.
	now, err := os.Stat(c.clients.CAPath)
	if err != nil {
		return err
	}
	if was := c.read; was != nil && os.SameFile(was, now) && was.ModTime().Equal(now.ModTime()) && was.Size() == now.Size() {
		return nil
	}
	pool, err := c.clients.pool()
	if err != nil {
		return err
	}
	if c.read != nil {
		c.log.Info("The CAs of the clients have changed", "path", c.clients.CAPath)
	}
	c.pool, c.read = pool, now
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
