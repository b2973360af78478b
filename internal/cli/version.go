package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// The linker sets these in images; see tools/image. A binary built in another way has
// what Go notes about its module.
var (
	// release is a version such as v1.2.3.
	release string
	// commit is a commit's hash, with "-dirty" after it if files differed from it.
	commit string
)

// build says what this program was built from.
type build struct {
	Version string `json:"version"`
	// Commit is empty if it is not known.
	Commit   string `json:"commit,omitempty"`
	Go       string `json:"goVersion"`
	Platform string `json:"platform"`
}

func thisBuild() build {
	info, _ := debug.ReadBuildInfo()
	return describeBuild(release, commit, info)
}

// describeBuild puts together what the linker set and what Go noted, which can be nil.
func describeBuild(release, commit string, info *debug.BuildInfo) build {
	b := build{Version: release, Commit: commit, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if b.Version != "" {
		return b
	}
	b.Version = "unknown"
	if info == nil {
		return b
	}
	b.Version = info.Main.Version
	modified := ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			b.Commit = setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true":
			modified = "-dirty"
		}
	}
	if b.Commit != "" {
		b.Commit += modified
	}
	return b
}

// String is the version, with the commit if it is known.
func (b build) String() string {
	if b.Commit == "" {
		return b.Version
	}
	return fmt.Sprintf("%s (commit %s)", b.Version, b.Commit)
}

func newVersionCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "version", Short: "Print the release and the commit of this program", Args: cobra.NoArgs,
		Long: `Prints the release and the commit that this program was built from. No cluster is
asked.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := thisBuild()
			switch output {
			case "text":
				fmt.Fprintf(cmd.OutOrStdout(), "everleaf version %s\n%s %s\n", b, b.Go, b.Platform)
				return nil
			case "json":
				return json.NewEncoder(cmd.OutOrStdout()).Encode(b)
			default:
				return fmt.Errorf("--output: must be text or json, not %q", output)
			}
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}
