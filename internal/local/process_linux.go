package local

import "syscall"

// childAttributes put a child into a process group of its own, so that Ctrl-C
// in a terminal reaches only the supervisor, which stops the children in
// order; and have the kernel kill it when the supervisor dies in any way.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
