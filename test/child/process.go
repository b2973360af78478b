package child

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// grace is how long Stop waits before it kills the process.
const grace = 5 * time.Second

// Process is a server in a child process. It has a directory of its own for its
// configuration and its log.
type Process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error
}

// Start runs a program in dir, with its output in dir/NAME.log. The caller stops
// it with Stop.
func Start(dir, program string, args ...string) (*Process, error) {
	cmd := exec.Command(program, args...)
	out, err := os.Create(filepath.Join(dir, filepath.Base(program)+".log"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	DieWithParent(cmd)
	p, err := StartCommand(cmd)
	if err != nil {
		return nil, err
	}
	p.log = out.Name()
	return p, nil
}

// StartCommand starts a command that has an output of its own, so that Log returns
// nothing. The caller stops it with Stop.
func StartCommand(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// On Linux the child dies with the thread that started it, so that
		// thread waits for the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns how the process has ended, after Done is closed: nil for exit
// status 0.
func (p *Process) Err() error { return p.err }

// Signal sends a signal to the process.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Stop ends the process with SIGTERM, and with SIGKILL if it does not end in
// time.
func (p *Process) Stop() { p.StopWithin(grace) }

// StopWithin is Stop with another time before SIGKILL.
func (p *Process) StopWithin(grace time.Duration) {
	_ = p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(grace):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// Log returns what the process has printed.
func (p *Process) Log() string {
	if p.log == "" {
		return ""
	}
	out, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// FreeAddress returns an address of the loopback interface (ip:port) with a port
// that is free now. Another process may take the port before the caller does.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
