package isolated

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// temporary is the directory for temporary files of the tests, in memory: what killed
// tests leave there goes with the namespace.
const temporary = "/run/tmp"

// tunables are the settings of the whole machine that a kubelet changes. It is shown
// those that it wants, in files that hide the real ones.
var tunables = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// mountAll gives the new namespaces their own /proc, /sys and cgroups, and hides the
// parts of the file system in which a node writes behind memory.
func mountAll(cgroup string) error {
	// Before /proc shows the new process ids.
	all, err := hierarchies()
	if err != nil {
		return err
	}
	// Nothing that is mounted from here on shows outside.
	err = errors.Join(
		mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
		detach("/proc"), detach("/sys"),
		mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""),
		mount("sysfs", "/sys", "sysfs", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""),
	)
	if err == nil {
		err = mountCgroups(all)
	}
	if err == nil {
		err = errors.Join(
			mount("tmpfs", "/run", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=755"),
			mount("tmpfs", "/var/log", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=755"),
			overlay("/var/lib"),
			os.Mkdir(temporary, 0o1777),
		)
	}
	if err == nil {
		err = hideTunables()
	}
	if err != nil {
		return err
	}
	// Containers see mounts that are made later, as on a machine of its own.
	return mount("none", "/", "", syscall.MS_REC|syscall.MS_SHARED, "")
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	return nil
}

// detach removes what is mounted at a directory and below, so that no program finds the
// machine's cgroups in the list of mounts.
func detach(dir string) error {
	if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
}

// mountCgroups mounts the hierarchies again, below the cgroup of this process, which is
// their root from here on.
func mountCgroups(all []hierarchy) error {
	const flags = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC
	if all[0].mount != cgroupRoot {
		if err := mount("tmpfs", cgroupRoot, "tmpfs", flags, "mode=755"); err != nil {
			return err
		}
	}
	for _, h := range all {
		if err := os.MkdirAll(h.mount, 0o755); err != nil {
			return err
		}
		if h.unified {
			if err := mount("cgroup2", h.mount, "cgroup2", flags, ""); err != nil {
				return err
			}
			if err := delegate(h.mount); err != nil {
				return err
			}
			continue
		}
		if err := mount("cgroup", h.mount, "cgroup", flags, h.controllers); err != nil {
			return err
		}
		// Programs look for cpu where "cpu,cpuacct" is mounted.
		base := filepath.Base(h.mount)
		for _, name := range strings.Split(base, ",") {
			if name != base {
				if err := os.Symlink(base, filepath.Join(cgroupRoot, name)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// delegate moves this process into a cgroup below the root of its namespace: of
// version 2, only a cgroup without processes gives controllers to others.
func delegate(root string) error {
	system := filepath.Join(root, "system")
	if err := os.Mkdir(system, 0o755); err != nil {
		return err
	}
	if err := join(system, os.Getpid()); err != nil {
		return err
	}
	return enableControllers(root)
}

// overlay lets programs write to a directory as if it were theirs.
func overlay(dir string) error {
	base := filepath.Join("/run/overlay", dir)
	upper, work := filepath.Join(base, "upper"), filepath.Join(base, "work")
	if err := errors.Join(os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755)); err != nil {
		return err
	}
	return mount("overlay", dir, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, work))
}

func hideTunables() error {
	const dir = "/run/tunables"
	for name, value := range tunables {
		file := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(file), 0o755)
		if err == nil {
			err = os.WriteFile(file, []byte(value+"\n"), 0o444)
		}
		if err == nil {
			err = mount(file, filepath.Join("/proc/sys", name), "", syscall.MS_BIND, "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
