// Command bench measures how fast everleaf issues certificates, what that costs
// the API server, and how close it is to the fastest possible program. It
// prints one table from one run:
//
//	go run ./test/bench [-ca 1000] [-acme 100] [-many 10000] [-foreign 20000] [-present 200] [-wave 2000] [-lagging 200] [-http01 200] [-vault 500] [-vault-delay 100ms] [-only ca,floor] [-pprof dir] [-keep]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/everleaf/everleaf/internal/local"
)

// workers is the number of goroutines that create objects.
const workers = 16

// The measurements, in the order of the table.
const (
	nameCA            = "ca"
	nameFloor         = "floor"
	nameBareCA        = "ca-no-policies"
	nameBareFloor     = "floor-no-policies"
	nameMany          = "ca-many"
	nameRecursive     = "acme-recursive"
	nameAuthoritative = "acme-authoritative"
	nameLagging       = "acme-lagging"
	nameHTTP01        = "http01"
	nameHTTP01HAProxy = "http01-haproxy"
	nameVault         = "vault"
	nameHeld          = "held"
	namePresent       = "present"
	nameChange        = "issuer-change"
	nameWave          = "wave"
	// nameWaveFloor is measured with wave.
	nameWaveFloor = "wave-floor"
	// nameVaultFloor is measured with vault.
	nameVaultFloor = "vault-floor"
)

var all = []string{nameCA, nameFloor, nameBareCA, nameBareFloor, nameMany, nameRecursive, nameAuthoritative, nameLagging, nameHTTP01, nameHTTP01HAProxy, nameVault, nameHeld, namePresent, nameChange, nameWave}

// settings are the values of the flags.
type settings struct {
	ca, acme, many int
	foreign        int
	present, wave  int
	lagging        int
	http01         int
	vault          int
	vaultDelay     time.Duration
	only           []string
	keep           bool
	noFsync        bool
	pprof          string
	flags          []string
	timeout        time.Duration

	dir, binDir, everleaf string
}

func (s settings) wants(name string) bool { return slices.Contains(s.only, name) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	s, err := parse()
	if err != nil {
		return err
	}
	ctrl.SetLogger(logr.Discard())
	if s.dir, err = os.MkdirTemp("", "everleaf-bench-"); err != nil {
		return err
	}
	defer func() {
		if s.keep {
			fmt.Println("kept", s.dir)
		} else {
			os.RemoveAll(s.dir)
		}
	}()
	if err := s.build(ctx); err != nil {
		return err
	}
	var results []*result
	for _, measure := range []func(context.Context, settings) ([]*result, error){measureCA, measureBareCA, measureMany, measureRecursive, measureAuthoritative, measureLagging, measureHTTP01, measureVault, measureHeld, measureWave} {
		measured, err := measure(ctx, s)
		if err != nil {
			return err
		}
		results = append(results, measured...)
	}
	printTable(os.Stdout, s, results)
	return nil
}

func parse() (settings, error) {
	var s settings
	only := flag.String("only", strings.Join(all, ","), "what to measure")
	flag.IntVar(&s.ca, "ca", 1000, "certificates from the CA issuer, and of the floor")
	flag.IntVar(&s.acme, "acme", 100, "certificates from the ACME issuer, in each mode")
	flag.IntVar(&s.many, "many", 10_000, "certificates of ca-many and held, which show how cost grows with their number")
	flag.IntVar(&s.foreign, "foreign", 20_000, "Secrets of others beside those certificates of held")
	flag.IntVar(&s.present, "present", 200, "certificates of a batch of present")
	flag.IntVar(&s.wave, "wave", 2000, "certificates of wave, all overdue")
	flag.IntVar(&s.lagging, "lagging", 200, "certificates of acme-lagging, each of five names")
	flag.IntVar(&s.http01, "http01", 200, "certificates from the ACME issuer over HTTP-01, through each ingress controller")
	flag.IntVar(&s.vault, "vault", 500, "certificates from the Vault issuer, and of its floor")
	flag.DurationVar(&s.vaultDelay, "vault-delay", 0, "how much later each answer of Vault comes, for the issuer and for its floor")
	flag.BoolVar(&s.keep, "keep", false, "keep logs, audit logs and the data of the control planes")
	flag.BoolVar(&s.noFsync, "no-fsync", false, "let etcd answer before data is on the disk, which no production cluster does")
	flag.StringVar(&s.pprof, "pprof", "", "folder for profiles of the controllers, 5 s of CPU each, and one of allocations")
	flags := flag.String("flags", "", "more flags of the controllers, separated by spaces, such as --concurrent-workers=2")
	flag.DurationVar(&s.timeout, "timeout", 5*time.Minute, "longest that one measurement may take")
	flag.Parse()
	s.only, s.flags = strings.Split(*only, ","), strings.Fields(*flags)
	for _, name := range s.only {
		if !slices.Contains(all, name) {
			return s, fmt.Errorf("-only: %q is none of %s", name, strings.Join(all, ", "))
		}
	}
	if min(s.ca, s.acme, s.many, s.foreign, s.present, s.wave, s.lagging, s.http01, s.vault) < 1 || flag.NArg() > 0 {
		return s, errors.New("all numbers are at least 1, and there are no arguments")
	}
	if s.pprof != "" {
		if err := os.MkdirAll(s.pprof, 0o755); err != nil {
			return s, err
		}
	}
	var err error
	if s.binDir, err = local.DefaultBinDir(); err != nil {
		return s, err
	}
	return s, local.FindBinaries(s.binDir)
}

// buildTags are those of a release: see the Makefile.
const buildTags = "grpcnotrace"

// build compiles the measured program, as for an image.
func (s *settings) build(ctx context.Context) error {
	s.everleaf = filepath.Join(s.dir, "everleaf")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags="+buildTags, "-o", s.everleaf, "github.com/everleaf/everleaf/cmd/everleaf")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build everleaf: %w\n%s", err, out)
	}
	return nil
}

// say prints progress.
func say(format string, args ...any) { fmt.Printf("# "+format+"\n", args...) }
