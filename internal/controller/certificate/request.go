package certificate

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/pki"
)

func (w *work) deleteRequests(ctx context.Context, requests []*facts.Request) error {
	for _, r := range requests {
		object := &cmv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: r.Name, UID: r.UID}}
		if err := w.Server.Delete(ctx, w.subject, cmv1.CertificateRequestKind, object); err != nil {
			return err
		}
		w.State.Requests = slices.DeleteFunc(slices.Clone(w.State.Requests), func(o *facts.Request) bool { return o.UID == r.UID })
	}
	return nil
}

func (w *work) createRequest(ctx context.Context, a core.CreateRequest) error {
	crt := w.State.Object
	key, _ := w.memory.held()
	keyName := w.nextKeyName()
	if a.Key != nil {
		keyName = a.Key.Name
		if key == nil || pki.DigestOf(key.Public()) != a.Key.KeyDigest {
			stored, err := w.readKey(ctx, keyName)
			if err != nil {
				return err
			}
			key = stored
		}
	}
	csr, err := pki.BuildRequest(core.TemplateOf(&crt.Spec), key, w.config.Limits)
	if err != nil {
		return fault.New(fault.Permanent, cmv1.EventReasonRequestFailed, "Failed to generate CSR: %v", err)
	}
	request := &cmv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       crt.Namespace,
			Name:            core.RequestName(crt.Name, a.Revision),
			Labels:          maps.Clone(crt.Labels),
			Annotations:     w.requestAnnotations(keyName, a),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(crt, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind))},
		},
		Spec: cmv1.CertificateRequestSpec{
			IssuerRef: crt.Spec.IssuerRef, Request: csr, IsCA: crt.Spec.IsCA,
			// The answer is decoded into this object, which must not be the
			// cache's.
			Usages: slices.Clone(crt.Spec.Usages),
		},
	}
	if crt.Spec.Duration != nil {
		request.Spec.Duration = &metav1.Duration{Duration: crt.Spec.Duration.Duration}
	}
	w.Identity.Sign(ctx, &request.Spec)
	if err := w.create(ctx, request, a.Revision); err != nil {
		w.Identity.Refused(err)
		return err
	}
	w.Identity.Check(&request.Spec)
	made := facts.OfRequest(request, w.config.Limits)
	w.State.Requests = append(w.State.Requests, made)
	w.note().request = made.UID
	w.note().count(crt.Generation, &w.note().requests)
	if changed := core.Changed(crt, made, pki.DigestOf(key.Public()), a.Revision, keyName); len(changed) > 0 {
		// It must not be signed, and made again it would be no better.
		if err := w.deleteRequests(ctx, []*facts.Request{made}); err != nil {
			return err
		}
		return fault.New(fault.Permanent, cmv1.EventReasonRequestFailed,
			"CertificateRequest %q was changed while it was created: %s are not as they were sent; find the admission policy or webhook that changes CertificateRequests",
			request.Name, strings.Join(changed, ", "))
	}
	if a.Key != nil {
		// The key is stored, so it need not be kept here.
		w.note().hold(nil, time.Time{})
	}
	return nil
}

func (w *work) requestAnnotations(keyName string, a core.CreateRequest) map[string]string {
	annotations := map[string]string{}
	for k, v := range w.State.Object.Annotations {
		if facts.Copied(w.config.CopiedAnnotations, k) {
			annotations[k] = v
		}
	}
	// It names another request at the server: this one would get that one's certificate.
	delete(annotations, cmv1.VenafiPickupIDAnnotationKey)
	annotations[cmv1.CertificateRequestRevisionAnnotationKey] = strconv.Itoa(a.Revision)
	annotations[cmv1.CertificateRequestPrivateKeyAnnotationKey] = keyName
	annotations[cmv1.CertificateNameKey] = w.State.Object.Name
	for _, own := range []struct {
		name, value string
		says        bool
	}{
		{facts.IssuerVersionAnnotation, w.IssuerVersion, w.IssuerVersion != ""},
		{facts.FailedAttemptsAnnotation, strconv.Itoa(a.FailedAttempts), a.FailedAttempts > 0},
		{facts.IssuancesAnnotation, a.Row.String(), a.Row.Generation > 0},
	} {
		if delete(annotations, own.name); own.says {
			annotations[own.name] = own.value
		}
	}
	return annotations
}
