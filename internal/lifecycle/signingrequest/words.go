package signingrequest

import (
	"cmp"
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
	case facts.IssuerVenafi:
		return "Certificate fetched from Certificate Manager issuer successfully"
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
	switch s.ofType() {
	case facts.IssuerVault:
		return vaultWords(f)
	case facts.IssuerVenafi:
		return venafiWords(f)
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

// venafiWords is inOwnWords for Venafi. VenafiInitError, for example, is ErrorVenafiInit
// here.
func venafiWords(f *fault.Error) (reason, message string) {
	if f.Reason == cmv1.EventReasonSecretMissing {
		return reasonSecretNotFound, f.Message
	}
	message = strings.Replace(f.Message, "certificate from Certificate Manager:", "Certificate Manager certificate:", 1)
	if kind, ok := strings.CutSuffix(f.Reason, "Error"); ok {
		return "Error" + kind, message
	}
	return cmp.Or(f.Reason, cmv1.EventReasonSigningError), message
}
