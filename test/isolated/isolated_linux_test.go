package isolated_test

import (
	"os"
	"testing"

	"github.com/everleaf/everleaf/test/isolated"
)

func TestMain(m *testing.M) { os.Exit(isolated.Main(m)) }

func TestX(t *testing.T) {
	t.Log(isolated.Inside(), os.Getpid())
	b, _ := os.ReadFile("/proc/self/mountinfo")
	t.Log(string(b))
	b, _ = os.ReadFile("/proc/self/cgroup")
	t.Log(string(b))
	if os.Getenv("BAD") != "" {
		select {}
	}
}
