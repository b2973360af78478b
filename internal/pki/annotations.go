package pki

import (
	"bytes"
	"encoding/csv"
	"strings"
)

const annotationPrefix = "cert-manager.io/"

// SecretAnnotations describes a certificate in the annotations of the Secret
// that holds it: the four annotations that are always there, empty if there is
// nothing to say, and those that appear with a value. Lists are one CSV record
// (RFC 4180).
func SecretAnnotations(leaf LeafFacts) map[string]string {
	annotations := map[string]string{
		annotationPrefix + "common-name": leaf.CommonName,
		annotationPrefix + "alt-names":   csvRecord(leaf.DNSNames),
		annotationPrefix + "ip-sans":     csvRecord(leaf.IPAddresses),
		annotationPrefix + "uri-sans":    csvRecord(leaf.URIs),
	}
	for _, optional := range []struct{ name, value string }{
		{"email-sans", csvRecord(leaf.EmailAddresses)},
		{"subject-organizations", csvRecord(leaf.Subject.Organizations)},
		{"subject-organizationalunits", csvRecord(leaf.Subject.OrganizationalUnits)},
		{"subject-countries", csvRecord(leaf.Subject.Countries)},
		{"subject-provinces", csvRecord(leaf.Subject.Provinces)},
		{"subject-localities", csvRecord(leaf.Subject.Localities)},
		{"subject-streetaddresses", csvRecord(leaf.Subject.StreetAddresses)},
		{"subject-postalcodes", csvRecord(leaf.Subject.PostalCodes)},
		{"subject-serialnumber", leaf.Subject.SerialNumber},
	} {
		if optional.value != "" {
			annotations[annotationPrefix+optional.name] = optional.value
		}
	}
	return annotations
}

// csvRecord is one line of CSV without its end.
func csvRecord(values []string) string {
	if len(values) == 0 {
		return ""
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	// A bytes.Buffer takes every write.
	_ = w.Write(values)
	w.Flush()
	return strings.TrimSuffix(out.String(), "\n")
}
