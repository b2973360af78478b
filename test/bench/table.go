package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// row is a line of the table: a title, and its value in a column.
type row struct {
	title string
	value func(*result) string
}

const none = "-"

var rows = []row{
	{"certificates", func(r *result) string { return fmt.Sprint(r.n) }},
	{"total", func(r *result) string { return seconds(r.total) }},
	{"per second", func(r *result) string {
		if r.total == 0 {
			return none
		}
		return fmt.Sprintf("%.1f", r.perSecond())
	}},
	{"p50 until Ready", func(r *result) string { return seconds(r.p50) }},
	{"p99 until Ready", func(r *result) string { return seconds(r.p99) }},
	{"one alone", func(r *result) string { return seconds(r.single) }},
	{"API writes each", func(r *result) string { return perEach(r.writes, r.n) }},
	{"API reads each", func(r *result) string { return perEach(r.reads, r.n) }},
	{"CPU controllers", func(r *result) string { return seconds(r.cpu["controllers"]) }},
	{"CPU kube-apiserver", func(r *result) string { return seconds(r.cpu["kube-apiserver"]) }},
	{"CPU etcd", func(r *result) string { return seconds(r.cpu["etcd"]) }},
	{"CPU kube-controller-manager", func(r *result) string { return seconds(r.cpu["kube-controller-manager"]) }},
	{"CPU bench itself", func(r *result) string { return seconds(r.cpu["bench"]) }},
	{"peak memory controllers", func(r *result) string { return mebibytes(r.memory) }},
	{"peak without the program's pages", func(r *result) string { return mebibytes(r.anonymous) }},
	{"slowest scrape", func(r *result) string { return seconds(r.scrape) }},
	{"most probes of a challenge", func(r *result) string { return probed(r, fmt.Sprint(r.mostProbes)) }},
	{"probes of a challenge", func(r *result) string { return probed(r, fmt.Sprintf("%.2f", r.probes)) }},
	{"objects of a challenge", func(r *result) string { return numbered(r.objects, r.n) }},
	{"requests to Vault", func(r *result) string { return numbered(r.asked, r.n) }},
	{"calls at once", func(r *result) string { return counted(r.crowd) }},
	{"p99 of the API server's answers", func(r *result) string { return seconds(r.slowest) }},
	{"idle after a restart", func(r *result) string { return seconds(r.restart) }},
}

func seconds(d time.Duration) string {
	if d == 0 {
		return none
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func probed(r *result, text string) string {
	if r.mostProbes == 0 {
		return none
	}
	return text
}

func numbered(count, n int) string {
	if count == 0 {
		return none
	}
	return fmt.Sprintf("%.2f", float64(count)/float64(n))
}

func counted(n int) string {
	if n == 0 {
		return none
	}
	return fmt.Sprint(n)
}

func mebibytes(n int64) string {
	if n == 0 {
		return none
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
}

// rounded rounds to two decimals.
func rounded(x float64) float64 { return math.Round(x*100) / 100 }

func perEach(c calls, n int) string {
	if len(c) == 0 {
		return none
	}
	return fmt.Sprintf("%.2f", c.per(n))
}

func printTable(out io.Writer, s settings, results []*result) {
	fsync := "on"
	if s.noFsync {
		fsync = "OFF"
	}
	fmt.Fprintf(out, "\n%d cores, %s/%s, %s, etcd's fsync %s, %d workers create\n\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), fsync, workers)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	var measured []*result
	for _, r := range results {
		if r.skipped == "" {
			measured = append(measured, r)
			fmt.Fprintf(w, "\t%s", r.name)
		}
	}
	fmt.Fprintln(w)
	for _, row := range rows {
		fmt.Fprint(w, row.title)
		for _, r := range measured {
			fmt.Fprintf(w, "\t%s", row.value(r))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	fmt.Fprintln(out, "\nThe API server's audit log was on throughout; in a profile it takes 1 to 2 percent of the API server's CPU.")
	printCalls(out, measured)
	printTargets(out, results)
	for _, r := range results {
		if r.note != "" {
			fmt.Fprintf(out, "%s: %s\n", r.name, r.note)
		}
		if r.skipped != "" {
			fmt.Fprintf(out, "%s was skipped: %s\n", r.name, r.skipped)
		}
	}
}

// printCalls lists the writes, reads and reconciliations.
func printCalls(out io.Writer, results []*result) {
	fmt.Fprintln(out)
	for _, r := range results {
		for _, c := range []struct {
			title string
			calls calls
		}{{"writes", r.writes}, {"reads", r.reads}, {"reconciles", r.reconciles}} {
			var parts []string
			for _, what := range slices.Sorted(maps.Keys(c.calls)) {
				parts = append(parts, fmt.Sprintf("%s %.2f", what, float64(c.calls[what])/float64(r.n)))
			}
			if len(parts) > 0 {
				fmt.Fprintf(out, "%s, %s each: %s\n", r.name, c.title, strings.Join(parts, ", "))
			}
		}
	}
}

// target is the required value of a number.
type target struct {
	title  string
	is     string
	wanted string
	ok     bool
}

func printTargets(out io.Writer, results []*result) {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, t := range targets(results) {
		verdict := "ok"
		if !t.ok {
			verdict = "MISSED"
		}
		fmt.Fprintf(w, "%s\t%s\ttarget %s\t%s\n", t.title, t.is, t.wanted, verdict)
	}
	w.Flush()
}

// limits are the numbers that have to be reached. The CPU is for 1,000
// certificates.
const (
	leastOfFloor     = 0.85
	leastOfBareFloor = 0.72
	mostCAWrites     = 5
	mostACMEWrites   = 20
	mostCPU          = 4500 * time.Millisecond
	mostMemory       = 150 << 20
	mostRestart      = 10 * time.Second
	mostACME         = 6 * time.Second
	mostSingle       = 700 * time.Millisecond
	mostLagging      = 30 * time.Second
	mostProbes       = 9
	mostHTTP01       = 30 * time.Second
	mostHTTP01Single = 3 * time.Second
	mostHTTP01Writes = 26
	mostObjects      = 3
	mostVaultWrites  = 7
	mostVaultAsked   = 1.05
	leastOfVault     = 0.80
	mostSlowdown     = 0.10
	// mostWaveWrites has one more than an issuance: the request before is deleted.
	mostWaveWrites = 6
	mostCrowd      = 60
	leastOfWave    = 0.60
	// A change of an issuer.
	mostChangeCalls = 10
	mostChangeCPU   = 500 * time.Millisecond
)

// presentPair returns the results with the fewest and with the most certificates present.
func presentPair(results []*result) (few, many *result) {
	for _, r := range results {
		if !strings.HasPrefix(r.name, namePresent+"-") {
			continue
		}
		if few == nil {
			few = r
		} else {
			many = r
		}
	}
	return few, many
}

func targets(results []*result) []target {
	byName := map[string]*result{}
	var found []target
	add := func(ok bool, title, is, wanted string) { found = append(found, target{title, is, wanted, ok}) }
	for _, r := range results {
		if r.skipped != "" {
			continue
		}
		byName[r.name] = r
		writes := rounded(r.writes.per(r.n))
		cpu := r.cpu["controllers"] * 1000 / time.Duration(r.n)
		hundred := r.total * 100 / time.Duration(r.n)
		switch r.name {
		case nameFloor, nameBareFloor, nameWaveFloor, nameVaultFloor:
		case nameHeld:
			add(r.memory <= mostMemory, r.name+", peak memory", mebibytes(r.memory), "at most "+mebibytes(mostMemory))
			add(r.restart <= mostRestart, r.name+", idle after a restart", seconds(r.restart), "at most "+seconds(mostRestart))
			add(len(r.restartWrites) == 0, r.name+", writes after a restart", fmt.Sprint(r.restartWrites.total()), "none")
		case nameWave:
			add(writes <= mostWaveWrites, r.name+", API writes each", fmt.Sprintf("%.2f", writes), fmt.Sprintf("at most %d", mostWaveWrites))
			add(cpu <= mostCPU, r.name+", CPU controllers per 1,000", seconds(cpu), "at most "+seconds(mostCPU))
			add(r.crowd <= mostCrowd, r.name+", calls at once", fmt.Sprint(r.crowd), fmt.Sprintf("at most %d", mostCrowd))
			refused := r.writes.refused() + r.reads.refused()
			add(refused == 0, r.name+", calls refused for load", fmt.Sprint(refused), "none")
		case nameChange + "-annotation", nameChange + "-spec", nameChange + "-secret":
			made := r.writes.total() + r.reads.total()
			add(made <= mostChangeCalls, r.name+", API calls", fmt.Sprint(made), fmt.Sprintf("at most %d", mostChangeCalls))
			touched := r.writes.on("certificates") + r.writes.on("certificaterequests") + r.reconciles["certificates-readiness"]
			add(touched == 0, r.name+", writes on and reconciles of Certificates", fmt.Sprint(touched), "none")
			used := r.cpu["controllers"]
			add(used <= mostChangeCPU, r.name+", CPU controllers", seconds(used), "at most "+seconds(mostChangeCPU))
		case nameRecursive, nameAuthoritative:
			add(hundred <= mostACME, r.name+", 100 certificates", seconds(hundred), "at most "+seconds(mostACME))
			add(writes <= mostACMEWrites, r.name+", API writes each", fmt.Sprintf("%.2f", writes), fmt.Sprintf("at most %d", mostACMEWrites))
			add(r.single <= mostSingle, r.name+", one alone", seconds(r.single), "at most "+seconds(mostSingle))
		case nameLagging:
			twoHundred := r.total * 200 / time.Duration(r.n)
			add(twoHundred <= mostLagging, r.name+", 200 certificates", seconds(twoHundred), "at most "+seconds(mostLagging))
			add(r.mostProbes <= mostProbes, r.name+", probes of a challenge and server", fmt.Sprint(r.mostProbes), fmt.Sprintf("at most %d", mostProbes))
		case nameHTTP01, nameHTTP01HAProxy:
			twoHundred := r.total * 200 / time.Duration(r.n)
			add(twoHundred <= mostHTTP01, r.name+", 200 certificates", seconds(twoHundred), "at most "+seconds(mostHTTP01))
			add(writes <= mostHTTP01Writes, r.name+", API writes each", fmt.Sprintf("%.2f", writes), fmt.Sprintf("at most %d", mostHTTP01Writes))
			add(r.objects <= mostObjects*r.n, r.name+", objects of a challenge", numbered(r.objects, r.n), fmt.Sprintf("at most %d", mostObjects))
			add(r.pods == 0, r.name+", pods", fmt.Sprint(r.pods), "none")
			add(r.single <= mostHTTP01Single, r.name+", one alone", seconds(r.single), "at most "+seconds(mostHTTP01Single))
		case nameVault:
			add(writes <= mostVaultWrites, r.name+", API writes each", fmt.Sprintf("%.2f", writes), fmt.Sprintf("at most %d", mostVaultWrites))
			asked := float64(r.asked) / float64(r.n)
			add(asked <= mostVaultAsked, r.name+", requests to Vault each", fmt.Sprintf("%.3f", asked), fmt.Sprintf("at most %.2f", mostVaultAsked))
		default:
			add(writes <= mostCAWrites, r.name+", API writes each", fmt.Sprintf("%.2f", writes), fmt.Sprintf("at most %d", mostCAWrites))
			add(cpu <= mostCPU, r.name+", CPU controllers per 1,000", seconds(cpu), "at most "+seconds(mostCPU))
		}
	}
	ratio := func(title, of, to string, least float64) {
		if a, b := byName[of], byName[to]; a != nil && b != nil {
			share := a.perSecond() / b.perSecond()
			add(share >= least, title, fmt.Sprintf("%.2f", share), fmt.Sprintf("at least %.2f", least))
		}
	}
	ratio("ca, of the floor", nameCA, nameFloor, leastOfFloor)
	ratio("ca-no-policies, of its floor", nameBareCA, nameBareFloor, leastOfBareFloor)
	ratio("ca-many, of the rate of ca", nameMany, nameCA, 1-mostSlowdown)
	ratio("vault, of its floor", nameVault, nameVaultFloor, leastOfVault)
	ratio("wave, of its floor", nameWave, nameWaveFloor, leastOfWave)
	few, many := presentPair(results)
	if few != nil && many != nil {
		within := func(what string, a, b float64, text string) {
			add(b <= a*(1+mostSlowdown), many.name+", "+what, text, fmt.Sprintf("at most %.2f of %s", 1+mostSlowdown, few.name))
		}
		of := func(a, b float64) string { return fmt.Sprintf("%.2f of %s", b/a, few.name) }
		a, b := few.cpu["controllers"].Seconds()/float64(few.n), many.cpu["controllers"].Seconds()/float64(many.n)
		within("CPU controllers each", a, b, of(a, b))
		a, b = few.writes.per(few.n)+few.reads.per(few.n), many.writes.per(many.n)+many.reads.per(many.n)
		within("API calls each", a, b, of(a, b))
		a, b = few.p50.Seconds(), many.p50.Seconds()
		within("p50 until Ready", a, b, of(a, b))
	}
	if many := byName[nameMany]; many != nil {
		add(many.memory <= mostMemory, "ca-many, peak memory", mebibytes(many.memory), "at most "+mebibytes(mostMemory))
		add(many.restart <= mostRestart, "ca-many, idle after a restart", seconds(many.restart), "at most "+seconds(mostRestart))
		add(len(many.restartWrites) == 0, "ca-many, writes after a restart", fmt.Sprint(many.restartWrites.total()), "none")
	}
	return found
}
