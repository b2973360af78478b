package v1

// Kinds and resources of this group.
const (
	CertificateKind        = "Certificate"
	CertificateRequestKind = "CertificateRequest"
	IssuerKind             = "Issuer"
	ClusterIssuerKind      = "ClusterIssuer"

	CertificateRequestResource = "certificaterequests"
)

// Annotations of an issued Secret that say how it came about. Lists are one
// CSV record.
const (
	CommonNameAnnotationKey      = "cert-manager.io/common-name"
	AltNamesAnnotationKey        = "cert-manager.io/alt-names"
	IPSANAnnotationKey           = "cert-manager.io/ip-sans"
	URISANAnnotationKey          = "cert-manager.io/uri-sans"
	EmailsAnnotationKey          = "cert-manager.io/email-sans"
	CertificateNameAnnotationKey = "cert-manager.io/certificate-name"
	IssuerNameAnnotationKey      = "cert-manager.io/issuer-name"
	IssuerKindAnnotationKey      = "cert-manager.io/issuer-kind"
	IssuerGroupAnnotationKey     = "cert-manager.io/issuer-group"

	SubjectOrganizationsAnnotationKey       = "cert-manager.io/subject-organizations"
	SubjectOrganizationalUnitsAnnotationKey = "cert-manager.io/subject-organizationalunits"
	SubjectCountriesAnnotationKey           = "cert-manager.io/subject-countries"
	SubjectProvincesAnnotationKey           = "cert-manager.io/subject-provinces"
	SubjectLocalitiesAnnotationKey          = "cert-manager.io/subject-localities"
	SubjectStreetAddressesAnnotationKey     = "cert-manager.io/subject-streetaddresses"
	SubjectPostalCodesAnnotationKey         = "cert-manager.io/subject-postalcodes"
	SubjectSerialNumberAnnotationKey        = "cert-manager.io/subject-serialnumber"
)

// Annotations of an Ingress, Gateway or ListenerSet that ask for a Certificate.
// The names of the certificate, its subject and its issuer's kind and group
// have the keys above.
const (
	IngressIssuerNameAnnotationKey        = "cert-manager.io/issuer"
	IngressClusterIssuerNameAnnotationKey = "cert-manager.io/cluster-issuer"
	// IngressTLSACMEAnnotationKey asks for a Certificate from the issuer that
	// the controller's options name, if its value is true.
	IngressTLSACMEAnnotationKey = "kubernetes.io/tls-acme"

	DurationAnnotationKey                 = "cert-manager.io/duration"
	RenewBeforeAnnotationKey              = "cert-manager.io/renew-before"
	RenewBeforePercentageAnnotationKey    = "cert-manager.io/renew-before-percentage"
	UsagesAnnotationKey                   = "cert-manager.io/usages"
	RevisionHistoryLimitAnnotationKey     = "cert-manager.io/revision-history-limit"
	PrivateKeyAlgorithmAnnotationKey      = "cert-manager.io/private-key-algorithm"
	PrivateKeyEncodingAnnotationKey       = "cert-manager.io/private-key-encoding"
	PrivateKeySizeAnnotationKey           = "cert-manager.io/private-key-size"
	PrivateKeyRotationPolicyAnnotationKey = "cert-manager.io/private-key-rotation-policy"
	// SecretTemplateAnnotationKey holds a secretTemplate as JSON.
	SecretTemplateAnnotationKey = "cert-manager.io/secret-template"
	// IgnoreTLSListenersAnnotationKey lists the listeners of a Gateway or
	// ListenerSet to leave out, with commas between them.
	IgnoreTLSListenersAnnotationKey = "cert-manager.io/ignore-tls-listeners"
)

// IssueTemporaryCertificateAnnotationKey on a Certificate, with the value true,
// asks for a self-signed certificate to be stored until the real one is there.
const IssueTemporaryCertificateAnnotationKey = "cert-manager.io/issue-temporary-certificate"

// Annotations of a CertificateRequest that a Certificate made.
const (
	// CertificateNameKey names the Certificate.
	CertificateNameKey = CertificateNameAnnotationKey
	// CertificateRequestRevisionAnnotationKey holds the number of the issuance
	// in decimal; the first is 1.
	CertificateRequestRevisionAnnotationKey = "cert-manager.io/certificate-revision"
	// CertificateRequestPrivateKeyAnnotationKey names the Secret that holds the
	// private key of the request, in tls.key. A self-signed issuer needs it.
	CertificateRequestPrivateKeyAnnotationKey = "cert-manager.io/private-key-secret-name"
)

// Annotations for Venafi issuers.
const (
	// VenafiCustomFieldsAnnotationKey holds custom fields as a JSON list.
	VenafiCustomFieldsAnnotationKey = "venafi.cert-manager.io/custom-fields"
	// VenafiPickupIDAnnotationKey holds the server's name of a request that it
	// has accepted.
	VenafiPickupIDAnnotationKey = "venafi.cert-manager.io/pickup-id"
)

// Annotations for the injection of CA certificates.
const (
	// WantInjectAnnotation names a Certificate, as namespace/name.
	WantInjectAnnotation = "cert-manager.io/inject-ca-from"
	// WantInjectFromSecretAnnotation names a Secret, as namespace/name.
	WantInjectFromSecretAnnotation = "cert-manager.io/inject-ca-from-secret"
	// WantInjectAPIServerCAAnnotation asks, with the value true, for the CA of
	// the API server.
	WantInjectAPIServerCAAnnotation = "cert-manager.io/inject-apiserver-ca"
	// AllowsInjectionFromSecretAnnotation on a Secret, with the value true,
	// allows WantInjectFromSecretAnnotation to name it.
	AllowsInjectionFromSecretAnnotation = "cert-manager.io/allow-direct-injection"
)

// Annotations of a CertificateSigningRequest (certificates.k8s.io).
const (
	// CertificateSigningRequestDurationAnnotationKey holds a Go duration.
	CertificateSigningRequestDurationAnnotationKey = "experimental.cert-manager.io/request-duration"
	// CertificateSigningRequestIsCAAnnotationKey asks, with the value true, for
	// a CA.
	CertificateSigningRequestIsCAAnnotationKey = "experimental.cert-manager.io/request-is-ca"
	// CertificateSigningRequestPrivateKeyAnnotationKey names the Secret that
	// holds the private key. A self-signed issuer needs it.
	CertificateSigningRequestPrivateKeyAnnotationKey         = "experimental.cert-manager.io/private-key-secret-name"
	CertificateSigningRequestVenafiCustomFieldsAnnotationKey = "venafi.experimental.cert-manager.io/custom-fields"
	CertificateSigningRequestVenafiPickupIDAnnotationKey     = "venafi.experimental.cert-manager.io/pickup-id"
)

// Labels.
const (
	// PartOfCertManagerControllerLabelKey, with the value true, marks the
	// Secrets that controllers watch whole; others they watch by metadata.
	PartOfCertManagerControllerLabelKey = "controller.cert-manager.io/fao"
	// IsNextPrivateKeySecretLabelKey, with the value true, marks a Secret that
	// holds the private key of an issuance in progress.
	IsNextPrivateKeySecretLabelKey = "cert-manager.io/next-private-key"
	// DisableValidationLabelKey on a namespace, with the value true, keeps the
	// webhook from validating what is in it.
	DisableValidationLabelKey = "cert-manager.io/disable-validation"
)

// AnnotationPrefix begins the annotation keys that are this API's own. A
// secretTemplate may not set them, except AllowsInjectionFromSecretAnnotation.
const AnnotationPrefix = "cert-manager.io/"

// Data keys of an issued Secret beside tls.crt, tls.key and ca.crt.
const (
	CertificateOutputFormatDERKey         = "key.der"
	CertificateOutputFormatCombinedPEMKey = "tls-combined.pem"
	JKSSecretKey                          = "keystore.jks"
	JKSTruststoreKey                      = "truststore.jks"
	PKCS12SecretKey                       = "keystore.p12"
	PKCS12TruststoreKey                   = "truststore.p12"
)

// DefaultJKSAlias is the alias of the key in a Java keystore that names none.
const DefaultJKSAlias = "certificate"
