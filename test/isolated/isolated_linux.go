package isolated

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"
)

// stage is the environment variable that says which process this is. It is not set in
// go test's.
const stage = "EVERLEAF_TEST_ISOLATED"

const (
	guardianStage = "guardian"
	initStage     = "init"
	testsStage    = "tests"
)

// cgroupVariable has the name of the cgroup, for the init.
const cgroupVariable = "EVERLEAF_TEST_CGROUP"

// Inside reports whether this process is in the namespaces.
func Inside() bool { return os.Getenv(stage) == testsStage }

// namespaces are those that the tests get.
const namespaces = syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID |
	syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS | syscall.CLONE_NEWCGROUP

// Unavailable returns why tests cannot be isolated here: they need root, and a kernel
// and a container, if any, that allow root to make namespaces.
func Unavailable() error {
	if Inside() {
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("needs root")
	}
	probe := exec.Command("true")
	probe.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	if err := probe.Run(); err != nil {
		return fmt.Errorf("root may not make namespaces here: %w", err)
	}
	return nil
}

// Main runs a package's tests in new namespaces and returns the exit status:
//
//	func TestMain(m *testing.M) { os.Exit(isolated.Main(m)) }
//
// Where that is Unavailable it runs them as they are, and they skip what needs it.
func Main(m *testing.M) int {
	if os.Getenv(stage) == "" && Unavailable() != nil {
		return m.Run()
	}
	var status int
	var err error
	switch os.Getenv(stage) {
	case testsStage:
		return m.Run()
	case initStage:
		status, err = initialise()
	case guardianStage:
		status, err = guard()
	default:
		status, err = call()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "isolated:", err)
		return 1
	}
	return status
}

// next returns the command that runs this program again as another process.
func next(as string, environment ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(append(os.Environ(), stage+"="+as), environment...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}

// call starts the guardian, which reads from a pipe until this process ends. It is in a
// process group of its own, so that Ctrl-C does not keep it from cleaning up.
func call() (int, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer write.Close()
	cmd := next(guardianStage)
	cmd.ExtraFiles = []*os.File{read}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	read.Close()
	if err != nil {
		return 0, err
	}
	return statusOf(cmd.Wait())
}

// lifeline is the descriptor of the pipe in the guardian.
const lifeline = 3

func guard() (int, error) {
	// Signals do not end the guardian, so that it can clean up. The end of go test's
	// process does, which it sees at the pipe.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	syscall.CloseOnExec(lifeline)
	groups, err := newCgroups(fmt.Sprintf("%s%d", cgroupPrefix, os.Getpid()))
	if err != nil {
		return 0, err
	}
	defer groups.remove()
	// The init dies with the thread that starts it.
	runtime.LockOSThread()
	if err := groups.enter(); err != nil {
		return 0, errors.Join(err, groups.leave())
	}
	cmd := next(initStage, cgroupVariable+"="+groups.name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: namespaces}
	err = cmd.Start()
	if left := groups.leave(); left != nil || err != nil {
		if err == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		return 0, errors.Join(err, left)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(lifeline, "lifeline"))
		_ = cmd.Process.Kill()
	}()
	if os.Getenv(Keep) != "" {
		fmt.Fprintf(os.Stderr, "The tests' namespaces: nsenter --target %d --all --wd=/ bash\n", cmd.Process.Pid)
	}
	return statusOf(cmd.Wait())
}

// Keep is the environment variable with which tests keep what they have started until
// the user ends them. With it the guardian prints how to enter their namespaces.
const Keep = "KEEP"

// initialise is process 1. It runs the tests and collects every process that loses its
// parent.
func initialise() (int, error) {
	if err := mountAll(os.Getenv(cgroupVariable)); err != nil {
		return 0, err
	}
	if err := syscall.Sethostname([]byte("node")); err != nil {
		return 0, fmt.Errorf("set the host name: %w", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("ip link set lo up: %w: %s", err, out)
	}
	cmd := next(testsStage, "TMPDIR="+temporary)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait: %w", err)
		case pid == cmd.Process.Pid && status.Signaled():
			return 0, fmt.Errorf("the tests were ended by the signal %s", status.Signal())
		case pid == cmd.Process.Pid:
			return status.ExitStatus(), nil
		}
	}
}

// statusOf returns the exit status of a process, from what Wait has returned.
func statusOf(err error) (int, error) {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}
