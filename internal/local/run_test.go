package local_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/controlplane"
)

func TestControllersStopBeforeTheControlPlane(t *testing.T) {
	controlplane.BinDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out strings.Builder
	var user string
	broken := errors.New("could not release the lease")
	err := local.Run(ctx, local.Options{
		DataDir: t.TempDir(), UnsafeNoFsync: true, Stdout: &out,
		Run: func(ctx context.Context, config *rest.Config) error {
			cancel()
			<-ctx.Done()
			// The API server still answers the last writes of the controllers.
			review, err := clientFor(t, config).AuthenticationV1().SelfSubjectReviews().Create(context.WithoutCancel(ctx),
				&authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
			if err != nil {
				return err
			}
			user = review.Status.UserInfo.Username
			return broken
		},
	})
	if !errors.Is(err, broken) {
		t.Errorf("got error %v", err)
	}
	if user != local.ControllerUser {
		t.Errorf("controllers run as %q", user)
	}
	for _, want := range []string{"Ready after ", "  export KUBECONFIG=", "Ctrl-C stops everything.\n", "Stopping ...\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out.String())
		}
	}
}
