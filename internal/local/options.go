package local

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
)

// DefaultPort is the API server's port if `everleaf local` gets no --port. It
// differs from 6443, the usual port of a cluster on the same machine.
const DefaultPort = 6444

// Options configure a control plane. The zero value is usable.
type Options struct {
	// DataDir contains all state: etcd's data, keys, logs, the kubeconfig. It
	// is created with mode 0700. Empty means $XDG_DATA_HOME/everleaf, or
	// ~/.local/share/everleaf.
	DataDir string
	// BinDir contains etcd, kube-apiserver and kube-controller-manager. Empty
	// means DefaultBinDir().
	BinDir string
	// Port is the API server's port on 127.0.0.1. 0 means a free port; the next
	// start with the same data reuses it if it is still free.
	Port int
	// AuditLog is the file to which the API server appends one JSON line for
	// each request (level Metadata). Empty means no audit log.
	AuditLog string
	// UnsafeNoFsync makes etcd answer before data is on the disk. It is faster,
	// but a power failure may lose data. For tests only.
	UnsafeNoFsync bool
	// Arguments are added to those of a program, by the program's name. Of a flag that
	// is there twice the added one counts, except that a list is continued.
	Arguments map[string][]string
	// Bare leaves the API server as it is: Start installs no CRDs, roles and policies,
	// and no namespace. A chart can do that then.
	Bare bool
	// Log receives the supervisor's log. The zero value discards it. The
	// children log to files in DataDir/logs.
	Log logr.Logger
	// Stdout receives the output for the user. Nil discards it.
	Stdout io.Writer
	// Check is called when the data directory is locked, before anything starts. Its
	// error ends the start. It may be nil.
	Check func() error
	// Run runs the controllers. The function Run of this package calls it when
	// the control plane is ready, as the user of the roles in
	// deploy/rbac.yaml. It returns when ctx ends. Nil runs the control
	// plane alone.
	Run func(ctx context.Context, config *rest.Config) error
}

// complete returns o with defaults for empty fields and an absolute DataDir.
func (o Options) complete() (Options, error) {
	var err error
	if o.DataDir == "" {
		if o.DataDir, err = userDir("XDG_DATA_HOME", ".local/share", "everleaf"); err != nil {
			return o, fmt.Errorf("%w: set --data-dir", err)
		}
	}
	abs, err := filepath.Abs(o.DataDir)
	if err != nil {
		return o, fmt.Errorf("data directory %s: %w", o.DataDir, err)
	}
	o.DataDir = abs
	if o.BinDir == "" {
		if o.BinDir, err = DefaultBinDir(); err != nil {
			return o, fmt.Errorf("%w: set --bin-dir", err)
		}
	}
	if o.AuditLog != "" {
		if o.AuditLog, err = filepath.Abs(o.AuditLog); err != nil {
			return o, fmt.Errorf("audit log %s: %w", o.AuditLog, err)
		}
	}
	if o.Port < 0 || o.Port > 65535 {
		return o, fmt.Errorf("port %d is not between 0 and 65535", o.Port)
	}
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	if o.Run == nil {
		o.Run = func(ctx context.Context, _ *rest.Config) error {
			<-ctx.Done()
			return nil
		}
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	return o, nil
}

// DefaultBinDir is the directory into which tools/build installs binaries:
// $EVERLEAF_BIN_DIR, $XDG_CACHE_HOME/everleaf/bin, or ~/.cache/everleaf/bin.
func DefaultBinDir() (string, error) {
	if dir := os.Getenv("EVERLEAF_BIN_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	return userDir("XDG_CACHE_HOME", ".cache", "everleaf/bin")
}

func userDir(variable, fallback, name string) (string, error) {
	if base := os.Getenv(variable); base != "" {
		return filepath.Join(base, name), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("neither $%s nor the home directory is known: %w", variable, err)
	}
	return filepath.Join(home, fallback, name), nil
}
