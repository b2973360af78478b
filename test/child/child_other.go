//go:build !linux

// Package child runs the servers of tests as child processes.
package child

import (
	"os/exec"
	"syscall"
)

// DieWithParent does nothing on this system.
func DieWithParent(*exec.Cmd) {}

// OwnGroup puts a child into a process group of its own, so that Ctrl-C reaches
// only its parent, which stops everything in order.
func OwnGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// OwnProcesses does nothing on this system.
func OwnProcesses(*exec.Cmd) {}
