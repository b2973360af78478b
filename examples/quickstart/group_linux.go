package main

import "syscall"

// ownGroup puts a child into a process group of its own, so that Ctrl-C reaches
// only the quickstart, which stops everything in order, and asks the child to
// stop if the quickstart dies in another way.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
