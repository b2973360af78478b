package local

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// collectLess halves the frequency of a child's garbage collection: a busy API
// server spends an eighth of its time in it by default. A GOGC in the
// environment takes precedence.
const collectLess = "GOGC=200"

// lastLines and lastBytes bound the part of a child's log in an error.
const (
	lastLines = 12
	lastBytes = 16 << 10
)

// process is one running child.
type process struct {
	name string
	pid  int
	log  string
	cmd  *exec.Cmd
	// done is closed when the child has ended.
	done chan struct{}
}

// startProcess runs a binary with its output in logs/NAME.log. It renames the
// previous log to NAME.log.old. The child inherits the lock as descriptor 3.
func startProcess(binary, logDir string, lock *os.File, args ...string) (*process, error) {
	name := filepath.Base(binary)
	path := filepath.Join(logDir, name+".log")
	if err := os.Rename(path, path+".old"); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, args...)
	cmd.Env = append([]string{collectLess}, os.Environ()...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.ExtraFiles = []*os.File{lock}
	cmd.SysProcAttr = childAttributes()
	p := &process{name: name, log: path, cmd: cmd, done: make(chan struct{})}

	started := make(chan error, 1)
	go func() {
		defer out.Close()
		// Linux sends the parent-death signal when the thread that started the
		// child ends, so that thread waits for the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // ProcessState has the result
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.pid = cmd.Process.Pid
	return p, nil
}

// stop ends the child with SIGTERM, and with SIGKILL after the grace period.
func (p *process) stop(grace time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return
	case <-time.After(grace):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}

// failure describes a child that ended without stop, with the end of its log.
// It must be called after done is closed.
func (p *process) failure() error {
	return fmt.Errorf("%s ended unexpectedly (%s); the end of %s:\n%s", p.name, p.cmd.ProcessState, p.log, tail(p.log))
}

// tail returns the last lines of a file, indented.
func tail(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return "  (" + err.Error() + ")"
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > lastBytes {
		_, _ = file.Seek(-lastBytes, io.SeekEnd)
	}
	text, err := io.ReadAll(io.LimitReader(file, lastBytes))
	if err != nil {
		return "  (" + err.Error() + ")"
	}
	lines := strings.Split(string(bytes.TrimSpace(text)), "\n")
	if len(lines) > lastLines {
		lines = lines[len(lines)-lastLines:]
	}
	return "  " + strings.Join(lines, "\n  ")
}
