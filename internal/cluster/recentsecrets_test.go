package cluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
)

// A Secret is read again when the watch shows another version of it, or none, and
// after a minute.
func TestRecentSecrets(t *testing.T) {
	version := func(v, token string) *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "dns", ResourceVersion: v},
			Data:       map[string][]byte{"token": []byte(token)},
		}
	}
	s, client := newSecrets(t, version("1", "a"))
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 11, 26, 6, 0, 0, 0, time.UTC))
	recent := NewRecentSecrets(s, clock)
	store := func(secret *corev1.Secret) {
		t.Helper()
		if _, err := client.CoreV1().Secrets("ns").Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name   string
		before func()
		token  string
		reads  int
	}{
		{"not in the watch", func() {}, "a", 1},
		{"still not in the watch", func() {}, "a", 1},
		{"in the watch", func() { s.cached(t, version("1", "a")) }, "a", 0},
		{"changed, and the watch does not show it", func() { store(version("2", "b")) }, "a", 0},
		{"the watch shows it", func() { s.cached(t, version("2", "b")) }, "b", 1},
		{"read", func() {}, "b", 0},
		{"a minute later", func() { clock.SetTime(clock.Now().Add(recently + time.Second)) }, "b", 1},
		{"read before the watch shows it", func() {
			store(version("3", "c"))
			s.cached(t, version("2.5", "b"))
		}, "c", 1},
		{"the watch is behind", func() {}, "c", 1},
		{"deleted", func() {
			if err := client.CoreV1().Secrets("ns").Delete(t.Context(), "dns", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}, "", 1},
	} {
		step.before()
		client.ClearActions()
		data, err := recent.Read(t.Context(), "ns", "dns")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.token, string(data["token"])); diff != "" || reads(client) != step.reads {
			t.Errorf("%s: %d reads, want %d\n%s", step.name, reads(client), step.reads, diff)
		}
	}
	if data, err := recent.Read(t.Context(), "ns", "other"); data != nil || err != nil {
		t.Errorf("no Secret: %v, %v", data, err)
	}
}
