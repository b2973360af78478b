package plan

import (
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/pki"
)

// toldAfter is how many failures of an action in a row are reported although the
// API server does not refuse it: fewer are common, and end within a second.
const toldAfter = 4

// Obstacle says why an action has failed, what ends that and when the next try is,
// or returns "" if the action may well succeed a moment later. Equal obstacles
// have equal texts. advice is for what the API server refuses, nil for the usual.
// Of an action that carries a private key no value is repeated.
func Obstacle(f Failure, advice func(Refusal) string) string {
	if advice == nil {
		advice = Refusal.Advice
	}
	_, secret := f.Action.(Secret)
	lasts := f.Attempts >= toldAfter
	var cause string
	var known *fault.Error
	var data *pki.DataError
	refusal, refused := RefusalOf(f.Err, secret)
	answer := apierrors.ReasonForError(f.Err)
	switch classified := errors.As(f.Err, &known); {
	case classified && (known.Reason != "" || lasts):
		cause = known.Message
	case classified:
	case refused:
		cause = refusal.Cause + "; " + advice(refusal)
	case errors.As(f.Err, &data):
		cause = data.Error()
	case lasts && answer != metav1.StatusReasonUnknown:
		cause = fmt.Sprintf("the API server answers %q", answer)
	case lasts && !secret:
		cause = f.Err.Error()
	}
	if cause == "" {
		return ""
	}
	switch failure := fault.Of(f.Err); failure.Class {
	case fault.Later:
		return cause + nextTry + "at " + failure.At.UTC().Format(time.RFC3339)
	case fault.Transient:
		return cause + nextTry + "within " + InWords(APIServer.Max)
	default:
		return cause + nextTry + "within " + InWords(fault.UserRetry)
	}
}
