package signingrequest

import (
	"fmt"
	"strings"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
)

// The reasons of events and of the Failed condition that CertificateRequests do not
// have.
const (
	reasonWaitingApproval    = "WaitingApproval"
	reasonDeniedReference    = "DeniedReference"
	reasonErrorParseDuration = "ErrorParseDuration"
	reasonInvalidDuration    = "InvalidDuration"
	reasonSecretNotFound     = "SecretNotFound"
	reasonErrorUpdate        = "ErrorUpdate"
	reasonErrorVaultInit     = "ErrorVaultInit"
	reasonOrderCreated       = "OrderCreated"
	reasonOrderBadChain      = "OrderBadCertificate"
)

// messageIssued is what the event says when the certificate is there.
func messageIssued(of facts.IssuerType) string {
	switch of {
	case facts.IssuerSelfSigned:
		return "Certificate self-signed successfully"
	case facts.IssuerVault:
		return "Certificate signed successfully"
	default:
		return "Certificate fetched from issuer successfully"
	}
}

// reasonUnwritten is the reason of the event that the result cannot be stored.
func reasonUnwritten(of facts.IssuerType) string {
	if of == facts.IssuerSelfSigned || of == facts.IssuerVault {
		return reasonErrorUpdate
	}
	return cmv1.EventReasonSigningError
}

// inOwnWords returns the reason and the message of a signer's failure: those of this
// kind where it has other ones than CertificateRequests.
func (s State) inOwnWords(f *fault.Error) (reason, message string) {
	secret := KeySecret(s.Object, s.Namespace)
	if s.ofType() == facts.IssuerVault {
		return vaultWords(f)
	}
	switch f.Reason {
	case cmv1.EventReasonMissingAnnotation:
		return f.Reason, fmt.Sprintf("Missing private key reference annotation: %q", cmv1.CertificateSigningRequestPrivateKeyAnnotationKey)
	case cmv1.EventReasonMissingSecret:
		return reasonSecretNotFound, fmt.Sprintf("Referenced Secret %s not found", secret)
	case cmv1.EventReasonErrorParsingKey:
		return f.Reason, fmt.Sprintf("Failed to parse signing key from secret %s: %v", secret, f.Err)
	case cmv1.EventReasonErrorKeyMatch:
		return f.Reason, "Referenced private key in Secret does not match that in the request"
	case "":
		return cmv1.EventReasonSigningError, f.Message
	case cmv1.EventReasonSecretMissing:
		if s.ofType() == facts.IssuerVenafi {
			return reasonSecretNotFound, f.Message
		}
		return f.Reason, f.Message
	case cmv1.EventReasonVenafiInitError, cmv1.EventReasonCustomFieldsError, cmv1.EventReasonRequestError,
		cmv1.EventReasonRetrieveError, cmv1.EventReasonParseError:
		// Such as ErrorVenafiInit.
		return "Error" + strings.TrimSuffix(f.Reason, "Error"), f.Message
	default:
		return f.Reason, f.Message
	}
}

// vaultWords is inOwnWords for Vault. cert-manager fails a request whose Secret does not
// exist; here it waits, as a CertificateRequest does.
func vaultWords(f *fault.Error) (reason, message string) {
	switch f.Reason {
	case cmv1.EventReasonSecretMissing:
		return reasonSecretNotFound, f.Message
	case cmv1.EventReasonVaultInitError:
		return reasonErrorVaultInit, f.Message
	default:
		return cmv1.EventReasonErrorSigning, strings.Replace(f.Message, "Vault failed to sign certificate:", "Vault failed to sign:", 1)
	}
}
