package servingcert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// replaceAuthority stores a new CA, but not again and again if something else keeps
// changing the Secret.
func (s *Source) replaceAuthority(ctx context.Context, secret *corev1.Secret, now time.Time, why error) (time.Duration, error) {
	if hold := s.brake.hold(why, now); hold > 0 {
		return min(hold, checkPeriod), s.keep(s.brake.complaint(why, hold))
	}
	if wait := storePeriod - now.Sub(s.stored).Abs(); !s.stored.IsZero() && wait > 0 {
		return wait, nil
	}
	s.stored, s.base = now, versionOf(secret)
	err := s.storeAuthority(ctx, secret, now, why)
	if err == nil && s.brake.refused != nil {
		return checkPeriod, s.keep(s.brake.complaint(why, s.brake.hold(s.brake.refused, now)))
	}
	if err == nil {
		return checkPeriod, nil
	}
	err = fmt.Errorf("store a CA in Secret %s/%s: %w", s.config.Namespace, s.config.Name, err)
	if why.Error() == expired {
		err = fmt.Errorf("internal error: CA certificate has expired, try again later: %w", err)
	}
	return checkPeriod, err
}

func (s *Source) keep(c *contested) error {
	return fmt.Errorf("keep the CA in Secret %s/%s: %w", s.config.Namespace, s.config.Name, c)
}

// versionOf is the version of a Secret, which may not exist.
func versionOf(secret *corev1.Secret) string {
	if secret == nil {
		return ""
	}
	return secret.ResourceVersion
}

// storeAuthority stores a new CA. Another replica may do so at the same time:
// the first wins, and its Secret is an event.
func (s *Source) storeAuthority(ctx context.Context, secret *corev1.Secret, now time.Time, why error) error {
	data, err := newAuthority(now, s.previous(secret, now))
	if err != nil {
		return err
	}
	secrets := s.core.CoreV1().Secrets(s.config.Namespace)
	var answer *corev1.Secret
	if secret == nil {
		answer, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: s.config.Namespace, Name: s.config.Name,
				Labels:      map[string]string{"app.kubernetes.io/managed-by": s.config.ManagedBy},
				Annotations: map[string]string{directInjection: "true"},
			},
			Type: corev1.SecretTypeOpaque, Data: data,
		}, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
	} else {
		values := []any{"namespace", s.config.Namespace, "secret", s.config.Name, "reason", why.Error()}
		var clocks *clockError
		if errors.As(why, &clocks) {
			values = append(values, times(clocks.ca, now)...)
		}
		s.log.Info("The Secret gets a new CA", values...)
		changed := secret.DeepCopy()
		if changed.Data == nil {
			changed.Data = map[string][]byte{}
		}
		delete(changed.Data, crossKey)
		maps.Copy(changed.Data, data)
		answer, err = secrets.Update(ctx, changed, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return nil
		}
	}
	if err != nil {
		return err
	}
	s.brake.stored(answer.Data, altered(data, answer.Data), now)
	return nil
}

// altered says how the API server has stored other data than was sent; nil if it has
// not. Keys that were not sent do not matter.
func altered(sent, stored map[string][]byte) error {
	var missing, other []string
	for _, key := range slices.Sorted(maps.Keys(sent)) {
		switch {
		case len(stored[key]) == 0:
			missing = append(missing, key)
		case !bytes.Equal(stored[key], sent[key]):
			other = append(other, key)
		}
	}
	var how []string
	if len(missing) > 0 {
		how = append(how, "without "+strings.Join(missing, ", "))
	}
	if len(other) > 0 {
		how = append(how, "with another "+strings.Join(other, ", "))
	}
	if len(how) == 0 {
		return nil
	}
	return fmt.Errorf("the API server has stored it %s: change the admission webhook or policy that alters the Secret", strings.Join(how, " and "))
}

// previous is the CA that clients trust so far: the one in the Secret, or, if it
// cannot be used, the one that this process serves with. It is nil if there is none.
func (s *Source) previous(secret *corev1.Secret, now time.Time) *authority {
	if secret != nil {
		if ca, err := read(secret.Data); err == nil && ca.valid(now) {
			return ca
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return nil
	}
	return s.current.by
}
