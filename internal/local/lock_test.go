package local

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"testing/synctest"
)

func TestLockOfLivingAndDeadSupervisors(t *testing.T) {
	// A process that has ended and was reaped: its id is unused.
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		lock, err := lockDataDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
		for _, test := range []struct {
			pid  int
			want string
		}{
			{os.Getpid(), "the data in %s is in use by another `everleaf local` (process %d): stop that one, or choose other data with --data-dir"},
			// The lock outlives its owner in the children, which inherit it.
			{ended.Process.Pid, "the data in %s is still in use by etcd, kube-apiserver or kube-controller-manager of an `everleaf local` (process %d) that is gone: end them, or choose other data with --data-dir"},
		} {
			if _, err := lock.WriteAt([]byte(strconv.Itoa(test.pid)+"          \n"), 0); err != nil {
				t.Fatal(err)
			}
			_, err = lockDataDir(dir)
			if want := fmt.Sprintf(test.want, dir, test.pid); err == nil || err.Error() != want {
				t.Errorf("got error  %v\nwant       %s", err, want)
			}
		}

		lock.Close()
		again, err := lockDataDir(dir)
		if err != nil {
			t.Fatalf("the lock is not free again: %v", err)
		}
		again.Close()
	})
}
