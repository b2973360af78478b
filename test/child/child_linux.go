// Package child runs the servers of tests as child processes.
package child

import (
	"os/exec"
	"syscall"
)

// DieWithParent makes the kernel kill the child when its parent ends, for
// whatever reason.
func DieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// OwnGroup puts a child into a process group of its own, so that Ctrl-C reaches
// only its parent, which stops everything in order. If the parent ends in another
// way, the kernel asks the child to stop.
func OwnGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
