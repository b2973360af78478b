package main

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// rootsModule is the Go module with the CA roots, for the SBOM.
const rootsModule = "golang.org/x/crypto/x509roots/fallback"

// roots returns Mozilla's CA roots for servers in PEM, each below a line with its name.
// A root that Mozilla trusts on a condition, such as for certificates issued before a
// date, is left out: PEM files cannot have conditions.
func roots() ([]byte, error) {
	var all bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		certificate, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			return nil, fmt.Errorf("CA roots: %w", err)
		}
		name := certificate.Subject
		fmt.Fprintf(&all, "# %s\n", cmp.Or(name.CommonName, strings.Join(name.OrganizationalUnit, ", "), strings.Join(name.Organization, ", ")))
		if err := pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	return all.Bytes(), nil
}
