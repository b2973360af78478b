package vault

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/pki"
)

// material is what an issuer needs beside its spec: what its Secrets hold.
type material struct {
	// roots are what the server's certificate is verified with, nil for the system's.
	roots *x509.CertPool
	// pair is what all connections show to the server, loginPair what the log-in shows
	// to it in its place; nil for none.
	pair, loginPair *tls.Certificate
	// credential is the token, the secret id, or the JWT; empty if the method needs none
	// that is in a Secret.
	credential string
}

// read is material, and what identifies it.
type read struct {
	material
	// digest identifies the content of the entries that were read.
	digest [sha256.Size]byte
}

// reader reads the Secrets of one issuer.
type reader struct {
	secrets   *issuer.Reading
	namespace string
	// used are the entries that were read.
	used map[string][]byte
}

// errNoSecret is the cause of a fault about a Secret that does not exist.
var errNoSecret = errors.New("the Secret does not exist")

// read reads what an issuer needs: first what its connections do, then the
// credentials.
func (t *Type) read(ctx context.Context, of issuer.Identity, issuerSpec *cmv1.IssuerSpec, secrets *issuer.Reading) (read, error) {
	spec := issuerSpec.Vault
	r := &reader{secrets: secrets, namespace: of.Namespace, used: map[string][]byte{}}
	var got read
	var err error
	if got.roots, err = r.roots(ctx, spec, t.Limits); err != nil {
		return read{}, err
	}
	if got.pair, err = r.pair(ctx, spec); err != nil {
		return read{}, err
	}
	if got.loginPair, got.credential, err = r.credentials(ctx, &spec.Auth); err != nil {
		return read{}, err
	}
	sum := sha256.New()
	for _, entry := range slices.Sorted(maps.Keys(r.used)) {
		text, _ := json.Marshal([]any{entry, r.used[entry]})
		sum.Write(text)
	}
	sum.Sum(got.digest[:0])
	return got, nil
}

// secret reads a Secret. access is what cannot be done if that fails, with a %s for the
// Secret's name.
func (r *reader) secret(ctx context.Context, name, access string) (*corev1.Secret, error) {
	full := r.namespace + "/" + name
	secret, err := r.secrets.Secret(ctx, name)
	switch {
	case err != nil:
		return nil, fault.New(fault.Transient, "", access+": %s", full, foreign.APIServer(err)).Because(err)
	case secret == nil:
		return nil, fault.New(fault.User, "", access+": secrets %q not found%s", full, name, r.secrets.Where()).Because(errNoSecret)
	}
	return secret, nil
}

// entry reads an entry of a Secret. missing is what to say if it does not exist, with a %q
// for the key and a %s for the Secret.
func (r *reader) entry(ctx context.Context, name, key, access, missing string) ([]byte, error) {
	secret, err := r.secret(ctx, name, access)
	if err != nil {
		return nil, err
	}
	value, ok := secret.Data[key]
	if !ok {
		return nil, fault.New(fault.User, "", missing, key, r.namespace+"/"+name)
	}
	r.used[name+"/"+key] = value
	return value, nil
}

// roots reads the bundle that the server's certificate is verified with.
func (r *reader) roots(ctx context.Context, spec *cmv1.VaultIssuer, limits pki.Limits) (*x509.CertPool, error) {
	const failed = "failed to load vault CA bundle: "
	bundle := spec.CABundle
	if ref := spec.CABundleSecretRef; ref != nil && len(bundle) == 0 {
		var err error
		bundle, err = r.entry(ctx, ref.Name, keyOr(ref, entryBundle), failed+"could not access secret '%s'", failed+"no data for %q in secret '%s'")
		if err != nil {
			return nil, err
		}
	} else if len(bundle) == 0 {
		return nil, nil
	}
	why := "it has no certificate"
	if most := cmp.Or(limits.MaxBundleSize, pki.DefaultLimits.MaxBundleSize); len(bundle) > most {
		why = fmt.Sprintf("provided PEM data was larger than the maximum %dB", most)
	} else if roots := x509.NewCertPool(); roots.AppendCertsFromPEM(bundle) {
		// What else it has, such as keys and certificates that cannot be read, is left out.
		return roots, nil
	}
	return nil, fault.New(fault.User, "", "%sno Vault CA bundles loaded, check bundle contents: %s", failed, why)
}

// pair reads what all connections show to the server; its two parts may be in two Secrets.
func (r *reader) pair(ctx context.Context, spec *cmv1.VaultIssuer) (*tls.Certificate, error) {
	cert, key := spec.ClientCertSecretRef, spec.ClientKeySecretRef
	if cert == nil || key == nil {
		return nil, nil
	}
	const failed = "failed to load vault client certificate: "
	const access, missing = failed + "could not access Secret '%s'", failed + "no data for %q in Secret '%s'"
	certPEM, err := r.entry(ctx, cert.Name, keyOr(cert, entryCert), access, missing)
	if err != nil {
		return nil, err
	}
	keyPEM, err := r.entry(ctx, key.Name, keyOr(key, entryKey), access, missing)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fault.New(fault.User, "", "%scould not parse the TLS certificate from Secrets '%s/%s'(cert) and '%s/%s'(key): %v",
			failed, r.namespace, cert.Name, r.namespace, key.Name, err)
	}
	return &pair, nil
}

// credentials reads what the auth method needs.
func (r *reader) credentials(ctx context.Context, auth *cmv1.VaultAuth) (pair *tls.Certificate, credential string, err error) {
	switch {
	case auth.TokenSecretRef != nil:
		credential, err = r.credential(ctx, auth.TokenSecretRef.Name, keyOr(auth.TokenSecretRef, entryToken))
		credential = strings.TrimSpace(credential)
		if why := vendorapi.Unprintable(credential); err == nil && why != "" {
			err = fault.New(fault.User, "", "unable to read token: the value of key %q in secret '%s/%s' %s",
				keyOr(auth.TokenSecretRef, entryToken), r.namespace, auth.TokenSecretRef.Name, why)
		}
	case auth.AppRole != nil:
		credential, err = r.credential(ctx, auth.AppRole.SecretRef.Name, auth.AppRole.SecretRef.Key)
		credential = strings.TrimSpace(credential)
	case auth.Kubernetes != nil && auth.Kubernetes.SecretRef.Name != "":
		credential, err = r.credential(ctx, auth.Kubernetes.SecretRef.Name, keyOr(&auth.Kubernetes.SecretRef, entryToken))
	case auth.ClientCertificate != nil && auth.ClientCertificate.SecretName != "":
		pair, err = r.loginPair(ctx, auth.ClientCertificate.SecretName)
	}
	return pair, credential, err
}

func (r *reader) credential(ctx context.Context, name, key string) (string, error) {
	value, err := r.entry(ctx, name, key, "could not access secret '%s'", "no data for %q in secret '%s'")
	if err == nil && len(bytes.TrimSpace(value)) == 0 {
		err = fault.New(fault.User, "", "no data for %q in secret '%s/%s'", key, r.namespace, name)
	}
	return string(value), referenced(err)
}

// loginPair reads what the log-in by client certificate shows to the server.
func (r *reader) loginPair(ctx context.Context, name string) (*tls.Certificate, error) {
	const access, missing = "could not access secret '%s'", "no data for %s in secret '%s'"
	certPEM, err := r.entry(ctx, name, entryCert, access, missing)
	if err != nil {
		return nil, referenced(err)
	}
	keyPEM, err := r.entry(ctx, name, entryKey, access, missing)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fault.New(fault.User, "", "error reading client certificate: secret '%s/%s': %v", r.namespace, name, err)
	}
	return &pair, nil
}

// referenced marks the fault of a credential's Secret that does not exist: a request waits
// for that one in words of its own.
func referenced(err error) error {
	f := fault.Of(err)
	if f == nil || !errors.Is(f, errNoSecret) {
		return err
	}
	marked := *f
	marked.Reason = cmv1.EventReasonSecretMissing
	return &marked
}

// keyOr is the key of a reference, or the one that is usual.
func keyOr(ref *cmmeta.SecretKeySelector, usual string) string {
	if ref.Key == "" {
		return usual
	}
	return ref.Key
}
