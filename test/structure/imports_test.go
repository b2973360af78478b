// Package structure holds the module to the shape that the design gives it.
package structure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/everleaf/everleaf/"

// layers are the directories of the module from the lowest to the highest. A
// package may import its own layer and those before it. The longest match
// decides.
var layers = [][]string{
	// dns imports propagation, which judges the evidence that dns collects. So
	// propagation is below dns, not beside lifecycle. Like dnsname it is pure and
	// imports nothing of the layers above.
	{"api", "deploy", "internal/fault", "internal/foreign", "internal/propagation", "internal/dns/dnsname", "internal/spelling", "internal/oldapi"},
	{"solverwebhook"},
	{"internal/pki", "internal/dns", "internal/acme", "internal/admission", "internal/validation", "internal/schedule", "internal/selfcheck"},
	{"internal/plan", "internal/facts", "internal/condition"},
	{"internal/lifecycle", "internal/diagnosis", "internal/metrics", "internal/servingcert", "internal/component", "internal/responder", "internal/renewal", "internal/byhand", "internal/installed", "internal/report"},
	{"internal/issuer", "internal/solver"},
	{"internal/cluster"},
	{"internal/controller"},
	{"internal/operator", "internal/webhook", "internal/injector", "internal/local", "internal/configfile", "internal/explain", "internal/takeover", "internal/preflight", "internal/apicheck", "internal/statuspage", "internal/inspection"},
	{"internal/cli"},
	{"cmd"},
	{"test"},
	{"examples"},
}

// free are the packages that decide and compute, and therefore know no API
// server.
var free = []string{"internal/pki", "internal/selfcheck", "internal/validation", "internal/dns", "internal/acme", "internal/plan", "internal/facts", "internal/condition", "internal/propagation", "internal/lifecycle", "internal/diagnosis", "internal/renewal", "internal/byhand", "internal/installed", "internal/report"}

// decide are the packages that make decisions: values and the time go in, a plan
// comes out.
var decide = []string{"internal/lifecycle", "internal/diagnosis", "internal/plan", "internal/facts", "internal/condition", "internal/propagation", "internal/renewal", "internal/byhand", "internal/installed", "internal/report", "internal/oldapi"}

// offline are packages that cannot reach a network: no network package is among
// their dependencies.
var offline = []string{"internal/propagation", "internal/dns/dnsname"}

type pkg struct {
	ImportPath   string
	Name         string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

// packages returns all packages of the module.
func packages(t *testing.T) []pkg {
	t.Helper()
	all, err := list()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var list = sync.OnceValues(func() ([]pkg, error) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Name,Imports,TestImports,XTestImports,Deps", module+"...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, fmt.Errorf("go list: %w\n%s", err, exit.Stderr)
		}
		return nil, err
	}
	var all []pkg
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		return nil, errors.New("go list found no packages")
	}
	return all, nil
})

// within reports whether a package, by its path in the module, is a directory or
// below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+"/")
}

// layer returns the height of a package, or -1 if it is in none.
func layer(path string) int {
	best, height := "", -1
	for i, dirs := range layers {
		for _, dir := range dirs {
			if within(path, dir) && len(dir) > len(best) {
				best, height = dir, i
			}
		}
	}
	return height
}

// TestLayersExist checks that no layer names a directory without a package.
func TestLayersExist(t *testing.T) {
	all := packages(t)
	for _, dir := range slices.Concat(layers...) {
		if !slices.ContainsFunc(all, func(p pkg) bool { return within(strings.TrimPrefix(p.ImportPath, module), dir) }) {
			t.Errorf("%s has no package: remove it from layers", dir)
		}
	}
}

func TestImportsPointDownwards(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		from := layer(path)
		if from < 0 {
			t.Errorf("%s is in no layer: add its directory to layers", path)
			continue
		}
		for _, imported := range p.Imports {
			target, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			if to := layer(target); to > from {
				t.Errorf("%s imports %s, which is above it", path, target)
			}
		}
	}
}

func TestPureCodeKnowsNoAPIServer(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if !slices.ContainsFunc(free, func(dir string) bool { return within(path, dir) }) {
			continue
		}
		for _, dep := range p.Deps {
			if within(dep, "k8s.io/client-go") || within(dep, "sigs.k8s.io/controller-runtime") {
				t.Errorf("%s depends on %s", path, dep)
				break
			}
		}
	}
}

// TestDecisionsKnowNoDNSLibrary holds that decisions are made from evidence.
func TestDecisionsKnowNoDNSLibrary(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if !within(path, "internal/lifecycle") {
			continue
		}
		for _, dep := range p.Deps {
			if within(dep, "github.com/miekg/dns") || dep == module+"internal/dns" {
				t.Errorf("%s depends on %s", path, dep)
			}
		}
	}
}

// TestDecisionsImportNoIO checks the direct imports of the packages that decide.
// Types of a package that talks to servers, such as acme.Order, are fine.
func TestDecisionsImportNoIO(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if !deciding(path) {
			continue
		}
		for _, imported := range p.Imports {
			switch {
			case slices.Contains([]string{"net", "crypto/tls", "os", "io/fs", "log", "syscall"}, imported), within(imported, "net/http"),
				within(imported, "k8s.io/client-go"), within(imported, "sigs.k8s.io/controller-runtime"), within(imported, "github.com/miekg/dns"):
				t.Errorf("%s decides, and imports %s", path, imported)
			}
		}
	}
}

// deciding reports whether a package, by its path in the module, makes
// decisions, which are pure.
func deciding(path string) bool {
	return slices.ContainsFunc(decide, func(dir string) bool { return within(path, dir) }) && !forTests(path)
}

// forTests reports whether a package, by its path in the module, serves tests
// only.
func forTests(path string) bool { return within(path, "test") || strings.HasSuffix(path, "test") }

func TestProductImportsNoTestCode(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if forTests(path) || within(path, "examples") {
			continue
		}
		for _, imported := range p.Imports {
			target, ours := strings.CutPrefix(imported, module)
			if ours && forTests(target) || imported == "testing" {
				t.Errorf("%s imports %s, which is for tests", path, imported)
			}
		}
	}
}

// TestOnlyTheBinaryImportsTheCommands checks that what the commands do can be
// used without their flags.
func TestOnlyTheBinaryImportsTheCommands(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if !within(path, "cmd") && !within(path, "internal/cli") && slices.Contains(p.Imports, module+"internal/cli") {
			t.Errorf("%s imports internal/cli, which is for cmd", path)
		}
	}
}

func TestOfflineCodeReachesNoNetwork(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if !slices.ContainsFunc(offline, func(dir string) bool { return within(path, dir) }) {
			continue
		}
		for _, dep := range p.Deps {
			if dep == "net" || dep == "net/http" || dep == "crypto/tls" || within(dep, "github.com/miekg/dns") {
				t.Errorf("%s depends on %s", path, dep)
			}
		}
	}
}

func TestPackagesAreNamedForWhatTheyHold(t *testing.T) {
	for _, p := range packages(t) {
		switch p.Name {
		case "util", "utils", "common", "helper", "helpers":
			t.Errorf("%s: a package called %s says nothing about what is in it", p.ImportPath, p.Name)
		}
	}
}

func TestNoCertManagerModule(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range slices.Concat(p.Deps, p.TestImports, p.XTestImports) {
			if within(imported, "github.com/cert-manager") || strings.HasPrefix(imported, "github.com/jetstack/cert-manager") {
				t.Errorf("%s depends on %s: the API is implemented here, not imported", p.ImportPath, imported)
			}
		}
	}
}
