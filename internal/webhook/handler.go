package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	admissionmetrics "sigs.k8s.io/controller-runtime/pkg/webhook/admission/metrics"
)

// newHandler serves /validate and /mutate. An AdmissionReview may have 7 MiB, which is
// the old and the new object as large as the API server accepts them.
func newHandler(validator *Validator, log logr.Logger) (http.Handler, error) {
	mux := http.NewServeMux()
	slots := newSlots()
	validator.slots = slots
	for path, handler := range map[string]admission.Handler{"/validate": validator, "/mutate": slots.bound(admission.HandlerFunc(Mutate))} {
		handle, err := admission.StandaloneWebhook(&admission.Webhook{Handler: guard(handler, log)}, admission.StandaloneOptions{Logger: log, MetricsPath: path})
		if err != nil {
			return nil, fmt.Errorf("serve %s: %w", path, err)
		}
		mux.Handle(path, handle)
	}
	return mux, nil
}

// guard limits how long a handler takes, logs what it refuses, and has one that
// panics refuse without a word about its insides.
func guard(next admission.Handler, log logr.Logger) admission.Handler {
	return admission.HandlerFunc(func(ctx context.Context, req admission.Request) (response admission.Response) {
		log := log.WithValues("operation", logged(string(req.Operation)), "resource", logged(req.Resource.Resource),
			"namespace", logged(req.Namespace), "name", logged(req.Name), "user", logged(req.UserInfo.Username))
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		defer func() {
			if r := recover(); r != nil {
				admissionmetrics.WebhookPanics.WithLabelValues().Inc()
				log.Error(fmt.Errorf("panic: %v", r), "Answer an admission request: failed; the request is refused", "stack", string(debug.Stack()))
				response = admission.Errored(http.StatusInternalServerError, errors.New("internal error: the webhook has failed; its log says why"))
			}
		}()
		response = next.Handle(ctx, req)
		if !response.Allowed {
			log.V(2).Info("Refused", "message", logged(response.Result.Message))
		}
		return response
	})
}
