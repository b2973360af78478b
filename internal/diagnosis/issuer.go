package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/issuer"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/plan"
)

// sealedWords are in what Vault and OpenBao say while they are sealed.
const sealedWords = "vault operator unseal"

func (e Evidence) issuerReady() bool {
	return e.Issuer != nil && e.Issuer.Status != nil && condition.True(e.Issuer.Status.Conditions, cmv1.IssuerConditionReady)
}

// issuer: the issuer does not exist or is not ready.
func (e Evidence) issuer() []Verdict {
	i := e.Issuer
	switch {
	case i == nil || i.Group != "" && i.Group != cmv1.SchemeGroupVersion.Group:
		return nil
	case i.Unread:
		return nil
	case !i.Found:
		return []Verdict{{
			Code: IssuerMissing, Object: i.Ref, Message: i.Ref.String() + " does not exist" + e.hint(),
			Fix: []string{"create it, or correct issuerRef (name, kind: Issuer is of the namespace, ClusterIssuer of the cluster)"},
		}}
	case e.issuerReady():
		return nil
	}
	v := Verdict{Code: IssuerNotReady, Object: i.Ref, Message: "the issuer is not ready"}
	v.Fix = []string{"correct what the message names; the certificates go on by themselves once the issuer is ready"}
	if i.Status != nil {
		if c := condition.Find(i.Status.Conditions, cmv1.IssuerConditionReady); c != nil {
			v.Message += fmt.Sprintf(": %s: %s", c.Reason, c.Message)
			v.NextTry = timeIn(c.Message)
			if issuer.IsWaiting(*c) {
				v.Fix = slices.Clone(unheard)
			}
		} else if e.Subject.Kind == i.Kind {
			v.Message += ": no controller has checked it"
		}
	}
	// Of the issuer itself, everything has been shown.
	if e.Subject != i.Ref {
		if i.Kind == cmv1.IssuerKind {
			v.Fix = append(v.Fix, fmt.Sprintf("$ kubectl describe issuer -n %s %s", i.Namespace, i.Name))
		} else {
			v.Fix = append(v.Fix, "$ kubectl describe clusterissuer "+i.Name)
		}
	}
	return []Verdict{v}
}

// unheard is what to do about a server that has not answered others.
var unheard = []string{
	"see whether the server that the message names runs, and can be reached from the cluster",
	"if it does, wait: there is nothing to correct, and everleaf goes on by itself",
}

// hint is what the request or the Certificate says more about a missing issuer.
func (e Evidence) hint() string {
	for _, s := range e.texts() {
		if _, more, ok := strings.Cut(s.text, "; but there is "); ok {
			return "; but there is " + more
		}
	}
	return ""
}

// issuerFails: the issuer is ready, but its server does not sign at present. The request
// waits for it.
func (e Evidence) issuerFails() []Verdict {
	r, i := e.Request, e.Issuer
	if r == nil || i == nil || i.Spec == nil {
		return nil
	}
	if of := facts.TypeOf(i.Spec); of != facts.IssuerVault && of != facts.IssuerVenafi {
		return nil
	}
	c := condition.Find(r.Status.Conditions, cmv1.CertificateRequestConditionReady)
	if c == nil || c.Status == cmmeta.ConditionTrue || c.Reason != cmv1.CertificateRequestReasonPending {
		return nil
	}
	v := Verdict{
		Code: IssuerFails, Object: e.refOf(cmv1.CertificateRequestKind, r.Name), NextTry: timeIn(c.Message),
		Message: fmt.Sprintf("%s is ready, but cannot sign at present: %s", i.Ref, c.Message),
	}
	const goesOn = "the request waits, and everleaf goes on by itself at the next try: there is nothing to delete or to renew"
	switch {
	case request.IsWaiting(c.Message):
		v.Fix = slices.Clone(unheard)
	case !plan.HasNextTry(c.Message):
		// It is on its way, or waits for a Secret.
		return nil
	case strings.Contains(c.Message, sealedWords):
		v.Fix = []string{"unseal Vault, on each of its nodes:", "$ vault operator unseal", goesOn}
	default:
		v.Fix = []string{
			"correct what the message names: see whether the issuer's server runs, can be reached from the cluster, and accepts the issuer's credentials",
			goesOn,
		}
	}
	return []Verdict{v}
}
