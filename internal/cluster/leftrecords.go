package cluster

import (
	"context"

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
type LeftRecords struct {
	Core      kubernetes.Interface
	Namespace string
}

// Load returns what was saved last, nothing if there is none.
func (l LeftRecords) Load(ctx context.Context) ([]byte, error) {
	secret, err := l.Core.CoreV1().Secrets(l.Namespace).Get(ctx, LeftRecordsName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return secret.Data[leftRecordsKey], nil
}

// Save replaces it; nothing removes the Secret.
func (l LeftRecords) Save(ctx context.Context, data []byte) error {
	secrets := l.Core.CoreV1().Secrets(l.Namespace)
	if len(data) == 0 {
		err := secrets.Delete(ctx, LeftRecordsName, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: LeftRecordsName}, Data: map[string][]byte{leftRecordsKey: data}}
	_, err := secrets.Update(ctx, secret, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		_, err = secrets.Create(ctx, secret, metav1.CreateOptions{})
	}
	return err
}
