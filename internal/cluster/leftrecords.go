package cluster

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	// LeftRecordsName is the name of the Secret of LeftRecords.
	LeftRecordsName = "everleaf-records-left-behind"
	leftRecordsKey  = "records.json"
)

// LeftRecords keeps what the next process is to know of records that could not be
// removed, in a Secret: nothing in it is secret, but whoever can write Secrets in this
// namespace, that of the ClusterIssuers' Secrets, can do all that the issuers can. The
// Secret exists only while there are such records.
//
// Each write names the Secret as it was last seen, so that a process that has lost its
// lease does not replace what its successor has written.
type LeftRecords struct {
	Core      kubernetes.Interface
	Namespace string

	mu sync.Mutex
	// seen is the Secret as it was last seen, nil if there was none.
	seen *corev1.Secret
}

// Load returns what was saved last, nothing if there is none.
func (l *LeftRecords) Load(ctx context.Context) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.look(ctx); err != nil || l.seen == nil {
		return nil, err
	}
	return l.seen.Data[leftRecordsKey], nil
}

func (l *LeftRecords) look(ctx context.Context) error {
	secret, err := l.Core.CoreV1().Secrets(l.Namespace).Get(ctx, LeftRecordsName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		l.seen = nil
	case err != nil:
		return err
	default:
		l.seen = secret
	}
	return nil
}

// Save replaces it; nothing removes the Secret. If somebody else has written or removed
// the Secret since it was last seen, Save changes nothing and returns ErrStale. A later
// Save replaces that too: a caller that has lost its lease must not make one.
func (l *LeftRecords) Save(ctx context.Context, data []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	had := l.seen != nil
	err := l.write(ctx, data)
	if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && (!had || !apierrors.IsNotFound(err)) {
		return err
	}
	if err := l.look(ctx); err != nil {
		return err
	}
	if len(data) == 0 && l.seen == nil {
		return nil
	}
	return fmt.Errorf("%w: somebody else has changed the Secret %s/%s", ErrStale, l.Namespace, LeftRecordsName)
}

func (l *LeftRecords) write(ctx context.Context, data []byte) error {
	secrets := l.Core.CoreV1().Secrets(l.Namespace)
	var err error
	var written *corev1.Secret
	switch {
	case len(data) == 0 && l.seen == nil:
		return nil
	case len(data) == 0:
		seen := metav1.Preconditions{UID: &l.seen.UID, ResourceVersion: &l.seen.ResourceVersion}
		err = secrets.Delete(ctx, LeftRecordsName, metav1.DeleteOptions{Preconditions: &seen})
	case l.seen == nil:
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: LeftRecordsName}, Data: map[string][]byte{leftRecordsKey: data}}
		written, err = secrets.Create(ctx, secret, metav1.CreateOptions{})
	default:
		secret := l.seen.DeepCopy()
		secret.Data = map[string][]byte{leftRecordsKey: data}
		written, err = secrets.Update(ctx, secret, metav1.UpdateOptions{})
	}
	if err == nil {
		l.seen = written
	}
	return err
}
