package challenge

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"

	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

// TestSettings reads the annotations of an issuer, and sends an event, once, for each
// that cannot be used as it is.
func TestSettings(t *testing.T) {
	type values struct {
		floor     *time.Duration
		selfCheck propagation.Deadline
	}
	const deadline, onDeadline = core.DeadlineAnnotation, core.OnDeadlineAnnotation
	for name, test := range map[string]struct {
		annotations map[string]string
		want        values
		says        []string
	}{
		"none":          {nil, values{}, nil},
		"floor":         {map[string]string{CacheFloorAnnotation: "60s"}, values{floor: ptr.To(time.Minute)}, nil},
		"longest floor": {map[string]string{CacheFloorAnnotation: "1h"}, values{floor: ptr.To(time.Hour)}, nil},
		"too long a floor": {
			map[string]string{CacheFloorAnnotation: "1h0.1s"},
			values{floor: ptr.To(time.Hour)},
			[]string{`The annotation everleaf.io/acme-dns-cache-floor of Issuer "one" is "1h0.1s", which is not a duration from 0s to 1h0m0s; it is taken as 1h0m0s`},
		},
		"negative floor": {
			map[string]string{CacheFloorAnnotation: "-1s"},
			values{},
			[]string{`The annotation everleaf.io/acme-dns-cache-floor of Issuer "one" is "-1s", which is not a duration from 0s to 1h0m0s; it is ignored`},
		},
		"no duration": {
			map[string]string{CacheFloorAnnotation: "60", deadline: "soon"},
			values{},
			[]string{
				`The annotation everleaf.io/acme-dns-cache-floor of Issuer "one" is "60", which is not a duration from 0s to 1h0m0s; it is ignored`,
				`The annotation everleaf.io/self-check-deadline of Issuer "one" is "soon", which is not a duration from 10s to 168h0m0s; it is ignored`,
			},
		},
		"deadline":          {map[string]string{deadline: "10m"}, values{selfCheck: propagation.Deadline{After: 10 * time.Minute}}, nil},
		"deadline and wait": {map[string]string{deadline: "10m", onDeadline: "wait"}, values{selfCheck: propagation.Deadline{After: 10 * time.Minute}}, nil},
		"deadline and ask":  {map[string]string{deadline: "10m", onDeadline: "ask-ca"}, values{selfCheck: propagation.Deadline{After: 10 * time.Minute, AskCA: true}}, nil},
		"too short": {
			map[string]string{deadline: "1s", onDeadline: "ask-ca"},
			values{},
			[]string{
				`The annotation everleaf.io/self-check-deadline of Issuer "one" is "1s", which is not a duration from 10s to 168h0m0s; it is ignored`,
				`The annotation everleaf.io/self-check-on-deadline of Issuer "one" is "ask-ca", which has no effect without a valid annotation everleaf.io/self-check-deadline`,
			},
		},
		"unknown word": {
			map[string]string{deadline: "10m", onDeadline: "Ask"},
			values{selfCheck: propagation.Deadline{After: 10 * time.Minute}},
			[]string{`The annotation everleaf.io/self-check-on-deadline of Issuer "one" is "Ask", which is neither wait nor ask-ca; it is taken as wait`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := acmeIssuer("one")
			issuer.Annotations = test.annotations
			s := newStage(t, issuer, challengeOf("a", "one", "o"))
			w := s.load(t, "a")
			got := values{w.challenge(s.stored(t, "a")).CacheFloor, w.SelfCheck}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(values{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			for range 2 {
				if _, err := w.session(); err != nil {
					t.Fatal(err)
				}
			}
			var want []plan.Event
			for _, message := range test.says {
				want = append(want, plan.Event{Warning: true, Reason: "InvalidAnnotation", Component: core.Manager, Message: message})
			}
			if diff := cmp.Diff(want, s.api.events); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
