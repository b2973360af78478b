package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/semver"
	"sigs.k8s.io/yaml"
)

// chartFile is the one source of the version.
const chartFile = "charts/everleaf/Chart.yaml"

// source is a checkout.
type source struct {
	dir string
	// version is that of the chart and of the image, such as v0.1.0.
	version string
	// commit is 40 or 64 hex digits.
	commit string
	// committed is the commit's time, in UTC.
	committed time.Time
	// dirty means that the checkout is not what the commit has.
	dirty bool
}

// revision is the commit, marked if the checkout has changes.
func (s source) revision() string {
	if s.dirty {
		return s.commit + "-dirty"
	}
	return s.commit
}

func readSource(ctx context.Context, dir string) (source, error) {
	version, err := chartVersion(dir)
	if err != nil {
		return source{}, err
	}
	head, err := git(ctx, dir, "log", "-1", "--format=%H %ct")
	if err != nil {
		return source{}, err
	}
	commit, seconds, _ := strings.Cut(head, " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return source{}, fmt.Errorf("time of commit %s: %w", commit, err)
	}
	changes, err := git(ctx, dir, "status", "--porcelain")
	if err != nil {
		return source{}, err
	}
	return source{dir: dir, version: version, commit: commit, committed: time.Unix(unix, 0).UTC(), dirty: changes != ""}, nil
}

// chartVersion reads the version from the chart.
func chartVersion(dir string) (string, error) {
	content, err := os.ReadFile(filepath.Join(dir, chartFile))
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%s does not exist: the version of an image is the chart's", filepath.Join(dir, chartFile))
	}
	if err != nil {
		return "", err
	}
	var chart struct{ Version, AppVersion string }
	if err := yaml.Unmarshal(content, &chart); err != nil {
		return "", fmt.Errorf("%s: %w", chartFile, err)
	}
	switch {
	case chart.Version != chart.AppVersion:
		return "", fmt.Errorf("%s: version is %q and appVersion %q: a chart installs the image of its own version", chartFile, chart.Version, chart.AppVersion)
	case !semver.IsValid(chart.Version) || semver.Build(chart.Version) != "":
		return "", fmt.Errorf("%s: version %q is not like v1.2.3 or v1.2.3-rc.1: it is the tag of the image, where + is not allowed", chartFile, chart.Version)
	default:
		return chart.Version, nil
	}
}

// git returns the output of a Git command.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s in %s, which tells the commit that the image is built from: %w", args[0], dir, withStderr(err))
	}
	return strings.TrimSpace(string(out)), nil
}

// withStderr adds what a program wrote to standard error.
func withStderr(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}
