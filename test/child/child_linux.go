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

// OwnProcesses puts a child into a process namespace of its own, as process 1: when it
// ends, the kernel kills every process that it has started, daemons too. It dies with its
// parent. It needs root, and a kernel and a container, if any, that allow root to make
// namespaces.
func OwnProcesses(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
}
