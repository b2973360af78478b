package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLocalRefusesWrongFlagsFirst runs `everleaf local` with wrong flags of the
// controllers, and without the programs of a control plane, which it would report
// missing.
func TestLocalRefusesWrongFlagsFirst(t *testing.T) {
	for flags, want := range map[string]string{
		"--events=none":                          `--events: must be brief or all, not "none"`,
		"--concurrent-workers=0 --controllers=a": `--controllers: "a" is not in the list of known controllers: `,
		"--dns01-recursive-nameservers=a:0":      `--dns01-recursive-nameservers: name server "a:0" has no valid port`,
		"--metrics-listen-address=a":             `--metrics-listen-address: cannot listen on "a": `,
		"--logging-format=a":                     `--logging-format: Invalid value: "a": `,
	} {
		t.Run(flags, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			var out, errs strings.Builder
			args := append([]string{"local", "--data-dir=" + data, "--bin-dir=" + t.TempDir()}, strings.Fields(flags)...)
			if status := Main(t.Context(), args, &out, &errs); status != 1 {
				t.Errorf("exit status %d", status)
			}
			if want := "everleaf: controllers: " + want; !strings.HasPrefix(errs.String(), want) {
				t.Errorf("got error  %s\nwant       %s", errs.String(), want)
			}
			if diff := cmp.Diff("", out.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if _, err := os.Stat(data); !os.IsNotExist(err) {
				t.Errorf("the data directory: %v", err)
			}
		})
	}
}
