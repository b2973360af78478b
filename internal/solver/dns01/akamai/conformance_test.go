package akamai

import (
	"net/http"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/solver/dns01/dns01test"
)

func TestConformance(t *testing.T) {
	s := newStub(t)
	dns01test.Run(t, dns01test.Server{
		Zone: "example.com.", SubZone: "deep.sub.example.com.", Elsewhere: "_acme-challenge.example.net.",
		Provider: s.provider(t, clientToken, goodSecret), Patience: 10 * time.Second,
		Unauthorized: s.provider(t, clientToken, badSecret), Forbidden: s.provider(t, readToken, goodSecret),
		Secrets: []string{clientToken, readToken, accessToken, goodSecret, badSecret},
		Values:  s.values, Silence: s.Silence,
		Fail: func(*testing.T) func() {
			return s.Instead(func(w http.ResponseWriter, _ *http.Request) {
				refuse(w, http.StatusInternalServerError, "Internal Server Error", "")
			})
		},
		Limit: func(*testing.T) func() {
			return s.Instead(func(w http.ResponseWriter, _ *http.Request) {
				refuse(w, http.StatusTooManyRequests, "Too many requests", "")
			})
		},
	})
}
