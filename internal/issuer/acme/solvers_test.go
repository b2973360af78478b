package acme

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/solver/dns01/rfc2136"
)

// TestUnusable holds that the Ready message names the solvers that this version
// cannot use, and is cert-manager's word for word without such a solver.
func TestUnusable(t *testing.T) {
	own := acmev1.ACMEChallengeSolver{DNS01: &acmev1.ACMEChallengeSolverDNS01{RFC2136: &acmev1.ACMEIssuerDNS01ProviderRFC2136{}}}
	http01 := acmev1.ACMEChallengeSolver{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{}}
	other := acmev1.ACMEChallengeSolver{DNS01: &acmev1.ACMEChallengeSolverDNS01{Cloudflare: &acmev1.ACMEIssuerDNS01ProviderCloudflare{}}}
	for name, test := range map[string]struct {
		solvers []acmev1.ACMEChallengeSolver
		want    string
	}{
		"none": {nil, ""},
		"own":  {[]acmev1.ACMEChallengeSolver{own}, ""},
		"others": {
			[]acmev1.ACMEChallengeSolver{http01, own, other},
			"; spec.acme.solvers[2] is a DNS-01 provider that this version of everleaf does not have yet; it has rfc2136",
		},
	} {
		if diff := cmp.Diff(test.want, (&Type{Solvers: dns01.Registry{rfc2136.Factory()}}).unusable(&acmev1.ACMEIssuer{Solvers: test.solvers})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
