package main

import (
	"cmp"
	"strings"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
)

const created = "created"

// change is the content of one line about an object.
type change struct {
	kind, name string
	// about is more about the object, in parentheses.
	about string
	text  string
	ready bool
}

func (c change) line() string {
	if c.about != "" {
		return c.name + " (" + c.about + "): " + c.text
	}
	return c.name + ": " + c.text
}

func describe(o any) (change, bool) {
	switch o := o.(type) {
	case *cmv1.ClusterIssuer:
		c := change{kind: cmv1.ClusterIssuerKind, name: o.Name, text: created}
		if ready := condition.Find(o.Status.Conditions, cmv1.IssuerConditionReady); ready != nil {
			c.ready, c.text = readiness(ready.Status, ready.Reason, ready.Message)
		}
		return c, true
	case *cmv1.Certificate:
		return describeCertificate(o), true
	case *cmv1.CertificateRequest:
		return describeRequest(o), true
	case *acmev1.Order:
		return change{kind: acmev1.OrderKind, name: o.Name, text: progress(o.Status.State, o.Status.Reason)}, true
	case *acmev1.Challenge:
		return describeChallenge(o), true
	default:
		return change{}, false
	}
}

func readiness(status cmmeta.ConditionStatus, reason, message string) (bool, string) {
	if status == cmmeta.ConditionTrue {
		return true, "Ready: " + message
	}
	return false, "not Ready (" + reason + "): " + message
}

// describeCertificate prefers the Issuing condition to Ready.
func describeCertificate(o *cmv1.Certificate) change {
	c := change{kind: cmv1.CertificateKind, name: o.Name, text: created}
	if ready := condition.Find(o.Status.Conditions, cmv1.CertificateConditionReady); ready != nil {
		c.ready, c.text = readiness(ready.Status, ready.Reason, ready.Message)
	}
	issuing := condition.Find(o.Status.Conditions, cmv1.CertificateConditionIssuing)
	switch {
	case issuing == nil:
	case issuing.Status == cmmeta.ConditionTrue:
		c.text = "Issuing (" + issuing.Reason + "): " + issuing.Message
	case !c.ready:
		c.text = "failed (" + issuing.Reason + "): " + issuing.Message
	}
	return c
}

func describeRequest(o *cmv1.CertificateRequest) change {
	c := change{kind: cmv1.CertificateRequestKind, name: o.Name, text: created}
	var done []string
	for _, cond := range o.Status.Conditions {
		switch {
		case cond.Type == cmv1.CertificateRequestConditionReady && cond.Status == cmmeta.ConditionTrue:
			c.ready = true
			done = append(done, "Ready: "+cond.Message)
		case cond.Type == cmv1.CertificateRequestConditionReady:
			done = append(done, cond.Reason+": "+cond.Message)
		case cond.Status == cmmeta.ConditionTrue:
			done = append(done, string(cond.Type))
		}
	}
	if len(done) > 0 {
		c.text = strings.Join(done, "; ")
	}
	return c
}

func describeChallenge(o *acmev1.Challenge) change {
	c := change{kind: acmev1.ChallengeKind, name: o.Name, about: o.Spec.DNSName}
	if o.Spec.Wildcard {
		c.about = "*." + o.Spec.DNSName
	}
	c.text = progress(o.Status.State, o.Status.Reason)
	if o.Status.Presented && !o.Status.State.Final() {
		c.text = "TXT record presented; " + c.text
	}
	if o.DeletionTimestamp != nil {
		c.text = "being deleted"
	}
	return c
}

func progress(state acmev1.State, reason string) string {
	switch {
	case reason == "":
		return cmp.Or(string(state), created)
	case state == "":
		return reason
	default:
		return string(state) + ": " + reason
	}
}
