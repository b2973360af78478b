//go:build !linux

package main

import "syscall"

// ownGroup puts a child into a process group of its own, so that Ctrl-C reaches
// only the quickstart, which stops everything in order.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
