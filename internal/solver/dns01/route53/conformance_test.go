package route53

import (
	"net/http"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/solver/dns01/dns01test"
)

func keyConfig(v *vendor, id, secret string) Config {
	return Config{AccessKeyID: id, SecretAccessKey: secret, KeyName: `the access key "` + id + `"`, HTTP: v.client()}
}

func provider(t *testing.T, c Config) *Provider {
	t.Helper()
	p, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// clearEnvironment removes what the environment of the test says about AWS.
func clearEnvironment(t *testing.T) {
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ROLE_ARN",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL",
	} {
		t.Setenv(name, "")
	}
	none := t.TempDir() + "/none"
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
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
	clearEnvironment(t)
	for name, change := range map[string]func(*vendor, *Config){
		"access key":      func(*vendor, *Config) {},
		"role":            func(_ *vendor, c *Config) { c.Role = "arn:aws:iam::123456789012:role/dns" },
		"pages of a zone": func(v *vendor, _ *Config) { v.page = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t)
			c := keyConfig(v, keyID, keySecret)
			change(v, &c)
			dns01test.Run(t, dns01test.Server{
				Zone: "example.com.", SubZone: "deep.sub.example.com.", Elsewhere: "_acme-challenge.example.net.",
				Provider:     provider(t, c),
				Unauthorized: provider(t, keyConfig(v, keyID, weakSecret)),
				Forbidden:    provider(t, keyConfig(v, weakID, weakSecret)),
				Secrets:      []string{keySecret, weakSecret},
				Patience:     5 * time.Second,
				Values:       func(_ *testing.T, fqdn string) []string { return v.values(fqdn) },
				Fail: v.failing(func(w http.ResponseWriter, _ *http.Request) bool {
					refuse(w, 500, "InternalFailure", "The request processing has failed because of an unknown error, exception or failure.")
					return true
				}),
				Limit: v.failing(func(w http.ResponseWriter, _ *http.Request) bool {
					refuse(w, 400, "Throttling", "Rate exceeded")
					return true
				}),
				Silence: v.silent,
			})
		})
	}
}
