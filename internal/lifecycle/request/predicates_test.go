package request

import (
	"testing"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

func TestRequestStates(t *testing.T) {
	ready := func(status cmmeta.ConditionStatus, reason string) cmv1.CertificateRequestCondition {
		return readyCond(status, reason, "")
	}
	tests := []struct {
		name           string
		conditions     []cmv1.CertificateRequestCondition
		decided, ended bool
	}{
		{"new", nil, false, false},
		{"pending", []cmv1.CertificateRequestCondition{ready(cmmeta.ConditionFalse, "Pending")}, false, false},
		{"approved", []cmv1.CertificateRequestCondition{approvedCond}, true, false},
		{"denied", []cmv1.CertificateRequestCondition{deniedCond}, true, false},
		{"denied and reported", []cmv1.CertificateRequestCondition{deniedCond, ready(cmmeta.ConditionFalse, "Denied")}, true, true},
		{"invalid", []cmv1.CertificateRequestCondition{invalidCond}, true, true},
		{"failed", []cmv1.CertificateRequestCondition{approvedCond, ready(cmmeta.ConditionFalse, "Failed")}, true, true},
		{"reason Failed, status Unknown", []cmv1.CertificateRequestCondition{approvedCond, ready(cmmeta.ConditionUnknown, "Failed")}, true, false},
		{"reason Denied, no status", []cmv1.CertificateRequestCondition{ready("", "Denied")}, false, false},
		{"issued", []cmv1.CertificateRequestCondition{approvedCond, ready(cmmeta.ConditionTrue, "Issued")}, true, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := &cmv1.CertificateRequest{Status: cmv1.CertificateRequestStatus{Conditions: test.conditions}}
			if decided, ended := Decided(r), Ended(r); decided != test.decided || ended != test.ended {
				t.Errorf("decided %t, ended %t", decided, ended)
			}
		})
	}
}

func TestOnlyApproves(t *testing.T) {
	status := func(certificate string, conditions ...cmv1.CertificateRequestCondition) cmv1.CertificateRequestStatus {
		return cmv1.CertificateRequestStatus{Conditions: conditions, Certificate: []byte(certificate)}
	}
	pending := readyCond(cmmeta.ConditionFalse, "Pending", "")
	tests := []struct {
		name      string
		was, will cmv1.CertificateRequestStatus
		want      bool
	}{
		{"approval", status(""), status("", approvedCond), true},
		{"approval and what comes next", status(""), status("", approvedCond, pending), true},
		{"approval and certificate", status(""), status("x", approvedCond, pending), false},
		{"what comes after approval", status("", approvedCond), status("", approvedCond, pending), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := onlyApproves(&cmv1.CertificateRequest{Status: test.was}, test.will); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
