package local

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Binaries are the programs of a control plane, by file name.
var Binaries = []string{"etcd", "kube-apiserver", "kube-controller-manager"}

// MissingError reports programs of a control plane that are not in BinDir.
type MissingError struct {
	// Dir is the directory that was searched.
	Dir string
	// Names are the missing programs, in the order of Binaries.
	Names []string
}

func (e *MissingError) Error() string {
	build := "tools/build " + strings.Join(e.Names, " ")
	if dir, err := DefaultBinDir(); err != nil || dir != e.Dir {
		build = "EVERLEAF_BIN_DIR=" + e.Dir + " " + build
	}
	return fmt.Sprintf("%s not found in %s: build from source with `%s` in a checkout of everleaf, or set --bin-dir or EVERLEAF_BIN_DIR to the directory that has %s",
		strings.Join(e.Names, ", "), e.Dir, build, strings.Join(Binaries, ", "))
}

// FindBinaries looks for the programs of a control plane in dir. The error is
// a *MissingError that lists every program that is missing or not executable.
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

// Kubectl returns the command to type for kubectl: "kubectl" if it is on PATH,
// else the path of kubectl in binDir, else "" if there is none.
func Kubectl(binDir string) string {
	if _, err := exec.LookPath("kubectl"); err == nil {
		return "kubectl"
	}
	if path, err := exec.LookPath(filepath.Join(binDir, "kubectl")); err == nil {
		return path
	}
	return ""
}
