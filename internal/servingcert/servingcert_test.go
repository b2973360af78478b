package servingcert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	goruntime "runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"
)

// world is an API server with one Secret, and the replicas that look at it.
type world struct {
	secret   *corev1.Secret
	writes   int
	changed  func(data map[string][]byte)
	client   *fake.Clientset
	replicas []*Source
	clocks   []*clocktesting.FakeClock
	seen     map[int]string
	next     map[int]time.Time
	lines    []string
}

// newWorld has one replica per offset, which is how far its clock is ahead.
func newWorld(t *testing.T, offsets ...time.Duration) *world {
	t.Helper()
	w := &world{client: fake.NewClientset(), seen: map[int]string{}, next: map[int]time.Time{}}
	w.client.PrependReactor("*", "secrets", func(action clienttesting.Action) (bool, runtime.Object, error) {
		// An update looks like a create.
		sent := action.(clienttesting.CreateAction).GetObject().(*corev1.Secret)
		switch {
		case action.GetVerb() == "create" && w.secret != nil:
			return true, nil, apierrors.NewAlreadyExists(corev1.Resource("secrets"), "ca")
		case action.GetVerb() == "update" && versionOf(w.secret) != sent.ResourceVersion:
			return true, nil, apierrors.NewConflict(corev1.Resource("secrets"), "ca", errors.New("changed"))
		}
		w.writes++
		w.put(sent.Data)
		if w.changed != nil {
			w.changed(w.secret.Data)
		}
		return true, w.secret.DeepCopy(), nil
	})
	for i, offset := range offsets {
		log := funcr.New(func(_, args string) { w.lines = append(w.lines, fmt.Sprintf("%d: %s", i, args)) }, funcr.Options{})
		c := clocktesting.NewFakeClock(start.Add(offset))
		w.clocks = append(w.clocks, c)
		w.replicas = append(w.replicas, New(Config{Namespace: "ns", Name: "ca", DNSNames: []string{"webhook"}, Lifetime: 168 * time.Hour}, w.client, c, log))
	}
	return w
}

// put stores data as a new version.
func (w *world) put(data map[string][]byte) {
	version := 1
	if w.secret != nil {
		_, _ = fmt.Sscan(w.secret.ResourceVersion, &version)
	}
	w.secret = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "ca", ResourceVersion: fmt.Sprint(version + 1)},
		Data:       maps.Clone(data),
	}
}

// run lets time pass, a second at a time: each replica looks, if it has changed or if it
// is time, at what was there at the end of the second before.
func (w *world) run(t *testing.T, span time.Duration) {
	for range int(span / time.Second) {
		seen := w.secret.DeepCopy()
		if w.secret == nil {
			seen = nil
		}
		for i, r := range w.replicas {
			now := w.clocks[i].Now()
			if version := versionOf(seen); w.seen[i] != version || !now.Before(w.next[i]) {
				w.seen[i], w.next[i] = version, now.Add(r.check(t.Context(), seen))
			}
			w.clocks[i].Step(time.Second)
		}
	}
}

func (w *world) errors() []string {
	var found []string
	for _, line := range w.lines {
		if strings.Contains(line, `"error"`) {
			found = append(found, line)
		}
	}
	return found
}

// TestClocksApart: replicas whose clocks are months apart do not replace each other's
// CA for ever, and say what is wrong.
func TestClocksApart(t *testing.T) {
	const month = 30 * 24 * time.Hour
	for _, ahead := range []time.Duration{9 * month, 13 * month, -9 * month} {
		w := newWorld(t, 0, ahead)
		w.run(t, 10*time.Minute)
		if w.writes < 1 || w.writes > 8 {
			t.Errorf("%v apart: %d CAs in ten minutes", ahead, w.writes)
		}
		before := w.writes
		w.run(t, 50*time.Minute)
		if got := w.writes - before; got > 12 {
			t.Errorf("%v apart: %d more CAs in fifty minutes", ahead, got)
		}
		found := w.errors()
		if len(found) > 4 {
			t.Errorf("%v apart: %d lines:\n%s", ahead, len(found), strings.Join(found, "\n"))
		}
		for _, want := range []string{"so the clock of this node or of another replica's node may be wrong", `"clock"="2026-11-26T0`, `"notBefore"="`, `"notAfter"="`} {
			if !strings.Contains(strings.Join(found, "\n"), want) {
				t.Errorf("%v apart: no line says %q:\n%s", ahead, want, strings.Join(found, "\n"))
			}
		}
		for i, r := range w.replicas {
			if _, err := r.GetCertificate(nil); err != nil {
				t.Errorf("%v apart: replica %d: %v", ahead, i, err)
			}
		}
	}
}

// TestFoundCA (Q47): a CA that is there at the start and of no use is replaced at once.
func TestFoundCA(t *testing.T) {
	for name, at := range map[string]time.Duration{"expired": -366 * 24 * time.Hour, "not valid yet": 48 * time.Hour, "a third left": -250 * 24 * time.Hour} {
		w := newWorld(t, 0)
		data, err := newAuthority(start.Add(at), nil)
		if err != nil {
			t.Fatal(err)
		}
		w.put(data)
		w.run(t, 3*time.Second)
		_, err = w.replicas[0].GetCertificate(nil)
		if w.writes != 1 || err != nil || len(w.lines) != 1 || !strings.Contains(w.lines[0], `"clock"="2026-11-26T04:00:00Z"`) {
			t.Errorf("%s: %d writes, %v, log %q", name, w.writes, err, w.lines)
		}
	}
}

// TestArrivedCA: while the process runs, a CA with other times is replaced, but not at
// once, and not valid yet it is kept and reported.
func TestArrivedCA(t *testing.T) {
	for _, test := range []struct {
		name    string
		at      time.Duration
		seconds int
		log     int
	}{
		{"expired", -366 * 24 * time.Hour, 31, 0},
		{"a third left", -250 * 24 * time.Hour, 31, 0},
		{"not valid yet", 48 * time.Hour, 601, 1},
	} {
		w := newWorld(t, 0)
		w.put(made(t))
		w.run(t, 2*time.Hour)
		data, err := newAuthority(start.Add(test.at), nil)
		if err != nil {
			t.Fatal(err)
		}
		w.put(data)
		w.run(t, time.Duration(test.seconds-1)*time.Second)
		if found := w.errors(); w.writes != 0 || len(found) != test.log {
			t.Errorf("%s: %d writes, log %q", test.name, w.writes, found)
		}
		w.run(t, 2*time.Second)
		if w.writes != 1 {
			t.Errorf("%s: %d writes", test.name, w.writes)
		}
	}
}

// TestSecretDoesNotKeepItsCA plays programs that change what is stored.
func TestSecretDoesNotKeepItsCA(t *testing.T) {
	broken := map[string][]byte{"tls.crt": []byte("x"), "tls.key": []byte("x"), "ca.crt": []byte("x")}
	for _, test := range []struct {
		name    string
		changed func(map[string][]byte)
		after   bool
		want    string
	}{
		{"a policy strips a key", func(data map[string][]byte) { delete(data, "ca.crt") }, false, "keep the CA in Secret ns/ca: the API server has stored it without ca.crt: change the admission webhook or policy that alters the Secret"},
		{"a policy writes another key", func(data map[string][]byte) { data["tls.key"] = []byte("x") }, false, "keep the CA in Secret ns/ca: the API server has stored it with another tls.key: change the admission webhook or policy that alters the Secret"},
		{"a program reverts it", nil, true, "keep the CA in Secret ns/ca: it does not stay as it was stored: tls.crt cannot be read: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, 0)
			w.changed = test.changed
			if test.after {
				w.put(broken)
			}
			for range 3600 {
				w.run(t, time.Second)
				if test.after && string(w.secret.Data["ca.crt"]) != "x" {
					w.put(broken)
				}
			}
			if w.writes < 3 || w.writes > 15 {
				t.Errorf("%d writes in an hour", w.writes)
			}
			_, err := w.replicas[0].GetCertificate(nil)
			if err == nil || !strings.HasPrefix(err.Error(), "no serving certificate: "+test.want) {
				t.Errorf("the certificate: %v", err)
			}
			if found := w.errors(); len(found) != 1 || !strings.Contains(found[0], test.want) {
				t.Errorf("log:\n%s", strings.Join(found, "\n"))
			}
			// As soon as the cause is gone, it recovers by itself.
			w.changed = nil
			for range 2 * 600 {
				w.run(t, time.Second)
			}
			if _, err := w.replicas[0].GetCertificate(nil); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// TestDeletedCA: a deleted Secret is back within seconds.
func TestDeletedCA(t *testing.T) {
	w := newWorld(t, 0)
	w.run(t, 10*time.Second)
	w.secret = nil
	w.run(t, 10*time.Second)
	if w.writes != 2 || w.secret == nil || len(w.errors()) != 0 {
		t.Errorf("%d writes, log %q", w.writes, w.lines)
	}
}

// TestDueCAIsUsed: as long as a CA that is due cannot be replaced, it signs.
func TestDueCAIsUsed(t *testing.T) {
	w := newWorld(t, 250*24*time.Hour)
	w.put(made(t))
	w.client.PrependReactor("update", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(corev1.Resource("secrets"), "ca", errors.New("no"))
	})
	w.run(t, time.Second)
	if _, err := w.replicas[0].GetCertificate(nil); err != nil || len(w.errors()) != 1 {
		t.Errorf("%v, log %q", err, w.lines)
	}
}

// TestLeafRenewal: two thirds of the lifetime count from the signature, not from the
// begin of the certificate.
func TestLeafRenewal(t *testing.T) {
	ca, err := read(made(t))
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Lifetime: time.Hour}, nil, clocktesting.NewFakeClock(start), logr.Discard())
	if err := s.sign(ca, start); err != nil {
		t.Fatal(err)
	}
	if !s.current.fresh(start.Add(39*time.Minute)) || s.current.fresh(start.Add(40*time.Minute)) {
		t.Errorf("the certificate from %v until %v is not renewed after 40 minutes", s.current.cert.Leaf.NotBefore, s.current.cert.Leaf.NotAfter)
	}
}

func TestWatchFailed(t *testing.T) {
	refused := func(port int) error {
		return fmt.Errorf("failed to list *v1.Secret: %w", &url.Error{Op: "Get", URL: fmt.Sprintf("https://x?resourceVersion=%d", port), Err: &net.OpError{Op: "dial", Source: &net.TCPAddr{Port: port}, Err: syscall.ECONNREFUSED}})
	}
	w := newWorld(t, 0)
	s := w.replicas[0]
	for _, err := range []error{refused(1), refused(2), io.EOF, refused(3), apierrors.NewResourceExpired("old")} {
		s.watchFailed(err)
	}
	const want = "watch Secret ns/ca: the API server cannot be reached: connection refused"
	if _, err := s.GetCertificate(nil); err == nil || err.Error() != "no serving certificate: "+want {
		t.Errorf("got %v", err)
	}
	if len(w.lines) != 1 {
		t.Errorf("log %q", w.lines)
	}
}

// TestNoAPIServer: an API server that cannot be reached is named, although the informer
// says nothing.
func TestNoAPIServer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	core, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	logged := make(chan string, 100)
	clock := clocktesting.NewFakeClock(start)
	s := New(Config{Namespace: "ns", Name: "ca"}, core, clock, funcr.New(func(_, args string) { logged <- args }, funcr.Options{}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Start(ctx) }()
	for !clock.HasWaiters() {
		goruntime.Gosched()
	}
	clock.Step(checkPeriod)
	<-logged
	_, err = s.GetCertificate(nil)
	const want = `no serving certificate: watch Secret ns/ca: the API server cannot be reached: connection refused`
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestForbidden: without the permission to watch, the certificate's error says so.
func TestForbidden(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(rw, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"secrets \"ca\" is forbidden: User \"x\" cannot list","reason":"Forbidden","code":403}`)
	}))
	defer server.Close()
	core, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	logged := make(chan string, 100)
	s := New(Config{Namespace: "ns", Name: "ca"}, core, clocktesting.NewFakeClock(start), funcr.New(func(_, args string) { logged <- args }, funcr.Options{}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Start(ctx) }()
	<-logged
	_, err = s.GetCertificate(nil)
	const want = `no serving certificate: watch Secret ns/ca: secrets "ca" is forbidden: User "x" cannot list`
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
