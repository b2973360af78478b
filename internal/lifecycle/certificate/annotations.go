package certificate

import (
	"bytes"
	"encoding/csv"
	"strings"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

// secretAnnotations describes a certificate in the annotations of the Secret
// that holds it: the four annotations that are always there, empty if there is
// nothing to say, and those that appear with a value. Lists are one CSV record
// (RFC 4180).
func secretAnnotations(leaf pki.LeafFacts) map[string]string {
	annotations := map[string]string{
		cmv1.CommonNameAnnotationKey: leaf.CommonName,
		cmv1.AltNamesAnnotationKey:   csvRecord(leaf.DNSNames),
		cmv1.IPSANAnnotationKey:      csvRecord(leaf.IPAddresses),
		cmv1.URISANAnnotationKey:     csvRecord(leaf.URIs),
	}
	for _, optional := range []struct{ name, value string }{
		{cmv1.EmailsAnnotationKey, csvRecord(leaf.EmailAddresses)},
		{cmv1.SubjectOrganizationsAnnotationKey, csvRecord(leaf.Subject.Organizations)},
		{cmv1.SubjectOrganizationalUnitsAnnotationKey, csvRecord(leaf.Subject.OrganizationalUnits)},
		{cmv1.SubjectCountriesAnnotationKey, csvRecord(leaf.Subject.Countries)},
		{cmv1.SubjectProvincesAnnotationKey, csvRecord(leaf.Subject.Provinces)},
		{cmv1.SubjectLocalitiesAnnotationKey, csvRecord(leaf.Subject.Localities)},
		{cmv1.SubjectStreetAddressesAnnotationKey, csvRecord(leaf.Subject.StreetAddresses)},
		{cmv1.SubjectPostalCodesAnnotationKey, csvRecord(leaf.Subject.PostalCodes)},
		{cmv1.SubjectSerialNumberAnnotationKey, leaf.Subject.SerialNumber},
	} {
		if optional.value != "" {
			annotations[optional.name] = optional.value
		}
	}
	return annotations
}

// csvRecord is one line of CSV without its end.
func csvRecord(values []string) string {
	if len(values) == 0 {
		return ""
	}
	joined := strings.Join(values, ",")
	special := strings.ContainsFunc(joined, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
	if !special && strings.Count(joined, ",") == len(values)-1 {
		// A csv.Writer has a buffer of 4 KiB, and few values need its quotes.
		return joined
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	// A bytes.Buffer takes every write.
	_ = w.Write(values)
	w.Flush()
	return strings.TrimSuffix(out.String(), "\n")
}
