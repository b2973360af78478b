// Package child starts the servers that tests need.
package child

import (
	"os/exec"
	"syscall"
)

// DieWithParent has the kernel kill the child when its parent is gone, however
// it went.
func DieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
