package process

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// homes is how the directories of programs like this one are called.
const homes = "everleaf-lego-"

// home is a directory of this program, which it has locked while it runs.
type home struct {
	dir  string
	lock *os.File
}

// newHome makes a directory in parent, and removes those that nobody has locked: a
// container that was killed finds those of its predecessor.
func newHome(parent string) (*home, error) {
	for {
		dir, err := os.MkdirTemp(parent, homes)
		if err != nil {
			return nil, err
		}
		lock, err := os.Open(dir)
		if os.IsNotExist(err) {
			continue // another program has taken it for one that was left
		}
		if err != nil {
			_ = os.Remove(dir)
			return nil, err
		}
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
			lock.Close()
			_ = os.Remove(dir)
			return nil, fmt.Errorf("lock it: %w", err)
		}
		if _, err := os.Stat(dir); err != nil {
			lock.Close()
			continue
		}
		removeLeft(parent)
		return &home{dir: dir, lock: lock}, nil
	}
}

// removeLeft removes the directories that nobody has locked. One that cannot be removed
// is somebody else's.
func removeLeft(parent string) {
	found, _ := filepath.Glob(filepath.Join(parent, homes+"*"))
	for _, dir := range found {
		lock, err := os.Open(dir)
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(dir)
		}
		lock.Close()
	}
}

func (h *home) remove() {
	_ = os.RemoveAll(h.dir)
	h.lock.Close()
}
