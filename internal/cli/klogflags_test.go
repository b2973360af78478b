package cli

import (
	"strings"
	"testing"
)

// TestKlogFlags holds that the flags of klog that cert-manager accepts are accepted by
// every program, with a warning, and that no help shows them.
func TestKlogFlags(t *testing.T) {
	const line = "--logtostderr --alsologtostderr=false --stderrthreshold=2 --log-dir=/logs --log-file= --log-file-max-size=1800 " +
		"--log-backtrace-at=a.go:1 --add-dir-header --skip-headers=true --one-output --skip-log-headers"
	for _, name := range []string{"controller", "webhook", "cainjector", "startupapicheck check api", "local"} {
		cmd := command(t, newRootCommand(), strings.Fields(name)...)
		var warnings strings.Builder
		cmd.Flags().SetOutput(&warnings)
		if err := cmd.ParseFlags(strings.Fields(line)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, arg := range strings.Fields(line) {
			flag, _, _ := strings.Cut(arg, "=")
			if strings.Contains(cmd.UsageString(), flag+" ") {
				t.Errorf("%s: the help shows %s", name, flag)
			}
			if want := "Flag " + flag + " has been deprecated, it has no effect, because the log goes to standard error; remove it\n"; !strings.Contains(warnings.String(), want) {
				t.Errorf("%s: got the warnings\n%s\nwant %s", name, warnings.String(), want)
			}
		}
		for _, wrong := range []string{"--logtostderr=many", "--log-file-max-size=-1"} {
			if err := cmd.ParseFlags([]string{wrong}); err == nil {
				t.Errorf("%s: %s is accepted", name, wrong)
			}
		}
	}
}
