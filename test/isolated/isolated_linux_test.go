package isolated

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// inner makes this program run TestInside in namespaces, with a mark on what it leaves.
const inner = "EVERLEAF_TEST_INNER"

func TestMain(m *testing.M) {
	if os.Getenv(inner) != "" {
		os.Exit(Main(m))
	}
	os.Exit(m.Run())
}

// left is what TestInside prints when it has left its mark everywhere, before the name of
// its cgroups.
const left = "everything is in place in "

// TestInside does what a node does, and does not clean up.
func TestInside(t *testing.T) {
	mark := os.Getenv(inner)
	if mark == "" {
		t.Skip("runs within the other tests")
	}
	if !Inside() || os.Getpid() > 100 {
		t.Fatalf("process %d is not in a namespace", os.Getpid())
	}
	interfaces, err := net.Interfaces()
	if err != nil || len(interfaces) != 1 || interfaces[0].Flags&net.FlagUp == 0 {
		t.Fatalf("interfaces are %v (%v), want only lo, which is up", interfaces, err)
	}
	daemon := exec.Command("sleep", "86400."+mark)
	daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	all, err := hierarchies()
	err = errors.Join(err,
		exec.Command("ip", "link", "add", "pods", "type", "bridge").Run(),
		exec.Command("iptables", "-t", "nat", "-A", "PREROUTING", "-m", "comment", "--comment", mark, "-j", "ACCEPT").Run(),
		os.Mkdir("/var/lib/"+mark, 0o755),
		os.WriteFile("/var/log/"+mark, nil, 0o600),
		os.WriteFile(filepath.Join(os.TempDir(), mark), nil, 0o600),
		os.WriteFile("/proc/sys/kernel/panic", []byte("11"), 0o600),
		syscall.Mount("tmpfs", "/mnt", "tmpfs", 0, ""),
		daemon.Start(),
	)
	for _, h := range all {
		pods := filepath.Join(h.mount, "kubepods", "pod1")
		if err = errors.Join(err, os.MkdirAll(pods, 0o755)); err == nil {
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				if value, missing := os.ReadFile(filepath.Join(h.mount, file)); missing == nil && !h.unified {
					err = errors.Join(err, os.WriteFile(filepath.Join(h.mount, "kubepods", file), value, 0o600), os.WriteFile(filepath.Join(pods, file), value, 0o600))
				}
			}
			err = errors.Join(err, join(pods, daemon.Process.Pid))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(left + os.Getenv(cgroupVariable))
	switch os.Getenv(inner + "_END") {
	case "fails":
		t.Fail()
	case "waits":
		select {}
	}
}

// remains is what can be seen of a run from outside: nothing, as a zero value.
type remains struct {
	Processes, Cgroups, Files []string
	Mounts                    bool
}

func look(t *testing.T, mark, cgroup, mounts string) remains {
	t.Helper()
	var r remains
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range commands {
		if text, _ := os.ReadFile(file); strings.Contains(string(text), mark) {
			r.Processes = append(r.Processes, string(text))
		}
	}
	all, err := hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range all {
		if dir := h.child(cgroup); exists(dir) {
			r.Cgroups = append(r.Cgroups, dir)
		}
	}
	for _, file := range []string{"/var/lib/" + mark, "/var/log/" + mark, filepath.Join(os.TempDir(), mark)} {
		if exists(file) {
			r.Files = append(r.Files, file)
		}
	}
	now, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	r.Mounts = string(now) != mounts
	return r
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// TestNothingSurvives ends tests in every way, and then looks for what they have left.
func TestNothingSurvives(t *testing.T) {
	if err := Unavailable(); err != nil {
		t.Skip(err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	seconds, err := os.ReadFile("/proc/sys/kernel/panic")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		end    string
		status int
		kill   func(t *testing.T, run *exec.Cmd, guardian int)
		// stays is true if only the next run removes the cgroups.
		stays bool
	}{
		{end: "passes"},
		{end: "fails", status: 1},
		{end: "waits", status: -1, kill: func(t *testing.T, run *exec.Cmd, _ int) { kill(t, run.Process.Pid) }},
		{end: "waits", status: 1, stays: true, kill: func(t *testing.T, _ *exec.Cmd, guardian int) { kill(t, guardian) }},
		{end: "passes"}, // the next run
	} {
		mark := fmt.Sprintf("everleaf%d", time.Now().UnixNano())
		run := exec.Command(os.Args[0], "-test.run=^TestInside$")
		run.Env = append(os.Environ(), inner+"="+mark, inner+"_END="+test.end)
		out, err := run.StdoutPipe()
		if err == nil {
			run.Stderr = run.Stdout
			err = run.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		first, err := lines.ReadString('\n')
		cgroup, ok := strings.CutPrefix(strings.TrimSpace(first), left)
		guardian, number := strconv.Atoi(strings.TrimPrefix(cgroup, cgroupPrefix))
		if !ok || number != nil {
			rest, _ := io.ReadAll(lines)
			t.Fatalf("the run prints %s%s (%v)", first, rest, err)
		}
		if test.kill != nil {
			test.kill(t, run, guardian)
		}
		_, _ = io.Copy(io.Discard, lines) // until all that have the pipe are gone
		_ = run.Wait()
		if got := run.ProcessState.ExitCode(); got != test.status {
			t.Errorf("%s: the exit status is %d, want %d", test.end, got, test.status)
		}
		// The kernel ends the last processes of a killed guardian when nobody waits.
		var got remains
		for deadline := time.Now().Add(10 * time.Second); ; <-time.After(10 * time.Millisecond) {
			if got = look(t, mark, cgroup, string(mounts)); test.stays {
				got.Cgroups = nil
			}
			if cmp.Equal(remains{}, got) || time.Now().After(deadline) {
				break
			}
		}
		if diff := cmp.Diff(remains{}, got); diff != "" {
			t.Errorf("a run that %s leaves (-want +got):\n%s", test.end, diff)
		}
	}
	if stale, _ := filepath.Glob(cgroupRoot + "/*/" + cgroupPrefix + "*/kubepods"); len(stale) > 0 {
		t.Errorf("the next run leaves %q", stale)
	}
	if now, _ := os.ReadFile("/proc/sys/kernel/panic"); string(now) != string(seconds) {
		t.Errorf("kernel.panic was %s and is %s", seconds, now)
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func TestParseHierarchies(t *testing.T) {
	for _, test := range []struct {
		name, mounts, groups string
		want                 []hierarchy
	}{
		{
			name:   "version 2, with systemd",
			mounts: "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
			groups: "0::/user.slice/session-1.scope\n",
			want:   []hierarchy{{mount: "/sys/fs/cgroup", unified: true, own: "/user.slice/session-1.scope"}},
		},
		{
			name: "version 1, in a container that sees only its own",
			mounts: `30 23 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 /docker/1f /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 /docker/1f /sys/fs/cgroup/systemd ro - cgroup cgroup rw,xattr,release_agent=/lib/systemd/agent,name=systemd
33 23 0:29 / /var/lib rw - ext4 /dev/vda rw
`,
			groups: "2:cpu,cpuacct:/docker/1f\n1:name=systemd:/docker/1f/init\n0::/\n",
			want: []hierarchy{
				{mount: "/sys/fs/cgroup/cpu,cpuacct", controllers: "cpu,cpuacct"},
				{mount: "/sys/fs/cgroup/systemd", controllers: "name=systemd", own: "/init"},
			},
		},
	} {
		got, err := parseHierarchies([]byte(test.mounts), []byte(test.groups))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(hierarchy{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	if _, err := parseHierarchies(nil, nil); err == nil {
		t.Error("a machine without cgroups is no error")
	}
}
