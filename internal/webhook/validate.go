// Package webhook serves the admission webhooks of cert-manager.io: it checks
// objects by the rules of package validation, and writes into CertificateRequests who
// has made them.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/validation"
)

// Validator answers requests to /validate.
type Validator struct {
	Gates validation.Gates
	// Limits are for the size of CSRs.
	Limits pki.Limits
	// Approval says who may approve and deny CertificateRequests.
	Approval Approval

	// slots bound how many objects are checked at once.
	slots *slots
}

// errResource is the answer to a request that does not say what it is about.
var errResource = errors.New("internal error: admission request Resource field is unset")

// Handle implements admission.Handler. All checks run; a refusal has the errors of
// all of them.
func (v *Validator) Handle(ctx context.Context, req admission.Request) admission.Response {
	switch req.Operation {
	case admissionv1.Create, admissionv1.Update:
	case admissionv1.Delete, admissionv1.Connect:
		return admission.Allowed("")
	default:
		return admission.Errored(http.StatusBadRequest, fmt.Errorf("unknown operation %q", req.Operation))
	}
	if req.Resource == (metav1.GroupVersionResource{}) {
		return admission.Denied(errResource.Error())
	}
	var f findings
	var err error
	if busy := v.slots.do(ctx, func() { f, err = v.check(&req.AdmissionRequest) }); busy != nil {
		return refusal(busy)
	}
	if errors.As(err, new(malformedError)) {
		return refusal(err)
	}
	if err != nil {
		f.errs = append(f.errs, err)
	}
	// Not in a slot: other requests need not wait until the API server answers.
	if f.decided != nil {
		if err := mayDecide(ctx, v.Approval, f.decided, req.UserInfo); err != nil {
			f.errs = slices.Insert(f.errs, f.identity, err)
		}
	}
	if text := validation.Text(f.errs, f.more); text != "" {
		return admission.Denied(text).WithWarnings(f.warnings...)
	}
	return admission.Allowed("").WithWarnings(f.warnings...)
}

// findings are what there is to say about an object.
type findings struct {
	errs []error
	// more is how many errors were left out.
	more     int
	warnings []string
	// decided is the request that is approved or denied, for which the user needs the
	// permission. The error about that comes after identity other errors.
	decided  *cmv1.CertificateRequest
	identity int
}

func (f *findings) add(errs ...*field.Error) {
	for _, err := range errs {
		f.errs = append(f.errs, err)
	}
}

func (f *findings) addResult(r validation.Result) {
	f.add(r.Errors...)
	f.more += r.MoreErrors
	f.warnings = append(f.warnings, r.Advice()...)
}

func of(r validation.Result) findings {
	var f findings
	f.addResult(r)
	return f
}

// checkIssuer checks an issuer.
func checkIssuer[T any, P interface {
	*T
	cmv1.GenericIssuer
}](req *admissionv1.AdmissionRequest) (findings, error) {
	issuer, err := decode[T, P](req, newObject)
	if err != nil {
		return findings{}, err
	}
	if req.Operation == admissionv1.Update {
		// One that cannot be read is no reason to refuse what takes its place.
		if old, err := decode[T, P](req, oldObject); err == nil {
			return of(validation.IssuerUpdate(old.GetSpec(), issuer.GetSpec())), nil
		}
	}
	return of(validation.Issuer(issuer.GetSpec())), nil
}

// check checks an object that is created or updated. The resource in the request
// decides by which rules, whatever its version. Other resources are accepted.
func (v *Validator) check(req *admissionv1.AdmissionRequest) (findings, error) {
	if req.SubResource != "" && req.SubResource != "status" {
		return findings{}, nil
	}
	update := req.Operation == admissionv1.Update
	switch [2]string{req.Resource.Group, req.Resource.Resource} {
	case [2]string{cmv1.GroupName, "certificates"}:
		crt, err := decode[cmv1.Certificate](req, newObject)
		if err != nil {
			return findings{}, err
		}
		return of(validation.Certificate(crt, v.Gates)), nil
	case [2]string{cmv1.GroupName, "certificaterequests"}:
		return v.checkRequest(req)
	case [2]string{cmv1.GroupName, "issuers"}:
		return checkIssuer[cmv1.Issuer](req)
	case [2]string{cmv1.GroupName, "clusterissuers"}:
		return checkIssuer[cmv1.ClusterIssuer](req)
	case [2]string{acmev1.GroupName, "orders"}:
		if !update {
			return findings{}, nil
		}
		old, order, err := decodeBoth[acmev1.Order](req)
		if err != nil {
			return findings{}, err
		}
		return of(validation.OrderUpdate(old, order)), nil
	case [2]string{acmev1.GroupName, "challenges"}:
		if !update {
			return findings{}, nil
		}
		old, challenge, err := decodeBoth[acmev1.Challenge](req)
		if err != nil {
			return findings{}, err
		}
		return of(validation.ChallengeUpdate(old, challenge)), nil
	default:
		return findings{}, nil
	}
}

// checkRequest checks a CertificateRequest: who has made it, and what it says.
func (v *Validator) checkRequest(req *admissionv1.AdmissionRequest) (findings, error) {
	var f findings
	if req.Operation == admissionv1.Create {
		cr, err := decode[cmv1.CertificateRequest](req, newObject)
		if err != nil {
			return f, err
		}
		f.add(validation.Requester(nil, cr, req.UserInfo)...)
		f.addResult(validation.CertificateRequestCreate(cr, v.Limits))
		return f, nil
	}
	old, cr, err := decodeBoth[cmv1.CertificateRequest](req)
	if err != nil {
		return f, err
	}
	f.add(validation.Requester(old, cr, req.UserInfo)...)
	if req.SubResource == "status" && validation.Decides(old, cr) {
		f.decided, f.identity = cr, len(f.errs)
	}
	f.addResult(validation.CertificateRequestUpdate(old, cr))
	return f, nil
}
