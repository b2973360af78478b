package facts

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

// TestOfRequestEnds has the conditions with which a request waits or ends.
func TestOfRequestEnds(t *testing.T) {
	made := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	since, failed := made.Add(time.Hour), made.Add(2*time.Hour)
	condition := func(kind cmv1.CertificateRequestConditionType, status cmmeta.ConditionStatus, reason string) cmv1.CertificateRequestCondition {
		return cmv1.CertificateRequestCondition{Type: kind, Status: status, Reason: reason, Message: "message", LastTransitionTime: &metav1.Time{Time: since}}
	}
	ready := func(status cmmeta.ConditionStatus, reason string) cmv1.CertificateRequestCondition {
		return condition(cmv1.CertificateRequestConditionReady, status, reason)
	}
	denied := condition(cmv1.CertificateRequestConditionDenied, cmmeta.ConditionTrue, "policy")
	invalid := condition(cmv1.CertificateRequestConditionInvalidRequest, cmmeta.ConditionTrue, "Bad")
	unnamed := condition(cmv1.CertificateRequestConditionDenied, cmmeta.ConditionTrue, "")
	undated := invalid
	undated.LastTransitionTime = nil
	failure := func(reason string, at time.Time) *Failure {
		return &Failure{Reason: reason, Message: "message", At: at}
	}
	refused := func(reason string, at time.Time) *Failure {
		f := failure(reason, at)
		f.Refused = true
		return f
	}
	for _, test := range []struct {
		name       string
		conditions []cmv1.CertificateRequestCondition
		failedAt   *metav1.Time
		failure    *Failure
		issued     bool
		waiting    string
	}{
		{"new", nil, nil, nil, false, ""},
		{"pending", []cmv1.CertificateRequestCondition{ready(cmmeta.ConditionFalse, "Pending")}, nil, nil, false, "message"},
		{"issued", []cmv1.CertificateRequestCondition{ready(cmmeta.ConditionTrue, "Issued")}, nil, nil, true, ""},
		{"failed", []cmv1.CertificateRequestCondition{ready(cmmeta.ConditionFalse, "Failed")}, nil, failure("Failed", since), false, ""},
		{"failed, with its time", []cmv1.CertificateRequestCondition{ready(cmmeta.ConditionFalse, "Failed")}, &metav1.Time{Time: failed}, failure("Failed", failed), false, ""},
		{"failed at a time, by an issuer of ours", nil, &metav1.Time{Time: failed}, nil, false, ""},
		{"refused by its issuer", []cmv1.CertificateRequestCondition{ready(cmmeta.ConditionFalse, "Denied")}, nil, refused("Denied", since), false, ""},
		{"denied", []cmv1.CertificateRequestCondition{denied}, nil, refused("policy", since), false, ""},
		{"denied without a reason", []cmv1.CertificateRequestCondition{unnamed}, nil, refused("Denied", since), false, ""},
		{"denied and issued", []cmv1.CertificateRequestCondition{ready(cmmeta.ConditionTrue, "Issued"), denied}, nil, refused("policy", since), false, ""},
		{"denied and invalid", []cmv1.CertificateRequestCondition{invalid, denied}, nil, refused("policy", since), false, ""},
		{"not denied", []cmv1.CertificateRequestCondition{condition(cmv1.CertificateRequestConditionDenied, cmmeta.ConditionFalse, "policy")}, nil, nil, false, ""},
		{"invalid", []cmv1.CertificateRequestCondition{invalid}, nil, refused("Bad", since), false, ""},
		{"invalid, without any time", []cmv1.CertificateRequestCondition{undated}, nil, refused("Bad", made), false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &cmv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.Time{Time: made}}}
			r.Status = cmv1.CertificateRequestStatus{Conditions: test.conditions, FailureTime: test.failedAt}
			f := OfRequest(r, pki.Limits{})
			same(t, test.failure, f.Failure)
			if f.Issued != test.issued || f.Waiting != test.waiting || f.Ended() != (test.issued || test.failure != nil) {
				t.Errorf("got %+v", f)
			}
		})
	}
}

func TestOfRequestRevision(t *testing.T) {
	for annotation, want := range map[string]int{"7": 7, "0": 0, "-1": 0, "x": 0, "": 0, "1 ": 0} {
		r := &cmv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{cmv1.CertificateRequestRevisionAnnotationKey: annotation}}}
		if got := OfRequest(r, pki.Limits{}).Revision; got != want {
			t.Errorf("%q: revision %d, want %d", annotation, got, want)
		}
	}
	if f := OfRequest(&cmv1.CertificateRequest{}, pki.Limits{}); f.Revision != 0 || f.CSRError == "" || f.Owner != "" || f.Answer != (Answer{}) {
		t.Errorf("an empty request: %+v", f)
	}
}

// TestOfRequestWithoutCondition has external issuers that report the time of a failure.
func TestOfRequestWithoutCondition(t *testing.T) {
	made := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	failed := metav1.Time{Time: made.Add(time.Hour)}
	pending := cmv1.CertificateRequestCondition{Type: cmv1.CertificateRequestConditionReady, Status: cmmeta.ConditionFalse, Reason: "Pending", Message: "message"}
	for _, test := range []struct {
		name       string
		failedAt   *metav1.Time
		conditions []cmv1.CertificateRequestCondition
		want       *Failure
	}{
		{"nothing", nil, nil, nil},
		{"a time", &failed, nil, &Failure{
			Reason: "Failed", At: failed.Time,
			Message: `Issuer.example.com "x" has reported a failure without a reason: CertificateRequest "web-1" has status.failureTime, but no condition Ready; see the controller of the issuer`,
		}},
		{"a time, and it goes on", &failed, []cmv1.CertificateRequestCondition{pending}, nil},
	} {
		r := &cmv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Name: "web-1", CreationTimestamp: metav1.Time{Time: made}}}
		r.Spec.IssuerRef = cmmeta.IssuerReference{Name: "x", Kind: "Issuer", Group: "example.com"}
		r.Status = cmv1.CertificateRequestStatus{Conditions: test.conditions, FailureTime: test.failedAt}
		same(t, test.want, OfRequest(r, pki.Limits{}).Failure)
	}
}

// TestOfRequestRow has what requests say of those before them; others can write it.
func TestOfRequestRow(t *testing.T) {
	made := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		failed, issuances string
		attempts          int
		row               Row
	}{
		{"", "", 0, Row{}},
		{"3", "7", 3, Row{Generation: 7}},
		{"-1", "7 2026-11-22T06:00:00Z 2026-11-22T07:00:00Z", 0, Row{7, []time.Time{made, made.Add(time.Hour)}}},
		{"99999999", "x", 1000, Row{}},
		{"x", "0 2026-11-22T06:00:00Z", 0, Row{}},
		{"1 ", "7 then", 0, Row{}},
		{"1", "7" + strings.Repeat(" 2026-11-22T06:00:00Z", 16), 1, Row{}},
	} {
		r := &cmv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
			FailedAttemptsAnnotation: test.failed, IssuancesAnnotation: test.issuances,
		}}}
		f := OfRequest(r, pki.Limits{})
		same(t, test.row, f.Row)
		if f.FailedAttempts != test.attempts {
			t.Errorf("%q: %d attempts", test.failed, f.FailedAttempts)
		}
		if f.Row.Generation != 0 && f.Row.String() != test.issuances {
			t.Errorf("%q reads back as %q", test.issuances, f.Row)
		}
	}
}
