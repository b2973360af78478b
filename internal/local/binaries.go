package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Binaries are the programs that a control plane consists of, by file name.
var Binaries = []string{"etcd", "kube-apiserver", "kube-controller-manager"}

// module is the line by which a checkout of everleaf is recognised.
const module = "module github.com/everleaf/everleaf"

// MissingError says that programs are not in the directory where they were
// looked for.
type MissingError struct {
	Dir   string
	Names []string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s not found in %s: run `make tools` in a checkout of everleaf to build what is missing from source, or say with --bin-dir or EVERLEAF_BIN_DIR where it is",
		strings.Join(e.Names, ", "), e.Dir)
}

// FindBinaries returns nil if every program of a control plane is in a
// directory, else a *MissingError.
func FindBinaries(dir string) error {
	var missing []string
	for _, name := range Binaries {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return &MissingError{Dir: dir, Names: missing}
	}
	return nil
}

// Kubectl returns what to type for kubectl: the name, if it is on PATH, else the
// path of the one that tools/build made, else "".
func Kubectl(binDir string) string {
	if _, err := exec.LookPath("kubectl"); err == nil {
		return "kubectl"
	}
	if path, err := exec.LookPath(filepath.Join(binDir, "kubectl")); err == nil {
		return path
	}
	return ""
}

// Build runs the checkout's tools/build for the named programs, or, if none is
// named, for those of a control plane and for kubectl unless that is on PATH. It
// copies the progress to w. What is up to date is not built again. Outside of a
// checkout, or without Go, it does nothing: FindBinaries tells what is missing.
func Build(ctx context.Context, binDir string, w io.Writer, names ...string) error {
	script, err := buildScript()
	if err != nil {
		return nil
	}
	if _, err := exec.LookPath("go"); err != nil {
		return nil
	}
	if len(names) == 0 {
		names = Binaries
		if _, err := exec.LookPath("kubectl"); err != nil {
			names = append(slices.Clone(Binaries), "kubectl")
		}
	}
	cmd := exec.CommandContext(ctx, script, names...)
	cmd.Env = append(os.Environ(), "EVERLEAF_BIN_DIR="+binDir)
	cmd.Stdout, cmd.Stderr = w, w
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s with %s: %w", strings.Join(names, ", "), script, err)
	}
	return nil
}

// buildScript finds tools/build in the checkout around the working directory.
func buildScript() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(text, []byte(module+"\n")) {
			return filepath.Join(dir, "tools", "build"), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not in a checkout of everleaf")
		}
		dir = parent
	}
}
