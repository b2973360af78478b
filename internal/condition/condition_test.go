package condition

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

var (
	before = &metav1.Time{Time: time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)}
	after  = &metav1.Time{Time: before.Add(time.Hour)}
)

func is(kind cmv1.CertificateConditionType, status cmmeta.ConditionStatus, message string, since *metav1.Time) cmv1.CertificateCondition {
	return cmv1.CertificateCondition{Type: kind, Status: status, Message: message, LastTransitionTime: since}
}

func TestSetAndRemove(t *testing.T) {
	issuing := is("Issuing", cmmeta.ConditionTrue, "", before)
	ready := is("Ready", cmmeta.ConditionTrue, "old", before)
	tests := []struct {
		name     string
		have     []cmv1.CertificateCondition
		set      cmv1.CertificateCondition
		want     []cmv1.CertificateCondition
		leftover []cmv1.CertificateCondition
	}{
		{"first", nil, ready, []cmv1.CertificateCondition{ready}, nil},
		{"added", []cmv1.CertificateCondition{issuing}, ready, []cmv1.CertificateCondition{issuing, ready}, []cmv1.CertificateCondition{issuing}},
		{
			"same status keeps its time",
			[]cmv1.CertificateCondition{ready, issuing},
			is("Ready", cmmeta.ConditionTrue, "new", after),
			[]cmv1.CertificateCondition{is("Ready", cmmeta.ConditionTrue, "new", before), issuing},
			[]cmv1.CertificateCondition{issuing},
		},
		{
			"other status",
			[]cmv1.CertificateCondition{ready, issuing},
			is("Ready", cmmeta.ConditionFalse, "new", after),
			[]cmv1.CertificateCondition{is("Ready", cmmeta.ConditionFalse, "new", after), issuing},
			[]cmv1.CertificateCondition{issuing},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			kept := append([]cmv1.CertificateCondition(nil), test.have...)
			got := Set(test.have, test.set)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("set (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.leftover, Remove(got, test.set.Type), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("removed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(kept, test.have); diff != "" {
				t.Errorf("the argument was changed:\n%s", diff)
			}
		})
	}
}

func TestFind(t *testing.T) {
	conditions := []cmv1.IssuerCondition{{Type: "Other", Status: cmmeta.ConditionTrue}, {Type: "Ready", Status: cmmeta.ConditionUnknown}}
	for kind, want := range map[cmv1.IssuerConditionType]cmmeta.ConditionStatus{
		"Other": cmmeta.ConditionTrue, "Ready": cmmeta.ConditionUnknown, "None": "",
	} {
		if got := Status(conditions, kind); got != want {
			t.Errorf("%s: status %q, want %q", kind, got, want)
		}
		if got := True(conditions, kind); got != (want == cmmeta.ConditionTrue) {
			t.Errorf("%s: true %t", kind, got)
		}
	}
	if Find(conditions, "Ready") != &conditions[1] || Find(conditions, "None") != nil {
		t.Error("Find must point into the conditions, or be nil")
	}
}

func TestApproved(t *testing.T) {
	request := func(conditions ...cmv1.CertificateRequestConditionType) *cmv1.CertificateRequest {
		r := &cmv1.CertificateRequest{}
		for _, c := range conditions {
			r.Status.Conditions = append(r.Status.Conditions, cmv1.CertificateRequestCondition{Type: c, Status: cmmeta.ConditionTrue})
		}
		return r
	}
	for name, test := range map[string]struct {
		request *cmv1.CertificateRequest
		want    bool
	}{
		"new":                 {request(), false},
		"approved":            {request("Approved"), true},
		"denied":              {request("Denied"), false},
		"approved and denied": {request("Approved", "Denied"), false},
	} {
		if got := Approved(test.request); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
