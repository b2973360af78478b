package inspection

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Print prints a page as text, with the blanks and tabs of cert-manager's command-line tool.
func Print(out io.Writer, p Page) error {
	sections := []struct {
		title string
		// lines are beginnings and values.
		lines [][2]string
	}{
		{"Valid for", [][2]string{
			{"DNS Names: ", list(p.ValidFor.DNSNames)},
			{"URIs: ", list(p.ValidFor.URIs)},
			{"IP Addresses: ", list(p.ValidFor.IPAddresses)},
			{"Email Addresses: ", list(p.ValidFor.EmailAddresses)},
			{"Usages: ", list(p.ValidFor.Usages)},
		}},
		{"Validity period", [][2]string{{"Not Before: ", p.ValidityPeriod.NotBefore.Format(time.RFC1123)}, {"Not After: ", p.ValidityPeriod.NotAfter.Format(time.RFC1123)}}},
		{"Issued By", partyLines(p.IssuedBy)},
		{"Issued For", partyLines(p.IssuedFor)},
		{"Certificate", [][2]string{
			{"Signing Algorithm:\t", p.Certificate.SigningAlgorithm},
			{"Public Key Algorithm:\t", p.Certificate.PublicKeyAlgorithm},
			{"Serial Number:\t", p.Certificate.SerialNumber},
			{"Fingerprints:\t", p.Certificate.Fingerprint},
			{"Is a CA certificate: ", fmt.Sprint(p.Certificate.IsCA)},
			{"CRL:\t", inline(p.Certificate.CRL)},
			{"OCSP:\t", inline(p.Certificate.OCSP)},
		}},
		{"Debugging", [][2]string{{"Trusted by this computer:\t", p.Debugging.Trusted}, {"CRL Status:\t", p.Debugging.CRL}, {"OCSP Status:\t", p.Debugging.OCSP}}},
	}
	var b strings.Builder
	for i, section := range sections {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s:\n", section.title)
		for _, line := range section.lines {
			fmt.Fprintf(&b, "\t%s%s\n", line[0], line[1])
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func partyLines(p Party) [][2]string {
	return [][2]string{
		{"Common Name: ", orNone(p.CommonName)},
		{"Organization: ", inline(p.Organization)},
		{"OrganizationalUnit: ", inline(p.OrganizationalUnit)},
		{"Country: ", inline(p.Country)},
	}
}

func orNone(text string) string {
	if text == "" {
		return "<none>"
	}
	return text
}

// list has one line for each value.
func list(values []string) string {
	if len(values) == 0 {
		return "<none>"
	}
	return "\n\t\t- " + strings.Join(values, "\n\t\t- ")
}

// inline is list, with a single value on the line of its name.
func inline(values []string) string {
	if len(values) == 1 {
		return orNone(values[0])
	}
	return list(values)
}
