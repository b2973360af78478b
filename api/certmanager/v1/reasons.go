package v1

// CertificateReasonReady is the reason of a Certificate's condition Ready if it
// is True.
const CertificateReasonReady = "Ready"

// Reasons of a Certificate's conditions: of Issuing while it is True, for why
// it is being issued, and of Ready while it is False, for why it is not ready.
const (
	CertificateReasonDoesNotExist              = "DoesNotExist"
	CertificateReasonMissingData               = "MissingData"
	CertificateReasonInvalidKeyPair            = "InvalidKeyPair"
	CertificateReasonInvalidCertificate        = "InvalidCertificate"
	CertificateReasonInvalidCertificateRequest = "InvalidCertificateRequest"
	CertificateReasonIncorrectIssuer           = "IncorrectIssuer"
	CertificateReasonIncorrectCertificate      = "IncorrectCertificate"
	CertificateReasonSecretMismatch            = "SecretMismatch"
	CertificateReasonRequestChanged            = "RequestChanged"
	// CertificateReasonRenewing is only for Issuing.
	CertificateReasonRenewing = "Renewing"
	// CertificateReasonManuallyTriggered is only for Issuing: a user asked for it.
	CertificateReasonManuallyTriggered = "ManuallyTriggered"
	// CertificateReasonExpired is only for Ready.
	CertificateReasonExpired = "Expired"
	// CertificateReasonWindowError is only for Ready, and for an event: the certificate
	// is valid, and the spec does not say when to renew it.
	CertificateReasonWindowError = "WindowError"
)

// Reasons of a CertificateRequest's conditions.
const (
	CertificateRequestReasonPending = "Pending"
	CertificateRequestReasonFailed  = "Failed"
	CertificateRequestReasonIssued  = "Issued"
	CertificateRequestReasonDenied  = "Denied"
	// CertificateRequestReasonApproved is the reason of Approved, and of the
	// event about it, when the built-in approver set it.
	CertificateRequestReasonApproved = "cert-manager.io"
)

// Reasons of an issuer's condition Ready. Those of failures are also reasons
// of Warning events.
const (
	IssuerReasonACMEAccountRegistered = "ACMEAccountRegistered"
	IssuerReasonInvalidConfig         = "InvalidConfig"
	IssuerReasonInvalidSolver         = "InvalidSolver"
	IssuerReasonErrRegisterAccount    = "ErrRegisterACMEAccount"
	IssuerReasonErrVerifyAccount      = "ErrVerifyACMEAccount"
	IssuerReasonErrUpdateAccount      = "ErrUpdateACMEAccount"

	IssuerReasonKeyPairVerified   = "KeyPairVerified"
	IssuerReasonErrGetKeyPair     = "ErrGetKeyPair"
	IssuerReasonErrInvalidKeyPair = "ErrInvalidKeyPair"

	IssuerReasonSelfSignedReady = "IsReady"

	IssuerReasonAuthFailed = "AuthFailed"
	IssuerReasonErrorSetup = "ErrorSetup"

	IssuerReasonVaultVerified = "VaultVerified"
	IssuerReasonVaultError    = "VaultError"
)

// Reasons of events on issuers, beside those of their conditions.
const (
	EventReasonErrInitIssuer = "ErrInitIssuer"
)

// Reasons of events on Certificates.
const (
	EventReasonIssuing             = "Issuing"
	EventReasonDecodeFailed        = "DecodeFailed"
	EventReasonCannotRegenerateKey = "CannotRegenerateKey"
	EventReasonGenerated           = "Generated"
	EventReasonReused              = "Reused"
	EventReasonDeleted             = "Deleted"
	EventReasonRequested           = "Requested"
	EventReasonRequestFailed       = "RequestFailed"
	// EventReasonARIError is for the CA's advice on renewals (RFC 9773).
	EventReasonARIError = "ARIError"
)

// Reasons of events on CertificateRequests that concern all types of issuers.
const (
	EventReasonCertificateIssued = "CertificateIssued"
	EventReasonIssuerNotFound    = "IssuerNotFound"
	EventReasonIssuerTypeMissing = "IssuerTypeMissing"
	EventReasonIssuerNotReady    = "IssuerNotReady"
)

// Reasons of events on CertificateRequests to ACME issuers.
const (
	EventReasonRequestParsingError = "RequestParsingError"
	EventReasonInvalidOrder        = "InvalidOrder"
	EventReasonOrderPending        = "OrderPending"
	EventReasonOrderFailed         = "OrderFailed"
)

// Reasons of events on CertificateRequests to issuers that sign with a key in a
// Secret, or that need one to log in.
const (
	EventReasonSecretMissing     = "SecretMissing"
	EventReasonSecretInvalidData = "SecretInvalidData"
	EventReasonSecretGetError    = "SecretGetError"
	EventReasonSigningError      = "SigningError"
)

// Reasons of events on CertificateRequests to self-signed issuers.
const (
	EventReasonMissingAnnotation  = "MissingAnnotation"
	EventReasonMissingSecret      = "MissingSecret"
	EventReasonErrorGettingSecret = "ErrorGettingSecret"
	EventReasonErrorParsingKey    = "ErrorParsingKey"
	EventReasonErrorGenerating    = "ErrorGenerating"
	EventReasonErrorKeyMatch      = "ErrorKeyMatch"
	EventReasonErrorSigning       = "ErrorSigning"
	EventReasonBadConfig          = "BadConfig"
)

// Reasons of events on CertificateRequests to Vault and Venafi issuers.
const (
	EventReasonIssuancePending = "IssuancePending"
	EventReasonVaultInitError  = "VaultInitError"
)

// Reasons of events on CertificateRequests to Venafi issuers.
const (
	EventReasonVenafiInitError   = "VenafiInitError"
	EventReasonCustomFieldsError = "CustomFieldsError"
	EventReasonRequestError      = "RequestError"
	EventReasonRetrieveError     = "RetrieveError"
	EventReasonParseError        = "ParseError"
)
