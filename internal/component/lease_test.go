package component

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

const path = "https://server/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"

type answers func(*http.Request) int

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a(r), Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

// electing is a lease, and what sends its requests.
func electing(t *testing.T, c clock.WithTicker, lines *[]string, answer answers) (*Lease, func(method, path string)) {
	t.Helper()
	options := manager.Options{Logger: funcr.New(func(_, args string) { *lines = append(*lines, args) }, funcr.Options{})}
	election := DefaultLeaderElection()
	election.Elect(&options, "cert-manager-controller")
	lease := election.Observe(&options, &rest.Config{Transport: answer}, c)
	transport, err := rest.TransportFor(options.LeaderElectionConfig)
	if err != nil {
		t.Fatal(err)
	}
	options.Logger.Error(apierrors.NewForbidden(schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}, "x", nil), "Error retrieving lease lock")
	return lease, func(method, path string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, path, bytes.NewReader(nil))
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
}

func TestForbiddenLease(t *testing.T) {
	c := clocktesting.NewFakeClock(time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC))
	status := http.StatusForbidden
	var lines []string
	lease, send := electing(t, c, &lines, func(*http.Request) int { return status })
	// A try each 15 s, for 70 s.
	for range 5 {
		send(http.MethodGet, path+"/cert-manager-controller")
		c.Step(15 * time.Second)
	}
	want := `"msg"="Leader election: RBAC does not allow to get leases.coordination.k8s.io \"cert-manager-controller\" in namespace kube-system: ` +
		`this process does nothing until it has the lease. Set global.leaderElection.namespace of the chart (--leader-election-namespace) to the namespace that has the Role for the lease, or create the Role; next try in 15s" "error"=null`
	if diff := cmp.Diff([]string{want, want}, lines); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := lease.Check(20 * time.Second); err != nil {
		t.Errorf("after 75 s: %v", err)
	}
	c.Step(6 * time.Second)
	const late = `leader election has failed for 1m21s: RBAC does not allow to get leases.coordination.k8s.io "cert-manager-controller" in namespace kube-system`
	if err := lease.Check(20 * time.Second); err == nil || err.Error() != late {
		t.Errorf("got %v, want %s", err, late)
	}
	status = http.StatusOK
	send(http.MethodGet, path+"/cert-manager-controller")
	if err := lease.Check(20 * time.Second); err != nil {
		t.Errorf("a lease that may be read: %v", err)
	}
}

// TestLeaseThatMayOnlyBeRead: reading is allowed, taking is not.
func TestLeaseThatMayOnlyBeRead(t *testing.T) {
	c := clocktesting.NewFakeClock(time.Now())
	var lines []string
	lease, send := electing(t, c, &lines, func(r *http.Request) int {
		if r.Method == http.MethodGet {
			return http.StatusOK
		}
		return http.StatusForbidden
	})
	for range 6 {
		send(http.MethodGet, path+"/cert-manager-controller")
		send(http.MethodPut, path+"/cert-manager-controller")
		c.Step(15 * time.Second)
	}
	if err := lease.Check(20 * time.Second); err == nil || !strings.Contains(err.Error(), "to update leases") {
		t.Errorf("got %v", err)
	}
}

func TestLeaderThatDoesNotRenew(t *testing.T) {
	c := clocktesting.NewFakeClock(time.Now())
	var lines []string
	lease, send := electing(t, c, &lines, func(*http.Request) int { return http.StatusOK })
	c.Step(time.Hour)
	if err := lease.Check(20 * time.Second); err != nil {
		t.Errorf("a standby: %v", err)
	}
	send(http.MethodPost, path)
	c.Step(80 * time.Second)
	if err := lease.Check(20 * time.Second); err != nil {
		t.Errorf("80 s after the renewal: %v", err)
	}
	c.Step(time.Second)
	const want = "the leader has not renewed its lease kube-system/cert-manager-controller for 1m21s"
	if err := lease.Check(20 * time.Second); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	send(http.MethodPut, path+"/cert-manager-controller")
	if err := lease.Check(20 * time.Second); err != nil {
		t.Errorf("after a renewal: %v", err)
	}
	if len(lines) > 0 {
		t.Errorf("logged %q", lines)
	}
}

// TestOtherErrorsAreLogged: only what the lease reports itself is kept from the log.
func TestOtherErrorsAreLogged(t *testing.T) {
	var lines []string
	log := funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
	log = log.WithSink(&quietAboutLeases{log.GetSink()})
	log.WithName("x").WithValues("k", "v").Error(errors.New("other"), "Failed")
	log.Error(apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "s", nil), "Failed")
	log.WithName("x").Error(apierrors.NewForbidden(schema.GroupResource{Resource: "leases"}, "l", nil), "Failed")
	if len(lines) != 2 {
		t.Errorf("logged %q", lines)
	}
}

func TestWatchEndsTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		lease, send := electing(t, clock.RealClock{}, &lines, func(*http.Request) int { return http.StatusForbidden })
		send(http.MethodGet, path+"/cert-manager-controller")
		begin := time.Now()
		err := lease.Watch(t.Context(), 4*time.Minute)
		if took := time.Since(begin); err == nil || took != 5*time.Minute+10*time.Second {
			t.Errorf("after %s: %v", took, err)
		}
	})
}
