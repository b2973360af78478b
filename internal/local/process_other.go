//go:build unix && !linux

package local

import "syscall"

// childAttributes puts a child into its own process group, so that Ctrl-C in a
// terminal reaches only the supervisor, which stops the children in order.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
