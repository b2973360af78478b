package cli

import (
	"encoding/json"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestDescribeBuild(t *testing.T) {
	noted := func(version, modified string) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "5d1f"}, {Key: "vcs.modified", Value: modified},
		}}
	}
	for name, test := range map[string]struct {
		release, commit string
		info            *debug.BuildInfo
		want            build
		text            string
	}{
		"an image":             {"v1.2.3", "9a7c", &debug.BuildInfo{}, build{Version: "v1.2.3", Commit: "9a7c"}, "v1.2.3 (commit 9a7c)"},
		"the linker wins":      {"v1.2.3", "9a7c", noted("v1.2.2", "true"), build{Version: "v1.2.3", Commit: "9a7c"}, "v1.2.3 (commit 9a7c)"},
		"go build":             {"", "", noted("v1.2.4-0.2026", "false"), build{Version: "v1.2.4-0.2026", Commit: "5d1f"}, "v1.2.4-0.2026 (commit 5d1f)"},
		"go build of changes":  {"", "", noted("v1.2.4-0.2026+dirty", "true"), build{Version: "v1.2.4-0.2026+dirty", Commit: "5d1f-dirty"}, "v1.2.4-0.2026+dirty (commit 5d1f-dirty)"},
		"go install":           {"", "", &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, build{Version: "v1.2.3"}, "v1.2.3"},
		"nothing is known":     {"", "", nil, build{Version: "unknown"}, "unknown"},
		"only the linker says": {"v1.2.3", "9a7c-dirty", nil, build{Version: "v1.2.3", Commit: "9a7c-dirty"}, "v1.2.3 (commit 9a7c-dirty)"},
	} {
		got := describeBuild(test.release, test.commit, test.info)
		if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(build{}, "Go", "Compiler", "Platform")); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
		if got.String() != test.text {
			t.Errorf("%s: %q, want %q", name, got, test.text)
		}
	}
}

func TestVersionCommand(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	// An image's linker flags set these.
	release, commit = "v1.2.3", "9a7c"
	t.Cleanup(func() { release, commit = "", "" })
	platform := runtime.GOOS + "/" + runtime.GOARCH
	for args, want := range map[string]string{
		"--version":                "everleaf version v1.2.3 (commit 9a7c)\n",
		"version --client":         "Client Version: v1.2.3 (commit 9a7c), " + runtime.Version() + " " + platform + "\n",
		"version --client --short": "Client Version: v1.2.3\n",
		// No cluster is configured.
		"version --short":          "Client Version: v1.2.3\n",
		"version --client -o yaml": "clientVersion:\n  compiler: gc\n  gitCommit: 9a7c\n  gitVersion: v1.2.3\n  goVersion: " + runtime.Version() + "\n  platform: " + platform + "\n",
	} {
		var out, errs strings.Builder
		if status := Main(t.Context(), strings.Fields(args), &out, &errs); status != 0 || out.String() != want {
			t.Errorf("%s: exit status %d, %q%s, want %q", args, status, out.String(), errs.String(), want)
		}
	}
	var out, errs strings.Builder
	if status := Main(t.Context(), []string{"version", "--client", "-o", "json"}, &out, &errs); status != 0 {
		t.Fatalf("exit status %d: %s", status, errs.String())
	}
	var got versions
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(versions{Client: build{"v1.2.3", "9a7c", runtime.Version(), "gc", platform}}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	errs.Reset()
	if status := Main(t.Context(), []string{"version", "-o", "text"}, &out, &errs); status != 1 || errs.String() != "everleaf: --output must be '', 'yaml' or 'json'\n" {
		t.Errorf("exit status %d: %s", status, errs.String())
	}
}
