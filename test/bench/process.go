package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/child"
)

// controllers are the measured program, as a process.
type controllers struct {
	cmd      *exec.Cmd
	log      *os.File
	done     chan error
	metrics  string
	profiler string
	started  time.Time
	stopped  sync.Once
}

// startControllers runs the controllers against a control plane.
func (p *plane) startControllers(ctx context.Context, flags ...string) (*controllers, error) {
	kubeconfig, err := p.kubeconfig(ctx)
	if err != nil {
		return nil, err
	}
	c := &controllers{done: make(chan error, 1)}
	if c.metrics, err = child.FreeAddress(); err != nil {
		return nil, err
	}
	args := append([]string{
		"controller", "--kubeconfig=" + kubeconfig, "--leader-elect=false", "--cluster-resource-namespace=" + local.Namespace,
		"--metrics-listen-address=" + c.metrics, "--internal-healthz-listen-address=0",
	}, slices.Concat(flags, p.settings.flags)...)
	if p.settings.pprof != "" {
		if c.profiler, err = child.FreeAddress(); err != nil {
			return nil, err
		}
		args = append(args, "--enable-profiling", "--profiler-address="+c.profiler)
	}
	if c.log, err = os.Create(filepath.Join(p.settings.dir, p.name+"-controllers.log")); err != nil {
		return nil, err
	}
	c.cmd = exec.CommandContext(ctx, p.settings.everleaf, args...)
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.started = time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { c.done <- c.cmd.Wait() }()
	return c, nil
}

// stop ends the controllers, if it was not called before.
func (c *controllers) stop() { c.stopped.Do(c.end) }

func (c *controllers) end() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(20 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
	c.log.Close()
}

// explain adds the end of the controllers' log to an error.
func (c *controllers) explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	text, _ := os.ReadFile(c.log.Name())
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return fmt.Errorf("%w\nthe end of the controllers' log:\n%s", err, bytes.Join(lines[max(0, len(lines)-10):], []byte("\n")))
}

// tick is the unit of CPU time in /proc. Linux has used it on every
// architecture for two decades.
const tick = 10 * time.Millisecond

// cpuTime returns the CPU time of a process, in user and kernel mode.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the name in parentheses, which may contain spaces.
	_, rest, ok := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has an unexpected format", pid)
	}
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[12])
	return time.Duration(user+system) * tick, err
}

// memory is that of a process, in bytes.
type memory struct {
	// peak is the most that was ever resident, anonymous what is now without the pages of
	// files, such as the program.
	peak, anonymous int64
}

func memoryOf(pid int) (memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, err
	}
	var m memory
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		into := map[string]*int64{"VmHWM": &m.peak, "RssAnon": &m.anonymous}[name]
		if into == nil {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return memory{}, err
		}
		*into = kib << 10
	}
	if m.peak == 0 || m.anonymous == 0 {
		return memory{}, fmt.Errorf("/proc/%d/status has no VmHWM or no RssAnon", pid)
	}
	return m, nil
}

// usage is the CPU time of each process so far.
type usage map[string]time.Duration

func (p *plane) usage(c *controllers) (usage, error) {
	pids := map[string]int{"bench": os.Getpid()}
	if c != nil {
		pids["controllers"] = c.cmd.Process.Pid
	}
	for name, pid := range p.PIDs() {
		pids[name] = pid
	}
	u := usage{}
	for name, pid := range pids {
		var err error
		if u[name], err = cpuTime(pid); err != nil {
			return nil, fmt.Errorf("CPU time of %s: %w", name, err)
		}
	}
	return u, nil
}

func (u usage) since(before usage) usage {
	d := usage{}
	for name, t := range u {
		d[name] = t - before[name]
	}
	return d
}
