package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/everleaf/everleaf/test/child"
)

const (
	// lastLine is the last line that `everleaf local` prints when it is ready.
	lastLine = "Ctrl-C stops everything."
	// stopTimeout is how long to wait before a kill.
	stopTimeout = 30 * time.Second
	logFile     = "everleaf.log"
)

// controlPlane is a running `everleaf local`.
type controlPlane struct {
	*child.Process
	// ready is closed after lastLine.
	ready chan struct{}
}

// startEverleaf runs `everleaf local` as a user would, and copies its output.
// The controllers' log goes to a file in dir.
func startEverleaf(ctx context.Context, path, dir string, out io.Writer, args ...string) (*controlPlane, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, logFile))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(path, append([]string{"local"}, args...)...)
	fmt.Fprintf(out, "  $ %s\n", commandLine(cmd.Args))
	e := &echo{out: out, ready: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = e, log
	child.OwnGroup(cmd)
	process, err := child.StartCommand(cmd)
	return &controlPlane{process, e.ready}, err
}

// echo indents lines.
type echo struct {
	out   io.Writer
	rest  string
	ready chan struct{}
}

// Write implements io.Writer.
func (e *echo) Write(p []byte) (int, error) {
	e.rest += string(p)
	for {
		line, rest, found := strings.Cut(e.rest, "\n")
		if !found {
			return len(p), nil
		}
		e.rest = rest
		fmt.Fprintln(e.out, strings.TrimRight("    "+line, " "))
		if line == lastLine {
			close(e.ready)
		}
	}
}

// errDied means that `everleaf local` ended although nobody stopped it.
var errDied = errors.New("`everleaf local` has ended by itself")

// died returns the error that ended ctx if it is errDied, or nil.
func died(ctx context.Context) error {
	if err := context.Cause(ctx); errors.Is(err, errDied) {
		return err
	}
	return nil
}

// showLog prints the end of the controllers' log.
func (q *quickstart) showLog() {
	text, err := os.ReadFile(filepath.Join(q.dir, logFile))
	if err != nil || len(text) == 0 {
		return
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) > 15 {
		lines = lines[len(lines)-15:]
	}
	q.say("The end of everleaf's log:\n\n  %s", strings.Join(lines, "\n  "))
}
