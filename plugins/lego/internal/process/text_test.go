package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/plugins/lego/internal/settings"
)

// Credentials of the plugin's environment, which some issuers may use, are secrets too.
func TestFit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("fr0m-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := request(t, settings.Config{
		Provider:   "ovh",
		SecretRefs: []settings.SecretRef{{Env: "OVH_APPLICATION_KEY", Name: "n", Key: "k"}},
	}, "s3cr3t-key")
	pool := &Pool{Ambient: []string{"OVH_APPLICATION_SECRET=s3cr3t-environment", "OVH_CONSUMER_KEY_FILE=" + file, "OVH_TTL=3600", "PATH=/usr/bin"}}
	const text = "s3cr3t-key s3cr3t-environment fr0m-a-file 3600 /usr/bin"
	for ambient, want := range map[bool]string{
		false: "<OVH_APPLICATION_KEY> s3cr3t-environment fr0m-a-file 3600 /usr/bin",
		true:  "<OVH_APPLICATION_KEY> <OVH_APPLICATION_SECRET> <OVH_CONSUMER_KEY> 3600 /usr/bin",
	} {
		r.Ambient = ambient
		if got := pool.fit(r, text); got != want {
			t.Errorf("ambient %t: %q, want %q", ambient, got, want)
		}
	}
	if got := pool.fit(r, strings.Repeat("é", maxText)); len(got) > maxText+len("…") || !strings.HasSuffix(got, "é…") {
		t.Errorf("a long text has %d bytes", len(got))
	}
	if got := answerOf(fmt.Errorf("%s", strings.Repeat("x", 1<<20))).Error; len(got) > maxAnswer+len("…") {
		t.Errorf("an answer has %d bytes", len(got))
	}
}

// The text of an error is the same whenever the same fails.
func TestAnswersDoNotNameTheDirectory(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{dir: t.TempDir(), out: make(chan answer, 1), ended: make(chan struct{}), cmd: stopped(t)}
	if _, err := fmt.Fprintf(write, "{\"Error\": \"open %s/KEY: bad\"}\n", w.dir); err != nil {
		t.Fatal(err)
	}
	write.Close()
	w.listen(read)
	if got := <-w.out; got.Error != "open KEY: bad" {
		t.Errorf("%q", got.Error)
	}
}

func TestErrorsDoNotNameTheDirectory(t *testing.T) {
	parent := t.TempDir()
	t.Setenv("TMPDIR", filepath.Join(parent, "absent"))
	err := (&Pool{}).Prepare()
	if want := "make a directory for the files of providers in " + filepath.Join(parent, "absent") + ": no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
	_, _, err = start(t.Context(), plan{home: filepath.Join(parent, "absent")})
	if want := "make a directory for its files: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
}

// Close also waits for processes that are being stopped for another reason.
func TestCloseEndsDroppedProcesses(t *testing.T) {
	server := newHTTPServer(t)
	pool := newPool(t, clock.RealClock{})
	r := httpreq(t, server.URL, "u", "p")
	if err := pool.Do(bounded(t, 20*time.Second), r); err != nil {
		t.Fatal(err)
	}
	w := pool.workers[r.identity()].worker
	pool.drop(r.identity())
	pool.Close()
	if w.alive() {
		t.Error("the process still runs")
	}
}
