package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// Secrets reads and makes the Secrets of issuers.
type Secrets interface {
	// Read returns a Secret's data, nil if there is no such Secret.
	Read(ctx context.Context, namespace, name string) (map[string][]byte, error)
	// CreateAccountKey makes a Secret with one entry. It reports whether it did,
	// false if there is a Secret of this name already.
	CreateAccountKey(ctx context.Context, namespace, name, key string, pem []byte) (bool, error)
}

// Solvers knows the solvers of this build. dns01.Registry is one.
type Solvers interface {
	// Secrets returns the entries of Secrets that an issuer's solvers read,
	// each once.
	Secrets(*acmev1.ACMEIssuer) []cmmeta.SecretKeySelector
	// Check returns the errors in a solver's provider that can be found without a
	// Secret or a server. The path is that of the dns01 field, which may be nil.
	Check(*field.Path, *acmev1.ACMEChallengeSolverDNS01) field.ErrorList
	// Unsupported says why this build cannot use a solver, as the end of a
	// sentence that begins with the solver, or returns "".
	Unsupported(*acmev1.ACMEChallengeSolver) string
}

// registered is the message of an issuer that is ready.
const registered = "The ACME account was registered with the ACME server"

// v1 are the endpoints of Let's Encrypt's first API, long gone, that old
// manifests still name, and what took their place.
var v1 = map[string]string{
	"https://acme-v01.api.letsencrypt.org/directory":     "https://acme-v02.api.letsencrypt.org/directory",
	"https://acme-staging.api.letsencrypt.org/directory": "https://acme-staging-v02.api.letsencrypt.org/directory",
}

// run makes the issuer's account ready for use and returns its status, which
// counts even with an error. The server is asked only if something has changed
// since the last time.
func (t *Type) run(ctx context.Context, i issuer.Issuer) (acmev1.ACMEIssuerStatus, *account, error) {
	if now, ok := v1[strings.TrimSuffix(i.Spec.ACME.Server, "/")]; ok {
		return i.Account, nil, fault.New(fault.User, cmv1.IssuerReasonInvalidConfig,
			"Your ACME server URL is set to a v1 endpoint (%s). You should update the spec.acme.server field to %q", i.Spec.ACME.Server, now)
	}
	key, made, err := t.key(ctx, i)
	if err != nil {
		t.Accounts.Remove(i.UID)
		return i.Account, nil, err
	}
	if made {
		i.Account.URI = ""
	}
	if err := t.checkSolvers(ctx, i); err != nil {
		return i.Account, nil, err
	}
	hash, thumbprint, err := describe(key)
	if err != nil {
		return i.Account, nil, fault.New(fault.User, cmv1.IssuerReasonErrVerifyAccount, "Account private key is invalid: %v", err)
	}
	if !acme.SameHost(i.Spec.ACME.Server, i.Account.URI) {
		// The account of another server is no account here.
		i.Account.URI = ""
	}
	client, err := t.client(i, key, hash)
	if err != nil {
		return i.Account, nil, invalidTransport(err)
	}
	email := strings.ToLower(i.Spec.ACME.Email)
	if again, cause := t.Accounts.restsUntil(i.UID, client); again.After(t.Clock.Now()) {
		// It was registered, and refused all the same.
		return i.Account, nil, fault.Until(again, cmv1.IssuerReasonErrVerifyAccount,
			"Failed to verify ACME account: the ACME server refuses to work for the account: %s", cause)
	}
	current := i.Ready && i.Account.URI != "" &&
		i.Account.LastRegisteredEmail == i.Spec.ACME.Email && i.Account.LastPrivateKeyHash == hash && !t.Accounts.isRejected(i.UID)
	if !current {
		url, err := t.register(ctx, i, client, email, made)
		if url != "" {
			i.Account.URI = url
		}
		if err != nil {
			return i.Account, nil, err
		}
		i.Account.LastRegisteredEmail, i.Account.LastPrivateKeyHash = i.Spec.ACME.Email, hash
	}
	return i.Account, &account{
		client: client, keyHash: hash,
		info: facts.Account{Issuer: i.Spec.ACME.DeepCopy(), URL: i.Account.URI, Thumbprint: thumbprint, Unsupported: t.unsupported(i.Spec.ACME)},
	}, nil
}

func invalidTransport(err error) error {
	f := fault.Of(err)
	return fault.New(f.Class, cmv1.IssuerReasonInvalidConfig, "Failed to register ACME account: %s", f.Message).Because(err)
}

// key reads the account key, or makes it. The second result is whether it is new.
func (t *Type) key(ctx context.Context, i issuer.Issuer) (crypto.Signer, bool, error) {
	ref := i.Spec.ACME.PrivateKey
	entry := ref.Key
	if entry == "" {
		entry = "tls.key"
	}
	unread := func(err error) error {
		return fault.New(fault.Transient, cmv1.IssuerReasonErrVerifyAccount, "Failed to verify ACME account: the secret %s/%s cannot be read", i.Namespace, ref.Name).Because(err)
	}
	data, err := t.Store.Read(ctx, i.Namespace, ref.Name)
	if err != nil {
		return nil, false, unread(err)
	}
	if data == nil {
		if i.Spec.ACME.DisableAccountKeyGeneration {
			return nil, false, fault.New(fault.User, cmv1.IssuerReasonErrVerifyAccount,
				"Failed to verify ACME account: the ACME issuer config has 'disableAccountKeyGeneration' set to true, but the secret was not found: %s/%s", i.Namespace, ref.Name)
		}
		key, err := t.makeKey(ctx, i.Namespace, ref.Name, entry)
		if key != nil || err != nil {
			return key, true, err
		}
		// Another issuer with the same Secret was faster: its key counts.
		if data, err = t.Store.Read(ctx, i.Namespace, ref.Name); err != nil || data == nil {
			return nil, false, unread(err)
		}
	}
	if len(data[entry]) == 0 {
		return nil, false, fault.New(fault.User, cmv1.IssuerReasonErrVerifyAccount, "Account private key is invalid: the secret %s/%s does not have key %q", i.Namespace, ref.Name, entry)
	}
	key, err := pki.ParseKey(data[entry], t.Limits)
	if err != nil {
		return nil, false, fault.New(fault.User, cmv1.IssuerReasonErrVerifyAccount, "Account private key is invalid: %v", err)
	}
	switch key.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
		return key, false, nil
	default:
		return nil, false, fault.New(fault.User, cmv1.IssuerReasonErrVerifyAccount, "ACME private key in %q is not of type RSA or ECDSA", ref.Name)
	}
}

// makeKey makes and stores a key. It returns nil if there is a Secret already.
func (t *Type) makeKey(ctx context.Context, namespace, name, entry string) (crypto.Signer, error) {
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.RSA, Size: 2048})
	if err != nil {
		return nil, err
	}
	encoded, err := pki.EncodeKey(key, pki.PKCS1)
	if err != nil {
		return nil, err
	}
	made, err := t.Store.CreateAccountKey(ctx, namespace, name, entry, encoded)
	switch {
	case err != nil:
		return nil, fault.New(fault.Transient, cmv1.IssuerReasonErrRegisterAccount,
			"Failed to register ACME account: the account key cannot be stored in secret %s/%s%s", namespace, name, saidBy(err)).Because(err)
	case !made:
		return nil, nil
	}
	return key, nil
}

// saidBy is why the API server has not carried a write of a key out, after a colon.
// An error that is no answer differs from one time to the next.
func saidBy(err error) string {
	if refusal, ok := plan.RefusalOf(err, true); ok {
		return ": " + refusal.Cause + "; " + refusal.Advice()
	}
	if reason := apierrors.ReasonForError(err); reason != metav1.StatusReasonUnknown {
		return fmt.Sprintf(": the API server answers %q", reason)
	}
	return ""
}

// unsupported is facts.Account.Unsupported.
func (t *Type) unsupported(spec *acmev1.ACMEIssuer) []string {
	reasons := make([]string, len(spec.Solvers))
	for i := range spec.Solvers {
		reasons[i] = t.Solvers.Unsupported(&spec.Solvers[i])
	}
	return reasons
}

// checkSolvers holds an issuer back whose solvers lack credentials.
func (t *Type) checkSolvers(ctx context.Context, i issuer.Issuer) error {
	if err := t.checkFields(i.Spec.ACME); err != nil {
		return err
	}
	var missing []string
	for _, ref := range t.Solvers.Secrets(i.Spec.ACME) {
		data, err := t.Store.Read(ctx, i.Namespace, ref.Name)
		switch {
		case err != nil:
			return fault.New(fault.Transient, cmv1.IssuerReasonInvalidSolver, "failed to get secret %q", ref.Name).Because(err)
		case data == nil:
			missing = append(missing, fmt.Sprintf("failed to get secret %q: it does not exist in namespace %q", ref.Name, i.Namespace))
		case len(data[ref.Key]) == 0:
			missing = append(missing, fmt.Sprintf("the secret %q does not have key %q", ref.Name, ref.Key))
		}
	}
	if len(missing) > 0 {
		return fault.New(fault.User, cmv1.IssuerReasonInvalidSolver, "%s", strings.Join(missing, "; "))
	}
	return nil
}

// describe returns the hash that the status keeps and the thumbprint (RFC 7638).
func describe(key crypto.Signer) (hash, thumbprint string, err error) {
	var der []byte
	switch k := key.(type) {
	case *rsa.PrivateKey:
		der = x509.MarshalPKCS1PrivateKey(k)
	case *ecdsa.PrivateKey:
		if der, err = x509.MarshalECPrivateKey(k); err != nil {
			return "", "", err
		}
	}
	sum := sha256.Sum256(der)
	thumbprint, err = acme.Thumbprint(key.Public())
	return base64.StdEncoding.EncodeToString(sum[:]), thumbprint, err
}

func (t *Type) client(i issuer.Issuer, key crypto.Signer, hash string) (*acme.Client, error) {
	if client := t.Accounts.reuse(i.UID, i.Spec.ACME, hash); client != nil {
		return client, nil
	}
	transport, err := acme.HTTPClient(acme.TransportOptions{
		CABundle: i.Spec.ACME.CABundle, MaxBundleSize: t.Limits.MaxBundleSize, SkipTLSVerify: i.Spec.ACME.SkipTLSVerify,
	})
	if err != nil {
		return nil, err
	}
	return acme.New(acme.Config{
		DirectoryURL: i.Spec.ACME.Server, Key: key, AccountURL: i.Account.URI, HTTPClient: transport,
		UserAgent: t.UserAgent, Clock: t.Clock, Observe: t.Observe,
	}), nil
}

// register makes or finds the account, and brings its contact up to date. A key
// that was just made has no account.
func (t *Type) register(ctx context.Context, i issuer.Issuer, client *acme.Client, email string, made bool) (string, error) {
	request := acme.AccountRequest{TermsAgreed: true}
	if email != "" {
		request.Contact = []string{"mailto:" + email}
	}
	binding, noBinding := t.binding(ctx, i)
	request.EAB = binding
	var got acme.Account
	var err error
	if !made {
		got, err = t.find(ctx, client)
	}
	switch {
	case got.URL == "" && noBinding != nil:
		return "", noBinding
	case got.URL == "" && err == nil:
		got, err = client.Register(ctx, request)
	}
	if err != nil {
		return "", t.failed(cmv1.IssuerReasonErrRegisterAccount, "Failed to register ACME account: ", err)
	}
	if got.Status != acme.StatusValid && got.Status != "" {
		return got.URL, fault.New(fault.User, cmv1.IssuerReasonErrRegisterAccount,
			"Failed to register ACME account: the account %s is %s at the ACME server; use another account key", got.URL, got.Status)
	}
	if !got.Created && i.Account.LastRegisteredEmail != i.Spec.ACME.Email {
		if _, err := client.UpdateContact(ctx, request.Contact); err != nil {
			return got.URL, t.failed(cmv1.IssuerReasonErrUpdateAccount, "Failed to update ACME account: ", err)
		}
	}
	return got.URL, nil
}

// find looks for the account of the key (RFC 8555 section 7.3.1), empty if there
// is none or the server does not say so in ACME's words: then registering shows
// what is wrong. An account that exists needs no external account binding, whose
// key CAs hand out for one use.
func (t *Type) find(ctx context.Context, client *acme.Client) (acme.Account, error) {
	got, err := client.Register(ctx, acme.AccountRequest{TermsAgreed: true, OnlyExisting: true})
	if f := acme.Classify(err, t.Clock.Now()); f != nil && (f.Class == fault.User || f.Class == fault.Permanent) && acme.ProblemOf(err) != nil {
		return acme.Account{}, nil
	}
	return got, err
}

func (t *Type) failed(reason, prefix string, err error) error {
	f := acme.Classify(err, t.Clock.Now())
	out := fault.New(f.Class, reason, "%s%s", prefix, f.Message).Because(err)
	if out.Class == fault.Permanent {
		// An issuer is not a request: what the server refuses, a user can fix.
		out.Class = fault.User
	}
	out.At = f.At
	return out
}

// binding reads the key for an external account binding (RFC 8555 section
// 7.3.4), which CAs hand out as base64url.
func (t *Type) binding(ctx context.Context, i issuer.Issuer) (*acme.ExternalAccount, error) {
	eab := i.Spec.ACME.ExternalAccountBinding
	if eab == nil {
		return nil, nil
	}
	data, err := t.Store.Read(ctx, i.Namespace, eab.Key.Name)
	if err != nil {
		return nil, fault.New(fault.Transient, cmv1.IssuerReasonErrRegisterAccount, "Failed to register ACME account: the secret %q cannot be read", eab.Key.Name).Because(err)
	}
	text := strings.TrimSpace(string(data[eab.Key.Key]))
	if text == "" {
		return nil, fault.New(fault.User, cmv1.IssuerReasonErrRegisterAccount,
			"Failed to register ACME account: failed to find external account binding key data in Secret %q at index %q", eab.Key.Name, eab.Key.Key)
	}
	mac, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return nil, fault.New(fault.User, cmv1.IssuerReasonErrRegisterAccount,
			"Failed to register ACME account: failed to decode external account binding key data: it is not base64url")
	}
	return &acme.ExternalAccount{KeyID: eab.KeyID, Key: mac}, nil
}
