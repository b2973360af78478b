// Command lego is a DNS-01 solver webhook that writes challenge records with the DNS
// providers of lego. `make lego` in the root of the repository builds it.
package main

import (
	"os"

	"github.com/everleaf/everleaf/plugins/lego/internal/process"
	"github.com/everleaf/everleaf/plugins/lego/internal/solver"
	"github.com/everleaf/everleaf/solverwebhook"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == process.Argument {
		os.Exit(process.Main(os.Args[2]))
	}
	solverwebhook.Main(&solver.Solver{})
}
