package integration

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/everleaf/everleaf/test/controlplane"
	"github.com/everleaf/everleaf/test/vault"
)

// parallel is how many tests run at a time unless a flag says: most of them
// wait for a name server or a cache, and not for a core.
const parallel = "8"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == vaultCommandName {
		if err := vaultCommand(os.Args[1:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		os.Exit(0)
	}
	flag.Parse()
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "test.parallel" })
	if !set {
		if err := flag.Set("test.parallel", parallel); err != nil {
			panic(err)
		}
	}
	code := vault.Main(func() int { return controlplane.Main(m) })
	if code == 0 && allRun() {
		code = reportRights()
	}
	os.Exit(code)
}
