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
	// CertificateReasonManuallyTriggered is only for Issuing, when a user asked
	// for it.
	CertificateReasonManuallyTriggered = "ManuallyTriggered"
	// CertificateReasonExpired is only for Ready.
	CertificateReasonExpired = "Expired"
	// CertificateReasonWindowError is only for Ready: the time of renewal
	// cannot be told. It is also the reason of Warning events.
	CertificateReasonWindowError = "WindowError"
	// CertificateReasonIssued is for Issuing when it is False after a success.
	CertificateReasonIssued = "Issued"
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
	IssuerReasonInvalidURL            = "InvalidURL"
	IssuerReasonErrRegisterAccount    = "ErrRegisterACMEAccount"
	IssuerReasonErrVerifyAccount      = "ErrVerifyACMEAccount"
	IssuerReasonErrUpdateAccount      = "ErrUpdateACMEAccount"

	IssuerReasonKeyPairVerified   = "KeyPairVerified"
	IssuerReasonErrGetKeyPair     = "ErrGetKeyPair"
	IssuerReasonErrInvalidKeyPair = "ErrInvalidKeyPair"

	IssuerReasonSelfSignedReady = "IsReady"

	IssuerReasonVaultVerified = "VaultVerified"
	IssuerReasonVaultError    = "VaultError"

	// IssuerReasonVenafiReady is reason and message at once.
	IssuerReasonVenafiReady      = "Certificate Manager issuer started"
	IssuerReasonVenafiAuthFailed = "AuthFailed"
	IssuerReasonVenafiErrorSetup = "ErrorSetup"
)

// Reasons of events on issuers, beside those of their conditions.
const (
	EventReasonErrInitIssuer = "ErrInitIssuer"
	EventReasonVenafiReady   = "Ready"
)

// Reasons of events on Certificates.
const (
	EventReasonIssuing                  = "Issuing"
	EventReasonGenerated                = "Generated"
	EventReasonReused                   = "Reused"
	EventReasonDeleted                  = "Deleted"
	EventReasonDecodeFailed             = "DecodeFailed"
	EventReasonCannotRegenerateKey      = "CannotRegenerateKey"
	EventReasonRequested                = "Requested"
	EventReasonRequestFailed            = "RequestFailed"
	EventReasonKeystorePasswordNotFound = "KeystorePasswordSecretNotFound"
	EventReasonWindowError              = "WindowError"
	EventReasonARIError                 = "ARIError"
)

// Reasons of events on CertificateRequests that concern all types of issuers.
const (
	EventReasonCertificateIssued  = "CertificateIssued"
	EventReasonWaitingForApproval = "WaitingForApproval"
	EventReasonIssuerNotFound     = "IssuerNotFound"
	EventReasonIssuerTypeMissing  = "IssuerTypeMissing"
	EventReasonIssuerNotReady     = "IssuerNotReady"
	EventReasonDecodeError        = "DecodeError"
)

// Reasons of events on CertificateRequests to ACME issuers.
const (
	EventReasonRequestParsingError = "RequestParsingError"
	EventReasonInvalidOrder        = "InvalidOrder"
	EventReasonOrderBuildingError  = "OrderBuildingError"
	EventReasonOrderCreatingError  = "OrderCreatingError"
	EventReasonOrderCreated        = "OrderCreated"
	EventReasonOrderGetError       = "OrderGetError"
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
	EventReasonErrorPublicKey     = "ErrorPublicKey"
	EventReasonErrorKeyMatch      = "ErrorKeyMatch"
	EventReasonErrorSigning       = "ErrorSigning"
	EventReasonBadConfig          = "BadConfig"
)

// Reasons of events on CertificateRequests to Vault and Venafi issuers.
const (
	EventReasonVaultInitError    = "VaultInitError"
	EventReasonVenafiInitError   = "VenafiInitError"
	EventReasonIssuancePending   = "IssuancePending"
	EventReasonCustomFieldsError = "CustomFieldsError"
	EventReasonRequestError      = "RequestError"
	EventReasonRetrieveError     = "RetrieveError"
	EventReasonParseError        = "ParseError"
)

// Reasons of events on an Ingress, Gateway or ListenerSet, beside BadConfig.
const (
	EventReasonCreateCertificate = "CreateCertificate"
	EventReasonUpdateCertificate = "UpdateCertificate"
	EventReasonDeleteCertificate = "DeleteCertificate"
)
