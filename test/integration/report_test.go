package integration

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/internal/report"
	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/harness"
)

// TestReport: the page about a namespace has what is in it, in each format, and a browser
// shows it.
func TestReport(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	cluster.Apply(t, ns, commandsIssuer+"---\n"+harness.CertificateManifest("www", "selfsigned", "www.example.com")+"---\n"+harness.CertificateManifest("stuck", "missing", "stuck.example.com"))
	cluster.Run(t, harness.Controllers{Options: func(o *operator.Options) { o.Namespace = ns }})
	cluster.Ready(t, ns, "www", 30*time.Second)
	var r report.Report
	harness.Eventually(t, 20*time.Second, func() error {
		out, errs, status := everleafOn(t, cluster, ns, "report", "-o", "json")
		r = report.Report{}
		if err := json.Unmarshal([]byte(out), &r); err != nil || status != 0 {
			t.Fatalf("exit status %d: %v: %s", status, err, errs)
		}
		if len(r.Certificates) != 2 || r.Certificates[1].State != report.Ready || !strings.Contains(r.Certificates[0].Cause, "missing") {
			return errors.New(out)
		}
		return nil
	})
	if r.Certificates[1].Key != "ECDSA 256" || r.Totals.Ready != 1 || r.Totals.Certificates != 2 {
		t.Errorf("%+v", r)
	}
	out, errs, status := everleafOn(t, cluster, ns, "report")
	if status != 0 || !strings.Contains(out, "ready    "+ns+"/www") || strings.Contains(out, "\x1b[") {
		t.Errorf("exit status %d: %s\n%s", status, errs, out)
	}
	page, errs, status := everleafOn(t, cluster, ns, "report", "-o", "html")
	if status != 0 {
		t.Fatalf("exit status %d: %s", status, errs)
	}
	document := browse(t, page)
	for _, want := range []string{"<td>" + ns + "/www</td>", `<section id="calendar">`, `<section id="attention">`} {
		if !strings.Contains(document, want) {
			t.Errorf("the browser's document lacks %s:\n%s", want, document)
		}
	}
}

// browse opens a page in Chromium, which may reach nothing, and returns the document as
// the browser has it.
func browse(t *testing.T, page string) string {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		child.Missing(t, "needs a browser, Debian's package chromium: %v", err)
	}
	dir := t.TempDir()
	file, picture := filepath.Join(dir, "report.html"), filepath.Join(dir, "report.png")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	arguments := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir=" + filepath.Join(dir, "profile"), "--host-resolver-rules=MAP * ~NOTFOUND",
		"--window-size=1280,1400", "--virtual-time-budget=2000",
	}
	run := func(more ...string) []byte {
		cmd := exec.CommandContext(t.Context(), browser, append(append(arguments, more...), "file://"+file)...)
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("chromium: %v\n%s", err, errs.String())
		}
		return out
	}
	document := run("--dump-dom")
	run("--screenshot=" + picture)
	if info, err := os.Stat(picture); err != nil || info.Size() < 10_000 {
		t.Errorf("the picture of the page is empty: %v", err)
	}
	return string(document)
}
