package http01

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecide(t *testing.T) {
	ready := choice{Mode: Auto, Configured: true, Ready: true}
	with := func(change func(*choice)) choice {
		c := ready
		change(&c)
		return c
	}
	for _, test := range []struct {
		name string
		choice
		want decision
	}{
		{"auto", ready, decision{Mode: byResponder}},
		{"auto, podTemplate", with(func(c *choice) { c.Template = true }), decision{Mode: inPod, Why: "the solver has a podTemplate"}},
		{"auto, a pod is there", with(func(c *choice) { c.HasPod = true }), decision{Mode: inPod, Why: "a solver pod exists already"}},
		{"auto, EndpointSlices forbidden", with(func(c *choice) { c.Forbidden = true }), decision{Mode: inPod, Why: "the controllers may not write EndpointSlices in this namespace"}},
		{"auto, not configured", choice{Mode: Auto}, decision{Mode: inPod, Why: "the responder is not reachable as a pod (--acme-http01-responder-service is not set)"}},
		{"auto, none ready yet", with(func(c *choice) { c.Ready = false }), decision{Problem: "no pod of the shared responder is ready yet"}},
		{"auto, none ready for long", with(func(c *choice) { c.Ready, c.Absent = false, true }), decision{Mode: inPod, Why: "no pod of the shared responder is ready"}},
		{"auto, not known yet", with(func(c *choice) {
			c.Ready, c.Obstacle = false, "the EndpointSlices have not been read yet"
		}), decision{Problem: "the EndpointSlices have not been read yet"}},
		{"auto, not known for long", with(func(c *choice) {
			c.Ready, c.Absent, c.Obstacle = false, true, "the EndpointSlices have not been read yet: forbidden"
		}), decision{Mode: inPod, Why: "the EndpointSlices have not been read yet: forbidden"}},
		{"auto, podTemplate, not known", with(func(c *choice) {
			c.Ready, c.Template, c.Obstacle = false, true, "x"
		}), decision{Mode: inPod, Why: "the solver has a podTemplate"}},
		{"shared, not known for long", with(func(c *choice) {
			c.Mode, c.Ready, c.Absent, c.Obstacle = Shared, false, true, "x"
		}), decision{Problem: "x"}},
		{"pod, not known", choice{Mode: InPod, Configured: true, Obstacle: "x"}, decision{Mode: inPod, Why: "--acme-http01-solver-mode=pod"}},
		{"auto, none ready for long, but long is over", with(func(c *choice) { c.Absent = true }), decision{Mode: byResponder}},
		{"shared", with(func(c *choice) { c.Mode, c.Template, c.HasPod = Shared, true, true }), decision{Mode: byResponder}},
		{"shared, not configured", choice{Mode: Shared}, decision{Problem: "no pod of the shared responder is known: set --acme-http01-responder-service, or --acme-http01-solver-mode=auto"}},
		{"shared, none ready", choice{Mode: Shared, Configured: true, Absent: true}, decision{Problem: "no pod of the shared responder is ready: see the endpoints of the Service of --acme-http01-responder-service"}},
		{"pod", with(func(c *choice) { c.Mode = InPod }), decision{Mode: inPod, Why: "--acme-http01-solver-mode=pod"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.decide()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
