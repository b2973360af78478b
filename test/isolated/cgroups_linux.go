package isolated

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cgroupPrefix and the guardian's process id are the name of its cgroups.
const cgroupPrefix = "everleaf-test-"

// cgroupRoot is where the hierarchies are mounted.
const cgroupRoot = "/sys/fs/cgroup"

// hierarchy is a mounted hierarchy of cgroups.
type hierarchy struct {
	// mount is where it is mounted.
	mount string
	// unified is true for version 2. Otherwise controllers are the names in its mount
	// options, such as "memory", "cpu,cpuacct" or "name=systemd".
	unified     bool
	controllers string
	// own is the cgroup of this process, a path below mount.
	own string
}

// hierarchies returns what is mounted at cgroupRoot and below.
func hierarchies() ([]hierarchy, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	return parseHierarchies(mounts, groups)
}

// parseHierarchies reads /proc/self/mountinfo and /proc/self/cgroup (proc(5) and
// cgroups(7)).
func parseHierarchies(mounts, groups []byte) ([]hierarchy, error) {
	own := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(groups)); lines.Scan(); {
		if part := strings.SplitN(lines.Text(), ":", 3); len(part) == 3 {
			own[part[1]] = part[2]
		}
	}
	var all []hierarchy
	for lines := bufio.NewScanner(bytes.NewReader(mounts)); lines.Scan(); {
		// ID parent major:minor ROOT MOUNT options [tags] - TYPE source SUPEROPTIONS
		before, after, ok := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 3 || !strings.HasPrefix(left[4]+"/", cgroupRoot+"/") {
			continue
		}
		h := hierarchy{mount: left[4], unified: right[0] == "cgroup2"}
		if !h.unified {
			if right[0] != "cgroup" {
				continue
			}
			var names []string
			for _, option := range strings.Split(right[2], ",") {
				if !slices.Contains([]string{"rw", "ro", "xattr", "clone_children", "noprefix"}, option) && !strings.HasPrefix(option, "release_agent=") {
					names = append(names, option)
				}
			}
			h.controllers = strings.Join(names, ",")
		}
		path, ok := own[h.controllers]
		if !ok {
			return nil, fmt.Errorf("this process is in no cgroup of the hierarchy at %s (%s)", h.mount, h.controllers)
		}
		if left[3] != "/" {
			path = strings.TrimPrefix(path, left[3])
		}
		h.own = path
		all = append(all, h)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no hierarchy of cgroups is mounted below %s", cgroupRoot)
	}
	return all, nil
}

// cgroups are one new cgroup in each hierarchy.
type cgroups struct {
	name string
	all  []hierarchy
}

// newCgroups makes them, and removes those that a guardian has left behind that was
// killed.
func newCgroups(name string) (*cgroups, error) {
	all, err := hierarchies()
	if err != nil {
		return nil, err
	}
	g := &cgroups{name: name, all: all}
	for _, h := range all {
		removeStale(h.parent())
		if err := os.Mkdir(h.child(name), 0o755); err != nil {
			g.remove()
			return nil, fmt.Errorf("make a cgroup: %w", err)
		}
		if err := h.prepare(name); err != nil {
			g.remove()
			return nil, err
		}
	}
	return g, nil
}

// parent is the cgroup in which the new one is made: of version 2 the root, because only
// there may processes be beside the cgroups that have controllers.
func (h hierarchy) parent() string {
	if h.unified {
		return h.mount
	}
	return filepath.Join(h.mount, h.own)
}

func (h hierarchy) child(name string) string { return filepath.Join(h.parent(), name) }

// prepare lets processes into the new cgroup: of version 1, a set of CPUs begins empty.
// Of version 2, it gives the cgroup its controllers.
func (h hierarchy) prepare(name string) error {
	if h.unified {
		return enableControllers(h.mount)
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(h.parent(), file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(h.child(name), file), value, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// enableControllers gives the children of a cgroup of version 2 what it has itself.
func enableControllers(dir string) error {
	available, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(available)) {
		// Some cannot be enabled on some machines. The kubelet names those that it
		// misses.
		_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
	}
	return nil
}

// enter puts this process into the cgroups, and leave puts it back, so that only the
// child that it starts in between is there.
func (g *cgroups) enter() error {
	return g.move(func(h hierarchy) string { return h.child(g.name) })
}

func (g *cgroups) leave() error {
	return g.move(func(h hierarchy) string { return filepath.Join(h.mount, h.own) })
}

func (g *cgroups) move(to func(hierarchy) string) error {
	for _, h := range g.all {
		if err := join(to(h), os.Getpid()); err != nil {
			return err
		}
	}
	return nil
}

func join(dir string, pid int) error {
	err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
	if err != nil {
		return fmt.Errorf("join a cgroup: %w", err)
	}
	return nil
}

// remove removes the cgroups, when no process is left in them.
func (g *cgroups) remove() {
	for _, h := range g.all {
		if err := removeTree(h.child(g.name)); err != nil {
			fmt.Fprintln(os.Stderr, "isolated:", err)
		}
	}
}

// emptying is how long the kernel may take to let go of cgroups whose processes have
// ended.
const emptying = 10 * time.Second

// removeTree removes a cgroup with all below it.
func removeTree(dir string) error {
	var all []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			all = append(all, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, path := range slices.Backward(all) {
		deadline := time.Now().Add(emptying)
		for {
			err := syscall.Rmdir(path)
			if err == nil || errors.Is(err, syscall.ENOENT) {
				break
			}
			if !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline) {
				return fmt.Errorf("remove the cgroup %s: %w", path, err)
			}
			<-time.After(20 * time.Millisecond)
		}
	}
	return nil
}

// removeStale removes cgroups of guardians that are gone.
func removeStale(parent string) {
	left, _ := filepath.Glob(filepath.Join(parent, cgroupPrefix+"*"))
	for _, dir := range left {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), cgroupPrefix))
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = removeTree(dir)
		}
	}
}
