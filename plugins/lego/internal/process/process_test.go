package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-acme/lego/v5/challenge"
	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"

	"github.com/everleaf/everleaf/plugins/lego/internal/settings"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == Argument {
		os.Exit(Main(os.Args[2]))
	}
	os.Exit(m.Run())
}

// written is what the HTTP server of provider httpreq has been asked for.
type written struct{ Path, User, FQDN, Value string }

type httpServer struct {
	*httptest.Server
	mu  sync.Mutex
	got []written
	// refuse is the body of an error, if it is not empty.
	refuse string
	// hold, if set, delays answers until it is closed.
	hold chan struct{}
}

func newHTTPServer(t *testing.T) *httpServer {
	t.Helper()
	s := &httpServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := struct{ FQDN, Value string }{}
		raw, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(raw, &body)
		user, password, _ := r.BasicAuth()
		s.mu.Lock()
		s.got = append(s.got, written{r.URL.Path, user + ":" + password, body.FQDN, body.Value})
		refuse, hold := s.refuse, s.hold
		s.mu.Unlock()
		if hold != nil {
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}
		if refuse != "" {
			http.Error(w, refuse, http.StatusBadRequest)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *httpServer) requests() []written {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func newPool(t *testing.T, c clock.WithTicker) *Pool {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &Pool{Program: program, Clock: c}
	t.Cleanup(p.Close)
	return p
}

func request(t *testing.T, c settings.Config, secrets ...string) Request {
	t.Helper()
	s, err := settings.Check(c, false)
	if err != nil {
		t.Fatal(err)
	}
	return Request{Setting: s, Environment: s.Environment(secrets), FQDN: "_acme-challenge.example.com.", Zone: "example.com.", Value: "v1"}
}

// httpreq is a request for the provider httpreq, with credentials.
func httpreq(t *testing.T, url, user, password string) Request {
	t.Helper()
	return request(t, settings.Config{
		Provider:   "httpreq",
		Env:        map[string]settings.Text{"HTTPREQ_ENDPOINT": settings.Text(url), "HTTPREQ_USERNAME": settings.Text(user)},
		SecretRefs: []settings.SecretRef{{Env: "HTTPREQ_PASSWORD", Name: "n", Key: "k"}},
	}, password)
}

func bounded(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestRecordIsTheCallers(t *testing.T) {
	server := newHTTPServer(t)
	pool := newPool(t, clock.RealClock{})
	r := httpreq(t, server.URL, "u", "p")
	// The name is at the end of a CNAME record, and the value is not the digest of
	// anything.
	r.FQDN, r.Value = "elsewhere.example.net.", "any value"
	for _, cleanUp := range []bool{false, false, true, true, false} {
		r.CleanUp = cleanUp
		if err := pool.Do(bounded(t, 20*time.Second), r); err != nil {
			t.Fatal(err)
		}
	}
	// What is written or removed already is not written or removed again.
	want := []written{
		{"/present", "u:p", "elsewhere.example.net.", "any value"},
		{"/cleanup", "u:p", "elsewhere.example.net.", "any value"},
		{"/present", "u:p", "elsewhere.example.net.", "any value"},
	}
	if diff := cmp.Diff(want, server.requests()); diff != "" {
		t.Error(diff)
	}
}

// Report P40: many issuers with credentials of their own use one provider at the same
// time.
func TestCredentialsDoNotMix(t *testing.T) {
	server := newHTTPServer(t)
	pool := newPool(t, clock.RealClock{})
	var wg sync.WaitGroup
	const issuers, records = 6, 8
	for i := range issuers {
		for j := range records {
			r := httpreq(t, server.URL, fmt.Sprintf("user%d", i), fmt.Sprintf("password%d", i))
			r.FQDN, r.Value = fmt.Sprintf("_acme-challenge.%d.example.com.", i), fmt.Sprintf("value-%d-%d", i, j)
			wg.Go(func() {
				if err := pool.Do(bounded(t, 60*time.Second), r); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	got := server.requests()
	if len(got) != issuers*records {
		t.Errorf("%d requests", len(got))
	}
	for _, w := range got {
		i := strings.Split(w.Value, "-")[1]
		if w.User != "user"+i+":password"+i || w.FQDN != "_acme-challenge."+i+".example.com." {
			t.Errorf("%+v", w)
		}
	}
	if len(pool.workers) != issuers {
		t.Errorf("%d processes", len(pool.workers))
	}
}

func TestErrors(t *testing.T) {
	server := newHTTPServer(t)
	pool := newPool(t, clock.RealClock{})
	// Report P40: variables are missing.
	err := pool.Do(bounded(t, 20*time.Second), request(t, settings.Config{Provider: "transip"}))
	if want := "provider transip lacks TRANSIP_ACCOUNT_NAME, TRANSIP_PRIVATE_KEY_PATH: set them in config.env of the issuer, or with secret values in config.secretRefs; the environment of the plugin's pod is not used"; err == nil || err.Error() != want {
		t.Errorf("missing variables: %v", err)
	}
	if len(pool.workers) > 0 {
		t.Error("a process that could not be set up is kept")
	}
	server.refuse = "no right for password s3cr3t-value"
	err = pool.Do(bounded(t, 20*time.Second), httpreq(t, server.URL, "u", "s3cr3t-value"))
	if err == nil || strings.Contains(err.Error(), "s3cr3t") || !strings.Contains(err.Error(), "no right for password <HTTPREQ_PASSWORD>") {
		t.Errorf("a refusal: %v", err)
	}
	if err := pool.Do(t.Context(), httpreq(t, server.URL, "u", "p")); err == nil {
		t.Error("a call without a deadline is accepted")
	}
}

// A server that does not answer costs its own issuer the time, and nobody else.
func TestSilentServer(t *testing.T) {
	silent, other := newHTTPServer(t), newHTTPServer(t)
	silent.hold = make(chan struct{})
	defer close(silent.hold)
	pool := newPool(t, clock.RealClock{})
	slow := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	go func() { slow <- pool.Do(ctx, httpreq(t, silent.URL, "u", "p")) }()
	if err := pool.Do(bounded(t, 20*time.Second), httpreq(t, other.URL, "u", "p")); err != nil {
		t.Error(err)
	}
	if err := <-slow; err == nil || !strings.Contains(err.Error(), "deadline exceeded") {
		t.Errorf("%v", err)
	}
}

func TestProcessThatEnds(t *testing.T) {
	server := newHTTPServer(t)
	pool := newPool(t, clock.RealClock{})
	r := httpreq(t, server.URL, "u", "p")
	if err := pool.Do(bounded(t, 20*time.Second), r); err != nil {
		t.Fatal(err)
	}
	for _, s := range pool.workers {
		s.worker.stop()
	}
	r.Value = "v2"
	if err := pool.Do(bounded(t, 20*time.Second), r); err == nil {
		t.Error("a process that has ended answers")
	}
	if err := pool.Do(bounded(t, 20*time.Second), r); err != nil {
		t.Errorf("no new process: %v", err)
	}
}

func TestIdleProcessesEnd(t *testing.T) {
	server := newHTTPServer(t)
	now := testclock.NewFakeClock(time.Unix(0, 0))
	pool := newPool(t, now)
	holds, done := httpreq(t, server.URL, "holds", "p"), httpreq(t, server.URL, "done", "p")
	for _, r := range []Request{holds, done} {
		if err := pool.Do(bounded(t, 20*time.Second), r); err != nil {
			t.Fatal(err)
		}
	}
	done.CleanUp = true
	if err := pool.Do(bounded(t, 20*time.Second), done); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after time.Duration
		left  int
	}{{idleKept, 2}, {time.Second, 1}, {writtenKept - idleKept - time.Second, 1}, {time.Second, 0}} {
		now.Step(step.after)
		pool.Sweep()
		if len(pool.workers) != step.left {
			t.Errorf("at %s: %d processes, want %d", now.Now().Sub(time.Unix(0, 0)), len(pool.workers), step.left)
		}
	}
}

func TestEviction(t *testing.T) {
	now := testclock.NewFakeClock(time.Unix(0, 0))
	pool := newPool(t, now)
	pool.workers = map[[32]byte]*slot{}
	started := make(chan struct{})
	close(started)
	add := func(i int, users int, written bool) {
		w := &worker{written: map[key]bool{}, ended: make(chan struct{})}
		if written {
			w.written[key{}] = true
		}
		close(w.ended)
		pool.workers[[32]byte{byte(i)}] = &slot{starting: started, cancel: func() {}, worker: w, users: users, used: now.Now()}
		now.Step(time.Second)
	}
	add(1, 0, true)
	add(2, 1, false)
	add(3, 0, false)
	add(4, 0, false)
	var gone []int
	for _, s := range pool.workers {
		s.worker.in, s.worker.cmd = nopCloser{}, stopped(t)
	}
	for range 4 {
		before := ids(pool)
		if !pool.evict(func(*slot) bool { return true }) {
			break
		}
		for id := range before {
			if !ids(pool)[id] {
				gone = append(gone, id)
			}
		}
	}
	if diff := cmp.Diff([]int{3, 4, 1}, gone); diff != "" {
		t.Error(diff)
	}
	pool.workers = nil
}

// scripted is a provider whose calls are a function.
type scripted func(ctx context.Context, domain, token string) error

func (s scripted) Present(ctx context.Context, domain, token, _ string) error {
	return s(ctx, domain, token)
}

func (s scripted) CleanUp(ctx context.Context, domain, token, _ string) error {
	return s(ctx, domain, token)
}

// TestServe talks to a provider as the pool does.
func TestServe(t *testing.T) {
	var tokens []string
	provider := scripted(func(_ context.Context, domain, token string) error {
		tokens = append(tokens, token)
		switch domain {
		case "panics.example.com":
			panic("s3cr3t")
		case "crashes.example.com":
			var nothing *scripted
			return (*nothing)(context.Background(), "", "")
		case "silent.example.com":
			return errors.New("")
		}
		return nil
	})
	var in, out strings.Builder
	encoder := json.NewEncoder(&in)
	for _, c := range []call{
		{FQDN: "_acme-challenge.example.com.", Value: "v"},
		{CleanUp: true, FQDN: "_acme-challenge.example.com.", Value: "v"},
		{FQDN: "_acme-challenge.example.com.", Value: "w"},
		{FQDN: "_acme-challenge.panics.example.com."},
		{FQDN: "_acme-challenge.crashes.example.com."},
		{FQDN: "_acme-challenge.silent.example.com."},
	} {
		c.Patience = time.Second
		if err := encoder.Encode(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := serve(strings.NewReader(in.String()), &out, func() (challenge.Provider, error) { return provider, nil }); err != nil {
		t.Fatal(err)
	}
	want := `{"Error":""}
{"Error":""}
{"Error":""}
{"Error":""}
{"Error":"lego's provider panicked with a string"}
{"Error":"lego's provider panicked: runtime error: invalid memory address or nil pointer dereference"}
{"Error":"an error without a text (*errors.errorString)"}
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	// What providers take for the name of a record is that of the record.
	if tokens[0] != tokens[1] || tokens[0] == tokens[2] {
		t.Errorf("tokens: %q", tokens)
	}
}
