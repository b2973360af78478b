package foreign

import (
	"errors"
	"io"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// APIServer says what a Kubernetes API server answers instead of what it was asked for, or
// why it cannot be reached, without addresses, ports and versions, which change.
func APIServer(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status().Message
	}
	why, _ := Unreachable(err)
	return "the API server cannot be reached: " + why
}

// WatchEnded reports whether an error of a watch is only its end, which API servers bring
// about at any time. An EOF inside of another error is that of a request.
func WatchEnded(err error) bool {
	return err == io.EOF || err == io.ErrUnexpectedEOF || apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}
