package shim

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

const (
	longestCommonName = 64
	shortestDuration  = time.Hour
	shortestRenewal   = 5 * time.Minute
	smallestRSA       = 2048
	largestRSA        = 8192
)

// setting is an annotation that sets a field of a Certificate.
type setting struct {
	key string
	// set sets the field.
	set func(spec *cmv1.CertificateSpec, value string) error
}

// settings are in the order in which they are read: what a size means depends on the algorithm.
var settings = []setting{
	{cmv1.CommonNameAnnotationKey, setCommonName},
	{cmv1.AltNamesAnnotationKey, addNames},
	{cmv1.IPSANAnnotationKey, addAddresses},
	{cmv1.EmailsAnnotationKey, setEmails},
	subjectList(cmv1.SubjectOrganizationsAnnotationKey, func(s *cmv1.X509Subject) *[]string { return &s.Organizations }),
	subjectList(cmv1.SubjectOrganizationalUnitsAnnotationKey, func(s *cmv1.X509Subject) *[]string { return &s.OrganizationalUnits }),
	subjectList(cmv1.SubjectCountriesAnnotationKey, func(s *cmv1.X509Subject) *[]string { return &s.Countries }),
	subjectList(cmv1.SubjectProvincesAnnotationKey, func(s *cmv1.X509Subject) *[]string { return &s.Provinces }),
	subjectList(cmv1.SubjectLocalitiesAnnotationKey, func(s *cmv1.X509Subject) *[]string { return &s.Localities }),
	subjectList(cmv1.SubjectPostalCodesAnnotationKey, func(s *cmv1.X509Subject) *[]string { return &s.PostalCodes }),
	subjectList(cmv1.SubjectStreetAddressesAnnotationKey, func(s *cmv1.X509Subject) *[]string { return &s.StreetAddresses }),
	{cmv1.SubjectSerialNumberAnnotationKey, func(spec *cmv1.CertificateSpec, value string) error {
		if value != "" {
			subject(spec).SerialNumber = value
		}
		return nil
	}},
	{cmv1.DurationAnnotationKey, func(spec *cmv1.CertificateSpec, value string) (err error) {
		spec.Duration, err = duration(value, "duration", shortestDuration)
		return err
	}},
	{cmv1.RenewBeforeAnnotationKey, func(spec *cmv1.CertificateSpec, value string) (err error) {
		spec.RenewBefore, err = duration(value, "renewBefore", shortestRenewal)
		return err
	}},
	{cmv1.RenewBeforePercentageAnnotationKey, func(spec *cmv1.CertificateSpec, value string) (err error) {
		spec.RenewBeforePercentage, err = number(value)
		return err
	}},
	{cmv1.UsagesAnnotationKey, setUsages},
	{cmv1.RevisionHistoryLimitAnnotationKey, setHistory},
	{cmv1.PrivateKeyAlgorithmAnnotationKey, func(spec *cmv1.CertificateSpec, value string) error {
		algorithm := cmv1.PrivateKeyAlgorithm(value)
		if !slices.Contains([]cmv1.PrivateKeyAlgorithm{cmv1.RSAKeyAlgorithm, cmv1.ECDSAKeyAlgorithm, cmv1.Ed25519KeyAlgorithm}, algorithm) {
			return fmt.Errorf("invalid private key algorithm %q", value)
		}
		privateKey(spec).Algorithm = algorithm
		return nil
	}},
	{cmv1.PrivateKeyEncodingAnnotationKey, func(spec *cmv1.CertificateSpec, value string) error {
		encoding := cmv1.PrivateKeyEncoding(value)
		if encoding != cmv1.PKCS1 && encoding != cmv1.PKCS8 {
			return fmt.Errorf("invalid private key encoding %q", value)
		}
		privateKey(spec).Encoding = encoding
		return nil
	}},
	{cmv1.PrivateKeySizeAnnotationKey, setKeySize},
	{cmv1.PrivateKeyRotationPolicyAnnotationKey, func(spec *cmv1.CertificateSpec, value string) error {
		policy := cmv1.PrivateKeyRotationPolicy(value)
		if policy != cmv1.RotationPolicyNever && policy != cmv1.RotationPolicyAlways {
			return fmt.Errorf("invalid private key rotation policy %q", value)
		}
		privateKey(spec).RotationPolicy = policy
		return nil
	}},
	{cmv1.SecretTemplateAnnotationKey, setSecretTemplate},
}

// apply sets the fields of a Certificate that annotations set. The errors are those
// of all annotations that are wrong.
func apply(spec *cmv1.CertificateSpec, annotations map[string]string) []string {
	var errs []string
	for _, s := range settings {
		value, ok := annotations[s.key]
		if !ok {
			continue
		}
		if err := s.set(spec, value); err != nil {
			errs = append(errs, fmt.Sprintf("invalid ingress annotation %q: %v", s.key, err))
		}
	}
	return errs
}

func setCommonName(spec *cmv1.CertificateSpec, value string) error {
	if len(value) > longestCommonName {
		return fmt.Errorf("common name may not be more than %d bytes", longestCommonName)
	}
	spec.CommonName = value
	return nil
}

// addNames trims the names, which cert-manager does not: a name with a space is refused.
func addNames(spec *cmv1.CertificateSpec, value string) error {
	for _, name := range list(value) {
		if name != "" && !slices.Contains(spec.DNSNames, name) {
			spec.DNSNames = append(spec.DNSNames, name)
		}
	}
	return nil
}

func addAddresses(spec *cmv1.CertificateSpec, value string) error {
	for _, address := range list(value) {
		if !isAddress(address) {
			return fmt.Errorf("%q is not a valid IP address", address)
		}
		if !slices.Contains(spec.IPAddresses, address) {
			spec.IPAddresses = append(spec.IPAddresses, address)
		}
	}
	return nil
}

func setEmails(spec *cmv1.CertificateSpec, value string) error {
	emails := list(value)
	for _, text := range emails {
		address, err := mail.ParseAddress(text)
		if err != nil {
			return fmt.Errorf("%q is not a valid email address", text)
		}
		if address.Address != text {
			return fmt.Errorf("%q must only contain the email address itself", text)
		}
	}
	spec.EmailAddresses = emails
	return nil
}

// subjectList is the setting of a list in the subject, which is one record in CSV.
func subjectList(key string, of func(*cmv1.X509Subject) *[]string) setting {
	return setting{key, func(spec *cmv1.CertificateSpec, value string) error {
		record, err := csv.NewReader(strings.NewReader(value)).Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		*of(subject(spec)) = record
		return nil
	}}
}

func subject(spec *cmv1.CertificateSpec) *cmv1.X509Subject {
	if spec.Subject == nil {
		spec.Subject = &cmv1.X509Subject{}
	}
	return spec.Subject
}

func duration(value, field string, least time.Duration) (*metav1.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil {
		return nil, fmt.Errorf("%w; write it in hours, minutes and seconds, such as 2160h", err)
	}
	if d < least {
		return nil, fmt.Errorf("%s must be greater than or equal to %s", field, least)
	}
	return &metav1.Duration{Duration: d}, nil
}

func number(value string) (*int32, error) {
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("%w; it must be a whole number", err)
	}
	return ptr.To(int32(n)), nil
}

func setUsages(spec *cmv1.CertificateSpec, value string) error {
	var usages []cmv1.KeyUsage
	for _, name := range list(value) {
		if !slices.Contains(usagesKnown, cmv1.KeyUsage(name)) {
			return fmt.Errorf("invalid key usage name %q", name)
		}
		usages = append(usages, cmv1.KeyUsage(name))
	}
	spec.Usages = usages
	return nil
}

// usagesKnown are all key usages of the API.
var usagesKnown = []cmv1.KeyUsage{
	cmv1.UsageSigning, cmv1.UsageDigitalSignature, cmv1.UsageContentCommitment, cmv1.UsageKeyEncipherment, cmv1.UsageKeyAgreement,
	cmv1.UsageDataEncipherment, cmv1.UsageCertSign, cmv1.UsageCRLSign, cmv1.UsageEncipherOnly, cmv1.UsageDecipherOnly,
	cmv1.UsageAny, cmv1.UsageServerAuth, cmv1.UsageClientAuth, cmv1.UsageCodeSigning, cmv1.UsageEmailProtection, cmv1.UsageSMIME,
	cmv1.UsageIPsecEndSystem, cmv1.UsageIPsecTunnel, cmv1.UsageIPsecUser, cmv1.UsageTimestamping, cmv1.UsageOCSPSigning,
	cmv1.UsageMicrosoftSGC, cmv1.UsageNetscapeSGC,
}

func setHistory(spec *cmv1.CertificateSpec, value string) error {
	limit, err := number(value)
	if err != nil {
		return err
	}
	if *limit < 1 {
		return fmt.Errorf("revision history limit must be a positive number %q", value)
	}
	spec.RevisionHistoryLimit = limit
	return nil
}

func setKeySize(spec *cmv1.CertificateSpec, value string) error {
	size, err := strconv.Atoi(value)
	if err != nil {
		return fmt.Errorf("%w; it must be a whole number, in bits", err)
	}
	key := privateKey(spec)
	switch key.Algorithm {
	case cmv1.Ed25519KeyAlgorithm:
	case cmv1.ECDSAKeyAlgorithm:
		if !slices.Contains([]int{256, 384, 521}, size) {
			return fmt.Errorf("invalid private key size for ECDSA algorithm %q", value)
		}
	default:
		if size < smallestRSA || size > largestRSA {
			return fmt.Errorf("invalid private key size for RSA algorithm %q", value)
		}
	}
	key.Size = size
	return nil
}

func privateKey(spec *cmv1.CertificateSpec) *cmv1.CertificatePrivateKey {
	if spec.PrivateKey == nil {
		spec.PrivateKey = &cmv1.CertificatePrivateKey{}
	}
	return spec.PrivateKey
}

func setSecretTemplate(spec *cmv1.CertificateSpec, value string) error {
	var template cmv1.CertificateSecretTemplate
	decoder := json.NewDecoder(bytes.NewReader([]byte(value)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&template); err != nil {
		return fmt.Errorf("error parsing secret template JSON: %w", err)
	}
	for _, key := range sortedKeys(template.Annotations) {
		if strings.HasPrefix(key, cmv1.AnnotationPrefix) {
			return fmt.Errorf("secretTemplate must not have %s annotations: %q", cmv1.AnnotationPrefix, key)
		}
	}
	if len(template.Annotations) > 0 || len(template.Labels) > 0 {
		spec.SecretTemplate = &template
	}
	return nil
}

// list splits a list with commas between its items, which are trimmed. An empty
// value is an empty list.
func list(value string) []string {
	if strings.TrimSpace(value) == "" {
		return nil
	}
	items := strings.Split(value, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

// isAddress reports whether a name is an IP address.
func isAddress(name string) bool {
	address, err := netip.ParseAddr(name)
	return err == nil && address.Zone() == ""
}
