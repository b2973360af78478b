package certificate

import (
	"context"

	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
)

// passwordVersions are the versions of the Secrets with the passwords of keystores, as
// the caches have them, nil without any.
func (c *Controller) passwordVersions(namespace string, stores []core.Keystore) map[string]string {
	var versions map[string]string
	for _, k := range stores {
		if k.PasswordSecret == "" {
			continue
		}
		if versions == nil {
			versions = map[string]string{}
		}
		versions[k.PasswordSecret] = c.Secrets.Version(namespace, k.PasswordSecret)
	}
	return versions
}

// passwords reads the passwords of the keystores, by their entries, and says which
// cannot be had. What they were read from counts as known.
func (w *work) passwords(ctx context.Context) (passwords map[string][]byte, locked []core.Locked, err error) {
	stores := core.Keystores(&w.State.Object.Spec)
	if len(stores) == 0 {
		return nil, nil, nil
	}
	passwords = map[string][]byte{}
	secrets := map[string]map[string][]byte{"": nil}
	for _, k := range stores {
		data, read := secrets[k.PasswordSecret]
		if !read {
			live, err := w.Secrets.Live(ctx, w.subject.Namespace, k.PasswordSecret)
			if err != nil {
				return nil, nil, err
			}
			w.State.PasswordVersions[k.PasswordSecret] = ""
			if live != nil {
				data = live.Data
				if data == nil {
					data = map[string][]byte{}
				}
				w.State.PasswordVersions[k.PasswordSecret] = live.ResourceVersion
			}
			secrets[k.PasswordSecret] = data
		}
		password, err := k.Password(data)
		if err != nil {
			locked = append(locked, core.Locked{Keystore: k, Why: fault.Of(err)})
			continue
		}
		passwords[k.Keystore] = password
	}
	return passwords, locked, nil
}

// checkKeystores looks whether the keystores in the target Secret fit.
func (w *work) checkKeystores(ctx context.Context) error {
	live, err := w.asDecided(ctx)
	if err != nil {
		return err
	}
	passwords, locked, err := w.passwords(ctx)
	if err != nil {
		return err
	}
	check := w.State.CheckedKeystores(w.State.Present(live.Data), passwords, live.Data, locked, w.config.Limits)
	check.Next = w.Clock.Now().Add(core.KeystorePause)
	w.remember(check)
	return nil
}

// remember keeps what is known of the keystores.
func (w *work) remember(check core.KeystoreCheck) {
	*w.keystores.Of(w.subject.NamespacedName, w.State.Object.UID, nil) = check
	w.State.Keystores = check
}
