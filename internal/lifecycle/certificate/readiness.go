package certificate

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/plan"
)

// readiness sets the Ready condition and what the status says about the leaf.
func (c State) readiness(p *Plan, now time.Time) {
	p.Status.NotBefore, p.Status.NotAfter, p.Status.RenewalTime = nil, nil, nil
	problem := ""
	if s := c.Secret; s != nil && s.Leaf == nil && s.Has(corev1.TLSCertKey) {
		// The advice is on a certificate that is not there any more.
		p.Status.ACME = nil
	}
	if s := c.Secret; s != nil && s.Leaf != nil {
		p.Status.NotBefore, p.Status.NotAfter = &metav1.Time{Time: s.Leaf.NotBefore}, &metav1.Time{Time: s.Leaf.NotAfter}
		r := c.renewal(revision(p.Status))
		if problem = r.problem; !r.at.IsZero() {
			p.Status.RenewalTime = &metav1.Time{Time: r.at}
		}
	}
	if v := c.violation(revision(p.Status), true, now); v != nil {
		c.set(p, cmv1.CertificateConditionReady, cmmeta.ConditionFalse, v.Reason, v.Message, now)
		return
	}
	if problem != "" {
		c.windowError(p, problem, now)
		return
	}
	c.set(p, cmv1.CertificateConditionReady, cmmeta.ConditionTrue, cmv1.CertificateReasonReady,
		"Certificate is up to date and has not expired", now)
}

// windowError says that the certificate is valid, and not renewed as the spec wants
// it. An event says so once: with the write of the status.
func (c State) windowError(p *Plan, problem string, now time.Time) {
	message := "Could not calculate renewal time: " + problem + "; the certificate is renewed without windows, at status.renewalTime; " + windowAdvice(problem)
	told := condition.Find(c.Object.Status.Conditions, cmv1.CertificateConditionReady)
	c.set(p, cmv1.CertificateConditionReady, cmmeta.ConditionFalse, cmv1.CertificateReasonWindowError, message, now)
	if (p.Do == nil || p.Persist == plan.Before) && (told == nil || told.Reason != cmv1.CertificateReasonWindowError || told.Message != message) {
		p.Events = append(p.Events, plan.Event{Warning: true, Reason: cmv1.CertificateReasonWindowError, Message: message, Component: ManagerReadiness})
	}
}

// windowAdvice says what to change for a renewal that cannot follow the spec.
func windowAdvice(problem string) string {
	switch {
	case strings.HasPrefix(problem, "cannot find a time"):
		return "correct spec.renewal.windows, none of which begins in the rest of the certificate's life, or renew earlier by spec.renewBefore"
	case strings.HasPrefix(problem, "error parsing cron"):
		return "correct the cron expression in spec.renewal.windows: minute (0-59), hour (0-23), day of the month (1-31), month (1-12), day of the week (0-6)"
	default:
		return "correct spec.renewal"
	}
}
