package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	path := filepath.Join(dir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(orphanGrace)
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		pid := lockHolder(file)
		alive := pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
		if alive {
			file.Close()
			return nil, fmt.Errorf("the data in %s is in use by another `everleaf local` (process %d): stop that one, or choose other data with --data-dir", dir, pid)
		}
		if time.Now().After(deadline) {
			file.Close()
			return nil, fmt.Errorf("the data in %s is still in use by etcd, kube-apiserver or kube-controller-manager of an `everleaf local` (process %d) that is gone: end them, or choose other data with --data-dir", dir, pid)
		}
		<-time.After(100 * time.Millisecond)
	}
	if err := writeHolder(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return file, nil
}

func writeHolder(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// lockHolder returns the process id in a lock file, or 0.
func lockHolder(file *os.File) int {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}
