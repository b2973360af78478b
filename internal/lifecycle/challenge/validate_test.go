package challenge

import (
	"strings"
	"testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
)

func TestBeingValidated(t *testing.T) {
	a := &acme.Authorization{Challenges: []acme.Challenge{{URL: "a", Status: acme.StatusProcessing}, {URL: "b", Status: acme.StatusPending}}}
	for url, want := range map[string]bool{"a": true, "b": false, "c": false} {
		if got := BeingValidated(a, url); got != want {
			t.Errorf("%s: %t", url, got)
		}
	}
	samePlan(t, []string{"x"}, WithoutFinalizers([]string{acmev1.ACMEFinalizer, "x", acmev1.ACMELegacyFinalizer}))
}

// TestAlreadyAccepted holds that a server that validates already was not
// refused anything.
func TestAlreadyAccepted(t *testing.T) {
	for _, test := range []struct {
		status int
		kind   string
		want   bool
	}{
		{409, acme.TypeConflict, true},
		{400, acme.TypeConflict, true},
		{409, acme.TypeMalformed, true},
		{400, acme.TypeMalformed, false},
		{500, acme.TypeServerInternal, false},
	} {
		err := &acme.Problem{Type: acme.ErrorNamespace + test.kind, Status: test.status}
		if got := AlreadyAccepted(acme.Classify(err, now)); got != test.want {
			t.Errorf("%d %s: %t", test.status, test.kind, got)
		}
	}
	if AlreadyAccepted(nil) {
		t.Error("no error is none")
	}
}

func TestMissed(t *testing.T) {
	for kind, want := range map[string]bool{acme.TypeUnauthorized: true, acme.TypeDNS: true, acme.TypeIncorrectResponse: true, acme.TypeCAA: false, "": false} {
		a := &acme.Authorization{Challenges: []acme.Challenge{{URL: "c"}}}
		if kind != "" {
			a.Challenges[0].Error = &acme.Problem{Type: acme.ErrorNamespace + kind, Detail: "found other values"}
		}
		if got := Missed(a, "c"); (got != "") != want || want && !strings.Contains(got, "found other values") {
			t.Errorf("%q: %q", kind, got)
		}
	}
}
