package acme

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// certificate returns the PEM of a certificate with a subject and an issuer.
func certificate(t testing.TB, subject, issuer string) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: subject}, NotBefore: epoch, NotAfter: epoch.AddDate(0, 0, 90),
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: issuer}}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, testKey.Public(), testKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestParseChain(t *testing.T) {
	leaf, intermediate := certificate(t, "leaf", "intermediate"), certificate(t, "intermediate", "root")
	both := slices.Concat(leaf, intermediate)
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte(canary)})
	junk := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(canary)})
	for name, test := range map[string]struct {
		data  []byte
		wrong string
	}{
		"chain":          {data: both},
		"CRLF and space": {data: bytes.ReplaceAll(slices.Concat(leaf, []byte("\n\n"), intermediate, []byte(" \n")), []byte("\n"), []byte("\r\n"))},
		"empty":          {wrong: "sent an empty certificate chain"},
		"text":           {data: append([]byte("subject=leaf\n"), both...), wrong: "sent something else than a PEM certificate chain"},
		"text at end":    {data: append(slices.Clone(both), "that is all"...), wrong: "sent something else than a PEM certificate chain"},
		"private key":    {data: append(slices.Clone(both), key...), wrong: "sent something else than a PEM certificate chain"},
		"skipped": {
			data:  slices.Concat([]byte("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"), both),
			wrong: "sent something else than a PEM certificate chain",
		},
		"skipped key": {
			data:  slices.Concat([]byte("-----BEGIN CERTIFICATE-----\n!\n"), key),
			wrong: "sent something else than a PEM certificate chain",
		},
		"truncated": {data: both[:len(both)-10], wrong: "sent something else than a PEM certificate chain"},
		"not X.509": {data: append(slices.Clone(leaf), junk...), wrong: "sent a certificate that cannot be read"},
		"too many":  {data: bytes.Repeat(leaf, maxChain+1), wrong: "sent a chain of more than 10 certificates"},
		"too long":  {data: bytes.Repeat([]byte(" "), maxChainPEM+1), wrong: "sent a certificate chain of more than 512 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			chain, wrong := parseChain(test.data)
			if wrong != test.wrong {
				t.Fatalf("%q, want %q", wrong, test.wrong)
			}
			if wrong == "" && (len(chain.Certificates) != 2 || !bytes.Equal(chain.PEM, both)) {
				t.Errorf("%d certificates, PEM:\n%s", len(chain.Certificates), chain.PEM)
			}
			if wrong != "" && chain.Certificates != nil {
				t.Error("a chain comes with the error")
			}
		})
	}
}

func TestPreferredChain(t *testing.T) {
	leaf, other := certificate(t, "leaf", "intermediate"), certificate(t, "other leaf", "intermediate")
	roots := []string{"Default", "First", "Foreign", "Second"}
	s := newServer(t)
	for i, root := range roots {
		start := leaf
		if root == "Foreign" {
			start = other
		}
		body := slices.Concat(start, certificate(t, "intermediate", root))
		path := fmt.Sprintf("/cert/%d", i)
		s.handle(path, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept") != "application/pem-certificate-chain" {
				t.Errorf("Accept: %q", r.Header.Get("Accept"))
			}
			w.Header().Set("Replay-Nonce", s.nonce())
			w.Header().Add("Link", `</dir>;rel="index"`)
			for j := range roots {
				if j != i {
					w.Header().Add("Link", fmt.Sprintf(`</cert/%d>;rel="alternate"`, j))
				}
			}
			w.Header().Set("Content-Type", "application/pem-certificate-chain")
			_, _ = w.Write(body)
		})
	}
	s.handle("/broken", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Replay-Nonce", s.nonce())
		w.Header().Add("Link", `</missing>;rel="alternate"`)
		_, _ = w.Write(leaf)
	})
	s.handle("/missing", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	c := s.client()
	for preferred, want := range map[string]struct {
		root     string
		requests int
	}{
		"": {"Default", 1}, "Default": {"Default", 1}, "First": {"First", 2}, "Second": {"Second", 4}, "Foreign": {"Default", 4},
		"intermediate": {"Default", 4}, "default": {"Default", 4},
	} {
		before := len(s.posts)
		chain, err := c.PreferredChain(t.Context(), s.URL+"/cert/0", preferred)
		if err != nil {
			t.Fatal(err)
		}
		if got := chain.Certificates[1].Issuer.CommonName; got != want.root || len(s.posts)-before != want.requests {
			t.Errorf("%q: topped by %q after %d requests, want %+v", preferred, got, len(s.posts)-before, want)
		}
	}
	if _, err := c.PreferredChain(t.Context(), s.URL+"/broken", "X"); err == nil || err.Error() != "503 Service Unavailable" {
		t.Errorf("an alternate that fails: %v", err)
	}
	chain, err := c.Certificate(t.Context(), s.URL+"/cert/1")
	if diff := cmp.Diff([]string{s.URL + "/cert/0", s.URL + "/cert/2", s.URL + "/cert/3"}, chain.Alternates); diff != "" || err != nil {
		t.Errorf("alternates: %v (-want +got):\n%s", err, diff)
	}
}

func TestCertificateErrors(t *testing.T) {
	s := newServer(t)
	s.handle("/cert", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>" + canary)) })
	_, err := s.client().Certificate(t.Context(), s.URL+"/cert")
	if err == nil || strings.Contains(err.Error(), canary) || !strings.HasSuffix(err.Error(), "sent something else than a PEM certificate chain") {
		t.Error(err)
	}
}

func FuzzParseChain(f *testing.F) {
	f.Add(slices.Concat(certificate(f, "leaf", "intermediate"), certificate(f, "intermediate", "root")))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		chain, wrong := parseChain(data)
		if wrong != "" {
			return
		}
		again, wrong := parseChain(chain.PEM)
		if wrong != "" || !bytes.Equal(again.PEM, chain.PEM) || len(again.Certificates) != len(chain.Certificates) {
			t.Errorf("what was written is read differently: %s", wrong)
		}
	})
}
