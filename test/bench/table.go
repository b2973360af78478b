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
	{"per second", func(r *result) string { return fmt.Sprintf("%.1f", r.perSecond()) }},
	{"p50 until Ready", func(r *result) string { return seconds(r.p50) }},
	{"p99 until Ready", func(r *result) string { return seconds(r.p99) }},
	{"one alone", func(r *result) string { return seconds(r.single) }},
	{"API writes each", func(r *result) string { return fmt.Sprintf("%.2f", r.writes.per(r.n)) }},
	{"API reads each", func(r *result) string { return perEach(r.reads, r.n) }},
	{"CPU controllers", func(r *result) string { return seconds(r.cpu["controllers"]) }},
	{"CPU kube-apiserver", func(r *result) string { return seconds(r.cpu["kube-apiserver"]) }},
	{"CPU etcd", func(r *result) string { return seconds(r.cpu["etcd"]) }},
	{"CPU kube-controller-manager", func(r *result) string { return seconds(r.cpu["kube-controller-manager"]) }},
	{"CPU bench itself", func(r *result) string { return seconds(r.cpu["bench"]) }},
	{"peak memory controllers", func(r *result) string { return mebibytes(r.memory) }},
}

func seconds(d time.Duration) string {
	if d == 0 {
		return none
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
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

func targets(results []*result) []target {
	var ca, floor *result
	var found []target
	for _, r := range results {
		switch {
		case r.skipped != "":
		case r.name == nameCA:
			ca = r
			writes := rounded(r.writes.per(r.n))
			found = append(found,
				target{"ca, per second", fmt.Sprintf("%.1f", r.perSecond()), "at least 70", r.perSecond() >= 70},
				target{"ca, API writes each", fmt.Sprintf("%.2f", writes), "at most 6", writes <= 6})
		case r.name == nameFloor:
			floor = r
		default:
			writes := rounded(r.writes.per(r.n))
			found = append(found,
				target{r.name + ", 100 certificates", seconds(r.total * 100 / time.Duration(r.n)), "at most 15 s", r.total*100/time.Duration(r.n) <= 15*time.Second},
				target{r.name + ", API writes each", fmt.Sprintf("%.2f", writes), "at most 24", writes <= 24},
				target{r.name + ", one alone", seconds(r.single), "at most 3 s", r.single <= 3*time.Second})
		}
	}
	if ca != nil && floor != nil {
		ratio := ca.perSecond() / floor.perSecond()
		found = append(found, target{"ca, of the floor", fmt.Sprintf("%.2f", ratio), "at least 0.65", ratio >= 0.65})
	}
	return found
}
