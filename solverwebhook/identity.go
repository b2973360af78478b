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
	// name is namespace:name of a service account, or the name of a user.
	name string
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
	account, is := strings.CutPrefix(username, "system:serviceaccount:")
	_, name, found := strings.Cut(account, ":")
	if !is || !found {
		return identity{name: username, flag: "--user=" + username, binding: "solver-webhook"}
	}
	return identity{name: account, flag: "--serviceaccount=" + account, binding: name}
}
