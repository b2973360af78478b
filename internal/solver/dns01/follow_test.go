package dns01_test

import (
	"context"
	"strings"
	"testing"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

func TestFollowCNAME(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.aliases = map[string]string{challenge: "x.example.com."}
	s := w.begin(func(spec *dns01.Spec) { spec.CNAMEStrategy = acmev1.FollowStrategy })
	w.want("Present", s.Present(ctx), "locate "+challenge+" true", "present x.example.com. as good", "zone as good")
	// The CA starts at the challenge name, and so does the probe.
	if got := w.verdict(s); got.State != propagation.Accept {
		t.Errorf("%+v", got)
	}
	w.want("Check", nil, "probe "+challenge+` mode 0 zone "example.com."`)
	w.aliases = nil
	w.want("CleanUp", s.CleanUp(ctx), "clean up x.example.com. as good")

	w.aliases = map[string]string{challenge: "y.example.com."}
	s = w.begin(func(spec *dns01.Spec) {
		spec.CNAMEStrategy, spec.Nameservers = acmev1.FollowStrategy, []string{"192.0.2.1:53", "192.0.2.2:53"}
	})
	w.want("Present", s.Present(ctx), "192.0.2.1:53,192.0.2.2:53 alias "+challenge, "192.0.2.1:53,192.0.2.2:53 alias y.example.com.",
		"present y.example.com. as good", "zone as good")
	// Resolvers cache that there is no record: they are not asked at once.
	if got := w.verdict(s); got.State != propagation.Wait || !got.Until.Equal(t0.Add(5*time.Second)) {
		t.Errorf("right after the update: %+v", got)
	}
	w.want("Check", nil, "192.0.2.1:53,192.0.2.2:53 authoritative example.com.")
	w.authoritative = true
	if got := w.verdict(s); got.State != propagation.Accept {
		t.Errorf("resolvers with the zone itself: %+v", got)
	}
	w.called()
	w.clock.SetTime(t0.Add(5 * time.Second))
	w.verdict(s)
	w.want("Check", nil, "192.0.2.1:53,192.0.2.2:53 probe "+challenge+` mode 1 zone "example.com."`)
}

// TestCNAMEChanges holds that each attempt to present looks for the CNAME record
// again, and that what was written at its former target is removed too.
func TestCNAMEChanges(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	follow := func(spec *dns01.Spec) { spec.CNAMEStrategy = acmev1.FollowStrategy }
	w.aliases = map[string]string{challenge: "x.example.com."}
	s := w.begin(follow)
	w.token = "other"
	if err := s.Present(ctx); err == nil {
		t.Fatal("the vendor accepted another token")
	}
	w.token = "good"
	w.records["x.example.com. "+value] = true
	w.aliases[challenge] = "y.example.com."
	if err := s.Present(ctx); err != nil {
		t.Fatal(err)
	}
	if !w.records["y.example.com. "+value] || s.String() != "y.example.com." {
		t.Errorf("presented at %s: %v", s, w.records)
	}
	if err := s.CleanUp(ctx); err != nil || len(w.records) != 0 {
		t.Errorf("CleanUp: %v, left: %v", err, w.records)
	}
}

// knowingVendor knows the CNAME records of its own zones.
type knowingVendor struct{ vendor }

func (v knowingVendor) Alias(_ context.Context, fqdn string) (string, bool, error) {
	v.w.calls = append(v.w.calls, "vendor alias "+fqdn)
	return "", strings.HasSuffix(fqdn, ".example.com."), nil
}

// TestFollowWithoutPoisoning holds that no resolver is asked for a CNAME record
// at a name of the provider's own zone: the name does not exist yet, and a
// resolver would cache that.
func TestFollowWithoutPoisoning(t *testing.T) {
	for name, test := range map[string]struct {
		dnsName string
		aliases map[string]string
		want    []string
	}{
		"no CNAME record": {"www.example.com", nil, []string{"vendor alias " + challenge, "present " + challenge + " as good", "zone as good"}},
		"a CNAME record elsewhere": {"www.example.net", map[string]string{"_acme-challenge.www.example.net.": "x.example.com."}, []string{
			"vendor alias _acme-challenge.www.example.net.", "192.0.2.1:53 alias _acme-challenge.www.example.net.", "vendor alias x.example.com.",
			"present x.example.com. as good", "zone as good",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.aliases, w.knows = test.aliases, true
			s := w.beginAt(test.dnsName, func(spec *dns01.Spec) {
				spec.CNAMEStrategy, spec.Nameservers = acmev1.FollowStrategy, []string{"192.0.2.1:53"}
			})
			w.want("Present", s.Present(t.Context()), test.want...)
		})
	}
}

// TestCNAMELoop ends.
func TestCNAMELoop(t *testing.T) {
	w := newWorld(t)
	w.aliases = map[string]string{challenge: "x.example.com.", "x.example.com.": challenge}
	s := w.begin(func(spec *dns01.Spec) {
		spec.CNAMEStrategy, spec.Nameservers = acmev1.FollowStrategy, []string{"192.0.2.1:53"}
	})
	if err := s.Present(t.Context()); err == nil || fault.Of(err).Reason != "CNAMELoop" {
		t.Errorf("%v", err)
	}
}
