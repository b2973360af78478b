package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// orphanGrace is how long a start waits for the children of a killed supervisor
// to end.
const orphanGrace = 10 * time.Second

// lockDataDir locks a data directory and writes the process id into the lock
// file. The children inherit the lock, and the kernel releases it when the last
// process with the open file ends. While an orphan of a killed supervisor still
// writes to the data, nobody else can lock it.
func lockDataDir(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(file, dir); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func lock(file *os.File, dir string) error {
	deadline := time.Now().Add(orphanGrace)
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("lock %s: %w", file.Name(), err)
		}
		var pid int // 0 if there is none in the file
		_, _ = fmt.Fscan(io.NewSectionReader(file, 0, 32), &pid)
		if pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return fmt.Errorf("the data in %s is in use by another `everleaf local` (process %d): stop that one, or choose other data with --data-dir", dir, pid)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the data in %s is still in use by etcd, kube-apiserver or kube-controller-manager of an `everleaf local` (process %d) that is gone: end them, or choose other data with --data-dir", dir, pid)
		}
		<-time.After(100 * time.Millisecond)
	}
	err := file.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintln(io.NewOffsetWriter(file, 0), os.Getpid())
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file.Name(), err)
	}
	return nil
}
