package solvertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
	"github.com/everleaf/everleaf/solverwebhook"
)

// Remote returns a solver that is asked through the API server: to test one that is
// installed in a cluster.
func Remote(client kubernetes.Interface, groupName, solverName string) solverwebhook.Solver {
	return &remote{client: client, name: solverName, path: fmt.Sprintf("/apis/%s/%s/%s", groupName, v1alpha1.SchemeGroupVersion.Version, solverName)}
}

type remote struct {
	client     kubernetes.Interface
	name, path string
}

// Name implements solverwebhook.Solver.
func (r *remote) Name() string { return r.name }

// Present implements solverwebhook.Solver.
func (r *remote) Present(ctx context.Context, q *v1alpha1.ChallengeRequest) error {
	return r.ask(ctx, q)
}

// CleanUp implements solverwebhook.Solver.
func (r *remote) CleanUp(ctx context.Context, q *v1alpha1.ChallengeRequest) error {
	return r.ask(ctx, q)
}

func (r *remote) ask(ctx context.Context, q *v1alpha1.ChallengeRequest) error {
	body, err := json.Marshal(v1alpha1.ChallengePayload{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: v1alpha1.ChallengePayloadKind},
		Request:  q,
	})
	if err != nil {
		return err
	}
	raw, err := r.client.Discovery().RESTClient().Post().AbsPath(r.path).SetHeader("Content-Type", "application/json").Body(body).DoRaw(ctx)
	if err != nil {
		status := metav1.Status{}
		if json.Unmarshal(raw, &status) == nil && status.Message != "" {
			return fmt.Errorf("%w: %s", err, status.Message)
		}
		return err
	}
	answer := v1alpha1.ChallengePayload{}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("the answer is not a ChallengePayload: %w", err)
	}
	switch response := answer.Response; {
	case response == nil:
		return errors.New("the answer has no response")
	case response.UID != q.UID:
		return fmt.Errorf("the response has UID %q, and the request %q", response.UID, q.UID)
	case response.Success:
		return nil
	case response.Result == nil || response.Result.Message == "":
		return errors.New("the response says neither success nor why not")
	default:
		return errors.New(response.Result.Message)
	}
}
