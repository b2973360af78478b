package cli

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/klog/v2/textlogger"

	"github.com/everleaf/everleaf/internal/apicheck"
)

// TestStartupAPICheckRefuses has wrong flags. The last ones are right: a cluster is
// looked for.
func TestStartupAPICheckRefuses(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	const looked = "find the cluster: stat "
	for _, test := range []struct{ args, want string }{
		{"", "the command is: everleaf startupapicheck check api"},
		{"check", "check what? There is: api"},
		{"check webhook", `unknown command "webhook"`},
		{"check api more", `unknown command "more"`},
		{"check api --admission=cel", `--admission: must be webhook, policies or auto, not "cel"`},
		{"check api --wait=-1s", "--wait: must not be negative, as -1s is"},
		{"check api --wait=1m --interval=0s", "--interval: must be greater than 0, not 0s"},
		{"check api --wait=1", `invalid argument "1" for "--wait" flag`},
		{"check api --logging-format=xml", "--logging-format: "},
		{"check api -v high", `unexpected argument "high": if it is the value of -v, it must be a number, as in -v=3`},
		{"check api -v=2 3", `unexpected argument "3": if it is the value of -v, it must be a number, as in -v=3`},
		{"check api -v 3 --wait=1m --interval=1s --admission=policies -n tls", looked},
	} {
		args := append([]string{"startupapicheck"}, strings.Fields(test.args)...)
		if test.want == looked {
			args = append(args, "--kubeconfig="+missing)
		}
		var out, errs strings.Builder
		status := Main(t.Context(), args, &out, &errs)
		if want := "everleaf: " + test.want; status != 1 || !strings.HasPrefix(errs.String(), want) {
			t.Errorf("%s: exit status %d\ngot  %s\nwant %s", test.args, status, errs.String(), want)
		}
	}
}

// TestStartupAPICheckVerbosity has the ways to write -v: the chart passes it without a
// value, as cert-manager's does.
func TestStartupAPICheckVerbosity(t *testing.T) {
	for args, want := range map[string]string{
		"": "0", "-v": "2", "-v --wait=1m": "2", "-v=5": "5", "--v=1": "1",
		"-v 3": "3", "--v 4 --wait=1m": "4", "-v3": "3", "--wait=1m -v 0": "0", "-v --wait=1m -v 6": "6",
	} {
		cmd := command(t, newRootCommand(), "startupapicheck", "check", "api")
		joined := joinVerbosity(append([]string{"startupapicheck", "check", "api"}, strings.Fields(args)...))
		if err := cmd.ParseFlags(joined[3:]); err != nil {
			t.Errorf("%q: %v", args, err)
		}
		if got := cmd.Flags().Lookup("v").Value.String(); got != want || cmd.Flags().NArg() > 0 {
			t.Errorf("%q: verbosity %s, want %s", args, got, want)
		}
	}
}

func TestLogNotReady(t *testing.T) {
	for want, err := range map[string]error{
		`"Not ready" err="a part" underlyingError="an answer" hint="a hint"`: &apicheck.NotReady{Text: "a part", Cause: errors.New("an answer"), Hint: "a hint"},
		`"Not ready" err="the same" underlyingError=null hint="a hint"`:      &apicheck.NotReady{Text: "the same", Cause: errors.New("the same"), Hint: "a hint"},
		`"Not ready" err="a part" underlyingError=null hint="a hint"`:        &apicheck.NotReady{Text: "a part", Hint: "a hint"},
		`"Not ready" err="another"`:                                          errors.New("another"),
	} {
		var log strings.Builder
		logger := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log), textlogger.Verbosity(2)))
		logNotReady(logger.V(2), err)
		if got := strings.TrimSpace(log.String()); !strings.HasSuffix(got, want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		log.Reset()
		logNotReady(textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log), textlogger.Verbosity(1))).V(2), err)
		if log.Len() > 0 {
			t.Errorf("without -v: %s", log.String())
		}
	}
}
