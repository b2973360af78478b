package pebble

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the child when its parent is gone, however
// it went.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
