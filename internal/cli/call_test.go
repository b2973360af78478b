package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCallOf(t *testing.T) {
	for program, want := range map[string]call{
		"/usr/bin/everleaf":                  {name: "everleaf"},
		"everleaf-linux-amd64":               {name: "everleaf"},
		"/opt/kubectl-cert_manager":          {name: "kubectl cert-manager"},
		"kubectl-cert_manager.exe":           {name: "kubectl cert-manager"},
		"/opt/kubectl_complete-cert_manager": {name: "kubectl cert-manager", completion: true},
		"cmctl":                              {name: "cmctl"},
		"":                                   {name: "everleaf"},
	} {
		if diff := cmp.Diff(want, callOf(program), cmp.AllowUnexported(call{})); diff != "" {
			t.Errorf("%s: -want +got:\n%s", program, diff)
		}
	}
}

// TestPlugin: as a plugin of kubectl, everything that a user reads has the name that was
// typed, and kubectl's question for words is answered.
func TestPlugin(t *testing.T) {
	run := func(program string, args ...string) (string, string, int) {
		var out, errs strings.Builder
		status := Run(t.Context(), program, args, &out, &errs)
		return out.String(), errs.String(), status
	}
	out, _, status := run("/opt/kubectl-cert_manager", "renew", "--help")
	if status != 0 || !strings.Contains(out, "kubectl cert-manager renew www api -n shop") || !strings.Contains(out, "  kubectl cert-manager renew [NAME...] [flags]") || strings.Contains(out, "everleaf") {
		t.Errorf("exit status %d:\n%s", status, out)
	}
	if _, errs, status := run("kubectl-cert_manager", "renew"); status != 1 || !strings.HasPrefix(errs, "kubectl cert-manager: please either supply one or more Certificate resource names") {
		t.Errorf("exit status %d: %s", status, errs)
	}
	if out, _, status := run("kubectl_complete-cert_manager", "st"); status != 0 || !strings.HasPrefix(out, "startupapicheck\t") && !strings.HasPrefix(out, "status\t") {
		t.Errorf("exit status %d:\n%s", status, out)
	}
}
