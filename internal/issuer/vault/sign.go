package vault

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
)

const (
	pendingInit   = "Failed to initialise vault client for signing: "
	pendingSecret = "Required secret resource not found: "
	failedToSign  = "Vault failed to sign certificate: "
	bySign        = "failed to sign certificate by vault: "
	checkPath     = "; check spec.vault.path, which is that of a sign endpoint such as pki/sign/my-role, and spec.vault.namespace"
)

// WarningNotCA is the reason of the warning that a CA was asked for, and Vault has issued
// another certificate.
const WarningNotCA = "NotCA"

// asked is the body of a request to a sign endpoint. All values are strings: lists are
// joined with commas. Names of other kinds are only in the CSR.
type asked struct {
	CommonName        string `json:"common_name"`
	AltNames          string `json:"alt_names"`
	IPSANs            string `json:"ip_sans"`
	URISANs           string `json:"uri_sans"`
	TTL               string `json:"ttl"`
	CSR               string `json:"csr"`
	ExcludeCNFromSANs string `json:"exclude_cn_from_sans"`
}

// answered is what is read of the answer of a sign endpoint.
type answered struct {
	Data struct {
		Certificate string   `json:"certificate"`
		IssuingCA   string   `json:"issuing_ca"`
		CAChain     []string `json:"ca_chain"`
	} `json:"data"`
}

// newAsked returns what Vault is asked for a request with a signing request.
func newAsked(r issuer.Request, csr *x509.CertificateRequest) asked {
	var addresses, uris []string
	for _, ip := range csr.IPAddresses {
		addresses = append(addresses, ip.String())
	}
	for _, uri := range csr.URIs {
		uris = append(uris, uri.String())
	}
	duration := r.Duration
	if duration == 0 {
		duration = pki.DefaultDuration
	}
	return asked{
		CommonName: csr.Subject.CommonName, AltNames: strings.Join(csr.DNSNames, ","),
		IPSANs: strings.Join(addresses, ","), URISANs: strings.Join(uris, ","),
		TTL: duration.String(), CSR: string(r.CSR), ExcludeCNFromSANs: "true",
	}
}

// Sign implements issuer.Signer. What Vault refuses fails the request, and the Certificate
// backs off. A Vault that does not answer, is sealed, or has too much to do leaves it
// pending, and so does what answers in the place of Vault: cert-manager fails it then too,
// and each Certificate that was due in a short outage waits for an hour.
func (t *Type) Sign(ctx context.Context, r issuer.Request) (request.Outcome, error) {
	spec := r.Issuer.Vault
	if err := checkFields(spec); err != nil {
		return request.Outcome{}, pending(err)
	}
	csr, err := pki.ParseRequest(r.CSR, t.Limits)
	if err != nil {
		return request.Outcome{}, refuse("failed to decode CSR for signing: "+err.Error(), err)
	}
	c, err := t.connections.Of(ctx, r.Identity(), r.Issuer, false)
	if err != nil {
		return request.Outcome{}, pending(err)
	}
	s, err := c.use(ctx, nil)
	if err != nil {
		return request.Outcome{}, pending(err)
	}
	body := newAsked(r, csr)
	answer, f := c.sign(ctx, s, body)
	if f != nil && f.status == http.StatusForbidden && !f.foreign {
		if answer, f, err = t.signAgain(ctx, r, c, s, body, f); err != nil {
			return request.Outcome{}, pending(err)
		}
	}
	if f != nil {
		return request.Outcome{}, c.unsigned(f, t.Clock.Now())
	}
	return c.outcome(answer, csr, r, t.Limits)
}

// sign asks Vault for a certificate with the token of a session.
func (c *connection) sign(ctx context.Context, s *session, body asked) (answered, *failure) {
	var answer answered
	f := c.write(ctx, callSign, s.client, signPath(c.spec.Path), body, &answer, s.token)
	return answer, f
}

// signAgain signs once more after Vault has refused a token, if another one can be had: of
// a Secret that the caches do not show yet, or by a log-in. f is the refusal, which counts
// if there is none. A token that Vault then does not know is no fault of the request.
func (t *Type) signAgain(ctx context.Context, r issuer.Request, c *connection, s *session, body asked, f *failure) (answered, *failure, error) {
	fresh, err := t.connections.Of(ctx, r.Identity(), r.Issuer, true)
	if err != nil {
		return answered{}, nil, err
	}
	switch {
	case fresh != c:
		s = nil
	case !c.static && !t.Clock.Now().Before(s.settles):
	case f.invalidToken():
		return answered{}, nil, c.invalid(f)
	default:
		return answered{}, f, nil
	}
	if s, err = fresh.use(ctx, s); err != nil {
		return answered{}, nil, err
	}
	answer, f := fresh.sign(ctx, s, body)
	if f != nil && f.invalidToken() {
		return answered{}, nil, fresh.invalid(f)
	}
	return answer, f, nil
}

// invalid is the fault for a token that Vault does not know: of a Secret, or of a log-in that
// has just been. The request is not at fault: it waits for another token.
func (c *connection) invalid(f *failure) error {
	if !c.static {
		return fault.New(fault.Transient, cmv1.EventReasonVaultInitError,
			"%s; it has issued this token just now: a node that is behind its cluster knows it later", f.text()).Because(issuer.ErrRefused)
	}
	ref := c.spec.Auth.TokenSecretRef
	return fault.New(fault.Transient, cmv1.EventReasonVaultInitError,
		"%s; the token in secret '%s/%s' is not valid, or has expired: store a valid one, or use an auth method with a log-in", f.text(), c.namespace, ref.Name).Because(issuer.ErrRefused)
}

// unsigned is the fault for a request that was not signed.
func (c *connection) unsigned(f *failure, now time.Time) error {
	message, path := failedToSign+bySign+f.text(), signPath(c.spec.Path)
	switch {
	case f.foreign:
	case f.status == http.StatusForbidden:
		// Another request would be refused as well: the issuer lacks a permission.
		out := f.fault(fault.Transient, cmv1.EventReasonSigningError, message+"; "+permission(path), now)
		out.Err = issuer.ErrRefused
		return out
	case f.status == http.StatusNotFound, f.status == http.StatusMethodNotAllowed:
		message += checkPath
	}
	return f.fault(fault.Permanent, cmv1.EventReasonSigningError, message, now)
}

// permission says which permission a token needs.
func permission(path string) string {
	return fmt.Sprintf(`the token needs a policy with path %q { capabilities = ["create", "update"] }; spec.vault.path is MOUNT/sign/ROLE`, path)
}

// outcome is the certificate in an answer, if it is for the request's key and valid.
func (c *connection) outcome(answer answered, csr *x509.CertificateRequest, r issuer.Request, limits pki.Limits) (request.Outcome, error) {
	chain, ca, err := order(answer, limits)
	if err != nil {
		text := "failed to parse certificate chain from vault: " + err.Error()
		if errors.Is(err, errNoCertificate) {
			text += checkPath
		}
		return request.Outcome{}, refuse(text, err)
	}
	leaf := chain[0]
	if !pki.PublicKeysEqual(leaf.PublicKey, csr.PublicKey) {
		return request.Outcome{}, refuse(bySign+"the public key of the certificate that Vault has issued is not that of the request", nil)
	}
	if !r.Now.Before(leaf.NotAfter) {
		return request.Outcome{}, refuse(fmt.Sprintf("%sthe certificate that Vault has issued has expired on %s already; renew the CA at Vault, which cuts certificates to its own life",
			bySign, leaf.NotAfter.UTC().Format(time.RFC3339)), nil)
	}
	o := request.Outcome{Chain: pki.EncodeChain(chain...)}
	if ca != nil {
		o.CA = pki.EncodeChain(ca)
	}
	if r.IsCA && !leaf.IsCA {
		o.WarningReason = WarningNotCA
		o.Warning = fmt.Sprintf("isCA is set, but the certificate that Vault has issued is not a CA: the role at path %q decides", c.spec.Path)
	}
	return o, nil
}

// refuse is the fault that ends a request.
func refuse(text string, err error) error {
	return fault.New(fault.Permanent, cmv1.EventReasonSigningError, "%s%s", failedToSign, text).Because(err)
}

// pending is the fault of a request that waits, because the issuer cannot sign.
func pending(err error) error {
	f := *fault.Of(err)
	if f.Reason == cmv1.EventReasonSecretMissing {
		f.Message = pendingSecret + f.Message
	} else {
		f.Reason, f.Message = cmv1.EventReasonVaultInitError, pendingInit+f.Message
	}
	return &f
}
