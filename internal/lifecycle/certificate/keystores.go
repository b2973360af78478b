package certificate

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/pki/keystore"
)

// Keystore is a keystore that a spec wants in its Secret, with a truststore beside it
// if the issuer returns certificates of the CA.
type Keystore struct {
	// Keystore and Truststore are the entries of the Secret.
	Keystore, Truststore string
	// PasswordSecret names the Secret with the password, empty if the password is
	// in the spec.
	PasswordSecret string

	spec   cmmeta.SecretKeySelector
	plain  *string
	format keystore.Format
	// label and name are as messages have the format.
	label, name string
}

// Keystores are the keystores that a spec wants.
func Keystores(spec *cmv1.CertificateSpec) []Keystore {
	var stores []Keystore
	if spec.Keystores == nil {
		return nil
	}
	if s := spec.Keystores.PKCS12; s != nil && s.Create {
		stores = append(stores, Keystore{
			cmv1.PKCS12SecretKey, cmv1.PKCS12TruststoreKey, s.PasswordSecretRef.Name,
			s.PasswordSecretRef, s.Password,
			keystore.PKCS12{Profile: keystore.Profile(s.Profile)},
			"PKCS12", "PKCS#12",
		})
	}
	if s := spec.Keystores.JKS; s != nil && s.Create {
		alias := ""
		if s.Alias != nil {
			alias = *s.Alias
		}
		stores = append(stores, Keystore{
			cmv1.JKSSecretKey, cmv1.JKSTruststoreKey, s.PasswordSecretRef.Name,
			s.PasswordSecretRef, s.Password,
			keystore.JKS{Alias: alias},
			"JKS", "JKS",
		})
	}
	return stores
}

// source says where the password is.
func (k Keystore) source(namespace string) string {
	if k.PasswordSecret == "" {
		return "in the spec"
	}
	return fmt.Sprintf(`entry %q of Secret "%s/%s"`, k.spec.Key, namespace, k.PasswordSecret)
}

// EventKeystorePassword is the event of a keystore that cannot be made because of its
// password.
const EventKeystorePassword = "KeystorePasswordSecretNotFound"

// eventWriteFailed is the event of a write that fails.
const eventWriteFailed = "WriteFailed"

// unwritable is a failure that a user ends by a change.
func unwritable(format string, args ...any) error {
	return fault.New(fault.User, eventWriteFailed, format, args...)
}

// Password is the password of a keystore, with nothing trimmed. secret has the data of
// its Secret, nil if there is no such Secret. The error is a *fault.Error.
func (k Keystore) Password(secret map[string][]byte) ([]byte, error) {
	const failed = "failed to add keystores to Secret: "
	switch {
	case k.PasswordSecret != "" && secret == nil:
		return nil, fault.New(fault.User, EventKeystorePassword, failed+"fetching %s keystore password from Secret: secret %q not found; create it with an entry %q",
			k.label, k.PasswordSecret, k.spec.Key)
	case k.PasswordSecret != "" && len(secret[k.spec.Key]) == 0:
		return nil, fault.New(fault.User, EventKeystorePassword, failed+"%s keystore password Secret contains no data for key %q; add it to Secret %q",
			k.label, k.spec.Key, k.PasswordSecret)
	case k.PasswordSecret != "":
		return secret[k.spec.Key], nil
	case k.plain == nil:
		return nil, unwritable(failed+"either passwordSecretRef or password must be set for %s keystore", k.name)
	case *k.plain == "":
		return nil, unwritable(failed+"%s literal password cannot be empty", k.label)
	default:
		return []byte(*k.plain), nil
	}
}

// contentOf parses what keystores hold. A CA that cannot be parsed is none.
func contentOf(m Material, limits pki.Limits) (c keystore.Content, err error) {
	if c.Key, err = pki.ParseKey(m.Key, limits); err != nil {
		return c, err
	}
	if c.Chain, err = pki.ParseChain(m.Chain, limits); err != nil {
		return c, err
	}
	if cas, err := pki.ParseBundle(m.CA, limits); err == nil {
		c.CAs = cas
	}
	return c, nil
}

// encodeKeystores are the keystores and truststores that a spec wants, by their entries.
func encodeKeystores(spec *cmv1.CertificateSpec, m Material, passwords, present map[string][]byte, limits pki.Limits, now time.Time) (map[string][]byte, error) {
	stores := Keystores(spec)
	if len(stores) == 0 {
		return nil, nil
	}
	content, err := contentOf(m, limits)
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{}
	for _, k := range stores {
		password, known := passwords[k.Keystore]
		if !known {
			for _, entry := range []string{k.Keystore, k.Truststore} {
				if store, ok := present[entry]; ok {
					data[entry] = store
				}
			}
			continue
		}
		format := k.format
		if jks, ok := format.(keystore.JKS); ok {
			jks.Created = now
			format = jks
		}
		if data[k.Keystore] = present[k.Keystore]; format.CheckKeystore(present[k.Keystore], content, password) != nil {
			if data[k.Keystore], err = format.Keystore(content, password); err != nil {
				return nil, unwritable("failed to add keystores to Secret: error encoding %s bundle: %v", k.label, err)
			}
		}
		if len(content.CAs) == 0 {
			continue
		}
		if data[k.Truststore] = present[k.Truststore]; format.CheckTruststore(present[k.Truststore], content.CAs, password) != nil {
			if data[k.Truststore], err = format.Truststore(content.CAs, password); err != nil {
				return nil, unwritable("failed to add keystores to Secret: error encoding %s trust store bundle: %v", k.label, err)
			}
		}
	}
	return data, nil
}

// KeystoreInputs identifies all that decides about keystores: the spec, the versions
// of the passwords, and what the Secret holds. The zero value is none.
type KeystoreInputs [sha256.Size]byte

// KeystoreCheck is what this process knows of the keystores in a Secret. Their
// passwords are not among the facts, so that the stores have to be opened to see
// whether they fit; that is done once for each version of the inputs.
type KeystoreCheck struct {
	Of KeystoreInputs
	// Unfit says why the keystores have to be made again, empty if they fit.
	Unfit string
	// Remarks are what a user may not mean about a password, by the entry of the
	// keystore.
	Remarks map[string][]string
	// Locked are the keystores whose passwords cannot be had.
	Locked []Locked
	// Next is the earliest time of the next look, see KeystorePause.
	Next time.Time
}

// KeystorePause is how long the keystores of a Certificate are not looked at again: a
// password that something changes each second would otherwise have them opened and made
// again each second, for all Certificates that name it.
const KeystorePause = 10 * time.Second

// Locked is a keystore whose password cannot be had. It stays as it is.
type Locked struct {
	Keystore
	Why *fault.Error
}

// locks reports whether an entry is that of a keystore whose password cannot be had.
func (k KeystoreCheck) locks(entry string) bool {
	return slices.ContainsFunc(k.Locked, func(l Locked) bool { return entry == l.Keystore.Keystore || entry == l.Truststore })
}

// keystoreInputs identifies what the keystores depend on. wanted reports whether the
// spec wants any.
func (c State) keystoreInputs() (in KeystoreInputs, wanted bool) {
	stores := Keystores(&c.Object.Spec)
	if len(stores) == 0 || c.Secret == nil {
		return in, false
	}
	sum := sha256.New()
	// The spec was decoded from JSON, and a hash takes every write.
	_ = json.NewEncoder(sum).Encode(c.Object.Spec.Keystores)
	keys := []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey, cmmeta.TLSCAKey}
	for _, k := range stores {
		_, _ = fmt.Fprintf(sum, "%q %q ", k.PasswordSecret, c.PasswordVersions[k.PasswordSecret])
		keys = append(keys, k.Keystore, k.Truststore)
	}
	for _, key := range keys {
		digest, ok := c.Secret.Digest(key)
		_, _ = fmt.Fprintf(sum, "%t %x ", ok, digest)
	}
	return KeystoreInputs(sum.Sum(nil)), true
}

// CheckedKeystores is what a look at the Secret's keystores has shown: whether those
// that are there fit. passwords are as in Data, without those that are locked. Keystores
// that could not be looked at, because this process is busy with others, have to be looked
// at again.
func (c State) CheckedKeystores(m Material, passwords, present map[string][]byte, locked []Locked, limits pki.Limits) KeystoreCheck {
	check := KeystoreCheck{Remarks: map[string][]string{}, Locked: locked}
	check.Of, _ = c.keystoreInputs()
	content, err := contentOf(m, limits)
	if err != nil {
		return check
	}
	for _, k := range Keystores(&c.Object.Spec) {
		password, known := passwords[k.Keystore]
		if !known {
			continue
		}
		err := k.format.CheckKeystore(present[k.Keystore], content, password)
		entry := k.Keystore
		if err == nil && len(content.CAs) > 0 {
			entry, err = k.Truststore, k.format.CheckTruststore(present[k.Truststore], content.CAs, password)
		}
		switch {
		case errors.Is(err, keystore.ErrBusy):
			check.Of = KeystoreInputs{}
		case err != nil:
			check.Unfit = cmp.Or(check.Unfit, fmt.Sprintf("Secret's entry %q is not as spec.keystores wants it: %v", entry, err))
			check.Remarks[k.Keystore] = k.format.Remarks(password)
		}
	}
	return check
}

// StoredKeystores is what is known of keystores that have just been written, except
// those that are locked.
func (c State) StoredKeystores(passwords map[string][]byte, locked []Locked) KeystoreCheck {
	check := KeystoreCheck{Remarks: map[string][]string{}, Locked: locked, Next: c.Keystores.Next}
	check.Of, _ = c.keystoreInputs()
	for _, k := range Keystores(&c.Object.Spec) {
		if password, known := passwords[k.Keystore]; known {
			check.Remarks[k.Keystore] = k.format.Remarks(password)
		}
	}
	return check
}
