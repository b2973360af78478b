package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/everleaf/everleaf/internal/installed"
)

// The linker sets these in images; see tools/image. A binary built in another way has
// what Go notes about its module.
var (
	// release is a version such as v1.2.3.
	release string
	// commit is a commit's hash, with "-dirty" after it if files differed from it.
	commit string
)

// build says what this program was built from, in the words of kubectl and of
// cert-manager's command-line tool.
type build struct {
	Version string `json:"gitVersion"`
	// Commit is empty if it is not known.
	Commit   string `json:"gitCommit,omitempty"`
	Go       string `json:"goVersion"`
	Compiler string `json:"compiler"`
	Platform string `json:"platform"`
}

func thisBuild() build {
	info, _ := debug.ReadBuildInfo()
	return describeBuild(release, commit, info)
}

// describeBuild puts together what the linker set and what Go noted, which can be nil.
func describeBuild(release, commit string, info *debug.BuildInfo) build {
	b := build{Version: release, Commit: commit, Go: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH}
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

// versions is what everleaf version prints.
type versions struct {
	Client build `json:"clientVersion"`
	// Server is nil if no cluster was asked.
	Server *serverVersion `json:"serverVersion,omitempty"`
}

// serverVersion is what is installed in a cluster.
type serverVersion struct {
	Detected string `json:"detected"`
}

func newVersionCommand() *cobra.Command {
	var (
		to                connection
		output            string
		clientOnly, short bool
	)
	cmd := &cobra.Command{
		Use: "version", Short: "Print the release of this program, and the one in the cluster", Args: cobra.NoArgs,
		Long: `Prints the release and the commit that this program was built from, and the release
that the CRDs in the cluster belong to. Without a configured cluster only the first is
printed.`,
	}
	flags := cmd.Flags()
	to.addFlags(cmd)
	addOutput(cmd, &output)
	flags.BoolVar(&clientOnly, "client", false, "ask no cluster")
	flags.BoolVar(&short, "short", false, "print the release only, without commit, Go and platform")
	startLog := addQuietLogging(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if output != "" && output != "yaml" && output != "json" {
			return errors.New("--output must be '', 'yaml' or 'json'")
		}
		if err := startLog(); err != nil {
			return err
		}
		found := versions{Client: thisBuild()}
		var err error
		if !clientOnly {
			found.Server, err = to.serverVersion(cmd.Context())
		}
		if output != "" {
			return errors.Join(printStructured(cmd.OutOrStdout(), output, found), err)
		}
		fmt.Fprint(cmd.OutOrStdout(), found.text(short))
		return err
	}
	return cmd
}

// text has a line for each version.
func (v versions) text(short bool) string {
	text := fmt.Sprintf("Client Version: %s, %s %s\n", v.Client, v.Client.Go, v.Client.Platform)
	if short {
		text = fmt.Sprintf("Client Version: %s\n", v.Client.Version)
	}
	if v.Server != nil {
		text += fmt.Sprintf("Server Version: %s\n", v.Server.Detected)
	}
	return text
}

// serverVersion asks the cluster, nil if none is configured.
func (c *connection) serverVersion(ctx context.Context) (*serverVersion, error) {
	config, _, err := c.open("everleaf-version", "")
	switch {
	case errors.Is(err, errNoCluster):
		return nil, nil
	case err != nil:
		return nil, err
	}
	cluster, err := crdClient(config)
	if err != nil {
		return nil, err
	}
	crds, err := installedCRDs(ctx, cluster)
	if err != nil {
		return nil, err
	}
	version, err := installed.Version(crds)
	if err != nil {
		return nil, err
	}
	return &serverVersion{Detected: version}, nil
}
