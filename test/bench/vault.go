package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hashicorp/vault/api"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/test/vault"
)

// signPath is where Vault signs.
const signPath = "pki/sign/web"

// measureVault measures the Vault issuer with AppRole, and then, at the same Vault and on
// the same control plane, the floor: clients that have it sign, and write the objects.
func measureVault(ctx context.Context, s settings) ([]*result, error) {
	if !s.wants(nameVault) {
		return nil, nil
	}
	server, err := vault.Run(ctx, vault.Options{Binary: filepath.Join(s.binDir, "vault"), Delay: s.vaultDelay})
	if errors.Is(err, vault.ErrNoBinary) {
		return []*result{{name: nameVault, skipped: err.Error()}}, nil
	}
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	p, err := startPlane(ctx, s, nameVault)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	r, err := p.measureSigned(ctx, server)
	if err != nil {
		return nil, err
	}
	least, err := p.vaultFloor(ctx, server)
	return []*result{r, least}, err
}

// appRole makes what signs, and a role that may have it sign.
func appRole(ctx context.Context, server *vault.Server) (role, secret string, err error) {
	_, err = server.Root(ctx, "pki")
	if err == nil {
		err = server.Role(ctx, "pki", "web", nil)
	}
	if err == nil {
		err = server.Policy(ctx, "web", signPath)
	}
	if err == nil {
		err = server.Method(ctx, "approle", "approle")
	}
	if err != nil {
		return "", "", err
	}
	return server.AppRole(ctx, "approle", "web", nil, "web")
}

func (p *plane) measureSigned(ctx context.Context, server *vault.Server) (*result, error) {
	role, secret, err := appRole(ctx, server)
	if err != nil {
		return nil, err
	}
	if err := p.clusterSecret(ctx, "approle", map[string]string{"secret-id": secret}); err != nil {
		return nil, err
	}
	err = p.issuer(ctx, cmv1.IssuerConfig{Vault: &cmv1.VaultIssuer{
		Server: server.URL, Path: signPath, CABundle: server.Authority.PEM,
		Auth: cmv1.VaultAuth{AppRole: &cmv1.VaultAppRole{
			Path: "approle", RoleId: role,
			SecretRef: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "approle"}, Key: "secret-id"},
		}},
	}})
	if err != nil {
		return nil, err
	}
	c, err := p.startControllers(ctx)
	if err != nil {
		return nil, err
	}
	defer c.stop()
	r, err := p.measure(ctx, c, p.settings.vault)
	if err != nil {
		return nil, err
	}
	// The certificates before and after those that are measured are asked for too. The
	// log-in, the issuer's checks and anything else count for the measured ones.
	r.asked = len(server.Requests(func(q vault.Request) bool { return !q.Administrator() })) - workers - 1
	return r, nil
}

// vaultFloor has certificates signed by as many clients as there are workers, each with a
// connection and a token of its own: once by clients that do nothing else, for a note, and
// then as the floor, in which each one's objects are written too.
func (p *plane) vaultFloor(ctx context.Context, server *vault.Server) (*result, error) {
	n := p.settings.vault
	clients := make(chan *api.Client, workers)
	for range workers {
		token, err := server.Token(ctx, nil, "web")
		if err != nil {
			return nil, err
		}
		client, err := server.NewClient(token)
		if err != nil {
			return nil, err
		}
		clients <- client
	}
	requests := make([]string, n)
	for i := range requests {
		var err error
		if requests[i], err = signingRequest(number("floor", i) + "." + zone); err != nil {
			return nil, err
		}
	}
	sign := func(ctx context.Context, i int) error {
		client := <-clients
		defer func() { clients <- client }()
		answer, err := client.Logical().WriteWithContext(ctx, signPath, map[string]any{
			"alt_names": number("floor", i) + "." + zone, "csr": requests[i], "ttl": "2160h0m0s", "exclude_cn_from_sans": "true",
		})
		if err == nil && answer.Data["certificate"] == nil {
			err = errors.New("vault has signed nothing")
		}
		return err
	}
	// Connections are open before it begins.
	if err := each(ctx, min(workers, n), sign); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := each(ctx, n, sign); err != nil {
		return nil, err
	}
	alone := float64(n) / time.Since(began).Seconds()
	r, err := p.floor(ctx, number("crt", 0), n, sign)
	if err != nil {
		return nil, err
	}
	r.name = nameVaultFloor
	r.note = fmt.Sprintf("clients that have Vault sign and write nothing reach %.0f per second, which no API server stores", alone)
	return r, nil
}

func signingRequest(name string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}
