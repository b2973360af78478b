package cluster

import (
	"cmp"
	"context"
	"errors"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// ForProviders is the API server as DNS providers need it. It implements
// dns01.Cluster.
type ForProviders struct{ Core kubernetes.Interface }

// ServiceAccountToken returns a token of a service account for audiences
// (TokenRequest of authentication.k8s.io/v1).
func (p ForProviders) ServiceAccountToken(ctx context.Context, namespace, name string, audiences []string, lifetime time.Duration) (string, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: audiences, ExpirationSeconds: ptr.To(int64(lifetime / time.Second)),
	}}
	answer, err := p.Core.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return answer.Status.Token, nil
}

// Ask sends a request to a path of the API server, such as that of an aggregated API.
func (p ForProviders) Ask(ctx context.Context, method, path string, body []byte) (answer []byte, status int, err error) {
	result := p.Core.CoreV1().RESTClient().Verb(method).AbsPath(path).
		SetHeader("Content-Type", "application/json").SetHeader("Accept", "application/json").
		Body(body).MaxRetries(0).Do(ctx).StatusCode(&status)
	answer, err = result.Raw()
	if refused := (apierrors.APIStatus)(nil); errors.As(err, &refused) {
		// The client drops what is not JSON, with the status code.
		return answer, cmp.Or(status, int(refused.Status().Code)), nil
	}
	return answer, status, err
}
