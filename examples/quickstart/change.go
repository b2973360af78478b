package main

import (
	"cmp"
	"strings"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

const (
	kindClusterIssuer      = "ClusterIssuer"
	kindCertificate        = "Certificate"
	kindCertificateRequest = "CertificateRequest"
	kindOrder              = "Order"
	kindChallenge          = "Challenge"

	created = "created"
)

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
		c := change{kind: kindClusterIssuer, name: o.Name, text: created}
		for _, cond := range o.Status.Conditions {
			if cond.Type == cmv1.IssuerConditionReady {
				c.ready, c.text = readiness(cond.Status, cond.Reason, cond.Message)
			}
		}
		return c, true
	case *cmv1.Certificate:
		return describeCertificate(o), true
	case *cmv1.CertificateRequest:
		return describeRequest(o), true
	case *acmev1.Order:
		return change{kind: kindOrder, name: o.Name, text: progress(o.Status.State, o.Status.Reason)}, true
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
	c := change{kind: kindCertificate, name: o.Name, text: created}
	for _, cond := range o.Status.Conditions {
		if cond.Type == cmv1.CertificateConditionReady {
			c.ready, c.text = readiness(cond.Status, cond.Reason, cond.Message)
		}
	}
	for _, cond := range o.Status.Conditions {
		if cond.Type != cmv1.CertificateConditionIssuing {
			continue
		}
		if cond.Status == cmmeta.ConditionTrue {
			c.text = "Issuing (" + cond.Reason + "): " + cond.Message
		} else if !c.ready {
			c.text = "failed (" + cond.Reason + "): " + cond.Message
		}
	}
	return c
}

func describeRequest(o *cmv1.CertificateRequest) change {
	c := change{kind: kindCertificateRequest, name: o.Name, text: created}
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
	c := change{kind: kindChallenge, name: o.Name, about: o.Spec.DNSName}
	if o.Spec.Wildcard {
		c.about = "*." + o.Spec.DNSName
	}
	c.text = progress(o.Status.State, o.Status.Reason)
	if o.Status.Presented && !final(o.Status.State) {
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

func final(s acmev1.State) bool {
	switch s {
	case acmev1.Valid, acmev1.Invalid, acmev1.Expired, acmev1.Errored:
		return true
	}
	return false
}
