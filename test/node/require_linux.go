package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/dnsdaemon"
	"github.com/everleaf/everleaf/test/isolated"
)

// built are the programs of a node that tools/build builds, and installed those that
// Debian has, with their packages.
var (
	built     = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns", "kubectl", "helm"}
	installed = [][2]string{{"containerd", "containerd"}, {"runc", "runc"}, {"iptables", "iptables"}, {"conntrack", "conntrack"}, {"ip", "iproute2"}}
)

// require ends a test that cannot have a node: it skips it where namespaces cannot be
// made, and deals with programs that are missing as every test does. It says so on the
// standard error too, because go test shows no reason otherwise.
func require(tb testing.TB) {
	tb.Helper()
	if err := isolated.Unavailable(); err != nil {
		why := "a Kubernetes node: " + err.Error()
		fmt.Fprintf(os.Stderr, "SKIPPED %s: %s\n", tb.Name(), why)
		tb.Skip(why)
	}
	if !isolated.Inside() {
		tb.Fatal("TestMain does not run isolated.Main")
	}
	if missing := missing(tb); len(missing) > 0 {
		why := "a Kubernetes node needs " + strings.Join(missing, ", ")
		fmt.Fprintf(os.Stderr, "CANNOT RUN %s: %s\n", tb.Name(), why)
		child.Missing(tb, "%s", why)
	}
}

func missing(tb testing.TB) []string {
	tb.Helper()
	bin, err := local.DefaultBinDir()
	if err != nil {
		tb.Fatal(err)
	}
	var all []string
	for _, name := range built {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			all = append(all, name+" (tools/build "+name+")")
		}
	}
	for _, program := range installed {
		if _, err := dnsdaemon.Find(program[0]); err != nil {
			all = append(all, program[0]+" (Debian: apt-get install "+program[1]+")")
		}
	}
	if _, err := os.Stat(filepath.Join(cniPlugins, "bridge")); err != nil {
		all = append(all, "CNI plugins (Debian: apt-get install containernetworking-plugins)")
	}
	return all
}
