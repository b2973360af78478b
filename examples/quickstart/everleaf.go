package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
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
	cmd *exec.Cmd
	// ready is closed after lastLine, done when the process has ended.
	ready, done chan struct{}
	err         error // valid after done is closed
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
	c := &controlPlane{cmd: exec.Command(path, append([]string{"local"}, args...)...), ready: make(chan struct{}), done: make(chan struct{})}
	fmt.Fprintf(out, "  $ %s\n", commandLine(c.cmd.Args))
	c.cmd.Stderr = log
	c.cmd.SysProcAttr = ownGroup()
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error, 1)
	go func() {
		defer log.Close()
		// The kernel ends the child with the thread that started it (see
		// ownGroup).
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		c.copy(stdout, out)
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

func (c *controlPlane) copy(stdout io.Reader, out io.Writer) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		fmt.Fprintln(out, strings.TrimRight("    "+lines.Text(), " "))
		if lines.Text() == lastLine {
			close(c.ready)
		}
	}
}

// diedError means that `everleaf local` ended although nobody stopped it.
type diedError struct{ status error }

func (e *diedError) Error() string {
	if e.status == nil {
		return "`everleaf local` has ended by itself"
	}
	return fmt.Sprintf("`everleaf local` has ended by itself (%v)", e.status)
}

// died returns the *diedError that ended ctx, or nil.
func died(ctx context.Context) error {
	var e *diedError
	if errors.As(context.Cause(ctx), &e) {
		return e
	}
	return nil
}

func (c *controlPlane) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(stopTimeout):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
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
