package clouddns

import (
	"net/http"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/solver/dns01/dns01test"
)

func keyConfig(v *vendor, key []byte) Config {
	return Config{Project: project, ServiceAccount: key, SecretName: "key", HTTP: v.client()}
}

func provider(t *testing.T, c Config) *Provider {
	t.Helper()
	p, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (v *vendor) failing(fail func(http.ResponseWriter, *http.Request) bool) func(*testing.T) func() {
	set := func(f func(http.ResponseWriter, *http.Request) bool) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.fail = f
	}
	return func(*testing.T) func() {
		set(fail)
		return func() { set(nil) }
	}
}

func (v *vendor) silent(*testing.T) func() {
	v.mu.Lock()
	defer v.mu.Unlock()
	silence := make(chan struct{})
	v.silence = silence
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.silence = nil
		close(silence)
	}
}

func TestConformance(t *testing.T) {
	for name, page := range map[string]int{"one page": 100, "pages of a zone": 1} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t)
			v.page = page
			wrong := keyJSON("dns", rsaKeys()[1])
			right := keyJSON("dns", rsaKeys()[0])
			dns01test.Run(t, dns01test.Server{
				Zone: "example.com.", SubZone: "deep.sub.example.com.", Elsewhere: "_acme-challenge.example.net.",
				Provider:     provider(t, keyConfig(v, right)),
				Unauthorized: provider(t, keyConfig(v, wrong)),
				Forbidden:    provider(t, keyConfig(v, keyJSON("reader", rsaKeys()[0]))),
				Secrets:      []string{string(right), string(wrong), "8xbJqaOZXSUZbHLl5EOtu1pxz3fmmetKx9W8CV4t79M"},
				Patience:     5 * time.Second,
				Values:       func(_ *testing.T, fqdn string) []string { return v.values(fqdn) },
				Fail: v.failing(func(w http.ResponseWriter, _ *http.Request) bool {
					refuse(w, 503, "backendError", "Backend Error")
					return true
				}),
				Limit: v.failing(func(w http.ResponseWriter, _ *http.Request) bool {
					refuse(w, 403, "rateLimitExceeded", "Rate Limit Exceeded")
					return true
				}),
				Silence: v.silent,
			})
		})
	}
}
