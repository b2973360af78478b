package acmedns

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/solver/dns01/dns01test"
)

func TestConformance(t *testing.T) {
	const zone, sub = "auth.example.org.", "deep.sub.auth.example.org."
	s := newStub(t)
	for _, of := range []string{zone, sub} {
		server := strings.TrimSuffix(of, ".")
		for _, label := range []string{"", "a.b.c.d.", "upper-case.", "present.", "clean-up.", "unauthorized.", "limit.", "fail.", "silence.", "cancel."} {
			s.register(label+server, server)
		}
	}
	dns01test.Run(t, dns01test.Server{
		Zone: zone, SubZone: sub, Elsewhere: "_acme-challenge.example.net.",
		Provider: s.provider(t, s.secret()), Patience: 10 * time.Second, Unauthorized: s.provider(t, broken(s.secret())),
		Secrets: []string{password, wrongPassword},
		Values:  s.txt, Silence: s.Silence, KeepsValues: true,
		Fail: func(*testing.T) func() {
			return s.Instead(func(w http.ResponseWriter, _ *http.Request) {
				answer(w, http.StatusInternalServerError, map[string]string{"error": "db_error"})
			})
		},
		Limit: func(*testing.T) func() {
			return s.Instead(func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "<html>slow down</html>", http.StatusTooManyRequests)
			})
		},
	})
}
