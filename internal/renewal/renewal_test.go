package renewal

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

func TestValidate(t *testing.T) {
	a := []string{"a"}
	for want, which := range map[string]Which{
		"": {Names: a},
		`cannot specify the Certificate resource names ["a"] in conjunction with the --all flag`:                                                 {Names: a, All: true},
		`cannot specify the Certificate resource names ["a"] in conjunction with the --all flag and a label selector`:                            {Names: a, All: true, Selector: "b=c"},
		`cannot specify the Certificate resource names ["a"] in conjunction with a label selector`:                                               {Names: a, Selector: "b=c"},
		`cannot specify a label selector in conjunction with the --all flag`:                                                                     {All: true, Selector: "b=c"},
		`cannot specify Certificate names in conjunction with --all-namespaces flag`:                                                             {Names: a, AllNamespaces: true},
		`please either supply one or more Certificate resource names, label selectors, or use the --all flag to renew all Certificate resources`: {AllNamespaces: true},
	} {
		got := ""
		if err := which.Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%+v:\ngot  %s\nwant %s", which, got, want)
		}
	}
	for _, right := range []Which{{All: true}, {All: true, AllNamespaces: true}, {Selector: "a=b"}, {Selector: "a=b", AllNamespaces: true}} {
		if err := right.Validate(); err != nil {
			t.Errorf("%+v: %v", right, err)
		}
	}
}

var (
	now    = time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	before = metav1.NewTime(now.Add(-time.Hour))
)

func TestRequested(t *testing.T) {
	at := metav1.NewTime(now)
	ready := cmv1.CertificateCondition{Type: "Ready", Status: cmmeta.ConditionTrue, Reason: "Ready", LastTransitionTime: &before}
	foreign := cmv1.CertificateCondition{Type: "example.com/Mine", Status: "Unknown"}
	want := cmv1.CertificateCondition{
		Type: "Issuing", Status: cmmeta.ConditionTrue, Reason: "ManuallyTriggered", Message: "Certificate re-issuance manually triggered",
		LastTransitionTime: &at, ObservedGeneration: 3,
	}
	failed := cmv1.CertificateCondition{Type: "Issuing", Status: cmmeta.ConditionFalse, Reason: "Failed", LastTransitionTime: &before}
	for name, conditions := range map[string][]cmv1.CertificateCondition{"none": {ready, foreign}, "failed": {ready, foreign, failed}} {
		crt := &cmv1.Certificate{ObjectMeta: metav1.ObjectMeta{Generation: 3}, Status: cmv1.CertificateStatus{Conditions: conditions}}
		if diff := cmp.Diff([]cmv1.CertificateCondition{ready, foreign, want}, Requested(crt, now)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

func TestProgress(t *testing.T) {
	type answer struct {
		State   State
		Message string
	}
	issuing := func(status cmmeta.ConditionStatus, message string) []cmv1.CertificateCondition {
		return []cmv1.CertificateCondition{{Type: "Issuing", Status: status, Reason: "R", Message: message}}
	}
	key := "www-abc"
	two, three := 2, 3
	for name, test := range map[string]struct {
		status cmv1.CertificateStatus
		want   answer
	}{
		"in progress":            {cmv1.CertificateStatus{Conditions: issuing(cmmeta.ConditionTrue, "m"), Revision: &two}, answer{Pending, "m"}},
		"a revision, and again":  {cmv1.CertificateStatus{Conditions: issuing(cmmeta.ConditionTrue, "m"), Revision: &three}, answer{Pending, "m"}},
		"the key is still there": {cmv1.CertificateStatus{NextPrivateKeySecretName: &key, Revision: &three}, answer{Pending, "the issuance is being completed"}},
		"issued":                 {cmv1.CertificateStatus{Revision: &three}, answer{Issued, ""}},
		"issued, with a gate":    {cmv1.CertificateStatus{Conditions: issuing(cmmeta.ConditionFalse, "issued"), Revision: &three}, answer{Issued, ""}},
		"failed":                 {cmv1.CertificateStatus{Conditions: issuing(cmmeta.ConditionFalse, "why"), Revision: &two}, answer{Failed, "why"}},
		"withdrawn":              {cmv1.CertificateStatus{Revision: &two}, answer{Failed, "the request for an issuance was withdrawn"}},
	} {
		state, message := Progress(&cmv1.Certificate{Status: test.status}, 2)
		if diff := cmp.Diff(test.want, answer{state, message}); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}
