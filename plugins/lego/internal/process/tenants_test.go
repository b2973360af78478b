package process

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/plugins/lego/internal/settings"
)

// What the base says is not the issuer's to change, whatever the check lets through.
func TestBaseIsFixed(t *testing.T) {
	p := plan{
		base: []string{"AWS_EC2_METADATA_DISABLED=true", "PATH=/bin"}, fixed: true,
		Environment: settings.Environment{
			Variables: map[string]string{"AWS_EC2_METADATA_DISABLED": "false", "HOME": "/root", "A": "a"},
			Files:     map[string]string{"K": "content"},
		},
	}
	want := []string{"A=a", "AWS_EC2_METADATA_DISABLED=true", "HOME=/d", "K=/d/K", "PATH=/bin", "TMPDIR=/d"}
	if diff := cmp.Diff(want, p.variables("/d")); diff != "" {
		t.Error(diff)
	}
}

// A sweep while requests are in progress: for the race detector.
func TestSweepDuringRequests(t *testing.T) {
	server := newHTTPServer(t)
	pool := newPool(t, clock.RealClock{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 50 {
			r := httpreq(t, server.URL, "u", "p")
			r.Value = string(rune('a' + i))
			_ = pool.Do(bounded(t, 20*time.Second), r)
		}
	}()
	for {
		select {
		case <-done:
			return
		default:
			pool.Sweep()
		}
	}
}

func TestMakeRoom(t *testing.T) {
	started := make(chan struct{})
	close(started)
	for name, c := range map[string]struct {
		// counts are the processes of each namespace, busy those that are in use.
		counts    map[string]int
		busy      string
		namespace string
		want      error
		left      map[string]int
	}{
		"room":                  {counts: map[string]int{"a": 7}, busy: "a", namespace: "a", left: map[string]int{"a": 7}},
		"its share is in use":   {counts: map[string]int{"a": share}, busy: "a", namespace: "a", want: errShare("a"), left: map[string]int{"a": share}},
		"others have room":      {counts: map[string]int{"a": share}, busy: "a", namespace: "b", left: map[string]int{"a": share}},
		"its own goes":          {counts: map[string]int{"a": share, "b": 1}, namespace: "a", left: map[string]int{"a": share - 1, "b": 1}},
		"full, its own goes":    {counts: map[string]int{"a": 8, "b": 8, "c": 8, "d": 7, "e": 1}, namespace: "e", left: map[string]int{"a": 8, "b": 8, "c": 8, "d": 7}},
		"full, of those in use": {counts: map[string]int{"a": 8, "b": 8, "c": 8, "d": 8}, busy: "abcd", namespace: "e", want: errFull, left: map[string]int{"a": 8, "b": 8, "c": 8, "d": 8}},
	} {
		t.Run(name, func(t *testing.T) {
			pool := &Pool{workers: map[[32]byte]*slot{}}
			for namespace, n := range c.counts {
				for i := range n {
					s := &slot{namespace: namespace, starting: started, cancel: func() {}}
					for _, b := range c.busy {
						if string(b) == namespace {
							s.users = 1
						}
					}
					pool.workers[[32]byte{namespace[0], byte(i)}] = s
				}
			}
			if err := pool.makeRoom(c.namespace); (err == nil) != (c.want == nil) || err != nil && err.Error() != c.want.Error() {
				t.Errorf("%v, want %v", err, c.want)
			}
			left := map[string]int{}
			for _, s := range pool.workers {
				left[s.namespace]++
			}
			if diff := cmp.Diff(c.left, left); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Nothing stays on the disk: neither of this program, nor of one that was killed.
func TestNothingIsLeft(t *testing.T) {
	parent := t.TempDir()
	t.Setenv("TMPDIR", parent)
	left := filepath.Join(parent, homes+"1", "provider-1")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "KEY"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	living, err := newHome(parent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("what a killed program has left is still there")
	}
	server := newHTTPServer(t)
	pool := newPool(t, clock.RealClock{})
	if err := pool.Do(bounded(t, 20*time.Second), httpreq(t, server.URL, "u", "p")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(living.dir); err != nil {
		t.Error("the directory of a running program is removed: ", err)
	}
	pool.Close()
	living.remove()
	entries, err := os.ReadDir(parent)
	if err != nil || len(entries) > 0 {
		t.Error(entries, err)
	}
}
