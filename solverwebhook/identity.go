package solverwebhook

import (
	"context"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// identity is who this process is for the API server.
type identity struct {
	// flag is the subject as kubectl create rolebinding takes it, and binding a name
	// for a binding.
	flag, binding string
}

func whoAmI(ctx context.Context, client kubernetes.Interface) (identity, error) {
	review, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return identity{}, err
	}
	return identityOf(review.Status.UserInfo.Username), nil
}

func identityOf(username string) identity {
	namespace, name, found := strings.Cut(strings.TrimPrefix(username, "system:serviceaccount:"), ":")
	if !found || !strings.HasPrefix(username, "system:serviceaccount:") {
		return identity{flag: "--user=" + username, binding: "solver-webhook"}
	}
	return identity{flag: "--serviceaccount=" + namespace + ":" + name, binding: name}
}
