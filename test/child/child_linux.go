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
