package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
)

// DefaultPort is where the API server listens when `everleaf local` gets no
// --port. It is not 6443, so that a cluster on the same machine is not in the
// way.
const DefaultPort = 6444

// Options say where a control plane keeps its data and how it runs. The zero
// value of every field but DataDir is usable.
type Options struct {
	// DataDir holds all state: etcd's data, keys, logs, the kubeconfig. It is
	// created with mode 0700. Required.
	DataDir string
	// BinDir holds etcd, kube-apiserver and kube-controller-manager. Empty
	// means DefaultBinDir().
	BinDir string
	// Port is the API server's port on 127.0.0.1. With 0 a free port is
	// chosen, and the same one is taken again, while it is free, by the next
	// start on the same data.
	Port int
	// AuditLog is the file to which the API server appends one JSON line per
	// request (level Metadata). Empty means no audit log.
	AuditLog string
	// UnsafeNoFsync lets etcd answer before data is on the disk. Faster; a
	// power cut may lose data. For tests only.
	UnsafeNoFsync bool
	// Log receives what the supervisor does. The zero value discards it; the
	// children write to files in DataDir/logs.
	Log logr.Logger
	// Stdout receives the few lines that a person reads. nil discards them.
	Stdout io.Writer
	// Run is the controllers, called by the package's function Run once the
	// control plane is ready, as the user that the roles in
	// manifests/roles.yaml are bound to. It returns when ctx is done. nil runs
	// the control plane alone.
	Run func(ctx context.Context, config *rest.Config) error
}

// complete returns o with every default filled in and DataDir made absolute.
func (o Options) complete() (Options, error) {
	if o.DataDir == "" {
		return o, errors.New("a data directory is needed")
	}
	abs, err := filepath.Abs(o.DataDir)
	if err != nil {
		return o, fmt.Errorf("data directory %s: %w", o.DataDir, err)
	}
	o.DataDir = abs
	if o.BinDir == "" {
		if o.BinDir, err = DefaultBinDir(); err != nil {
			return o, err
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
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	return o, nil
}

// DefaultDataDir is $XDG_DATA_HOME/everleaf, or ~/.local/share/everleaf.
func DefaultDataDir() (string, error) {
	return userDir("XDG_DATA_HOME", ".local/share", "everleaf")
}

// DefaultBinDir is where tools/build puts binaries: $EVERLEAF_BIN_DIR,
// $XDG_CACHE_HOME/everleaf/bin, or ~/.cache/everleaf/bin.
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
