package settings

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
	"github.com/everleaf/everleaf/solverwebhook"
)

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		config  string
		ambient bool
		want    string
	}{
		"httpreq":            {config: `{"provider": "httpreq", "env": {"HTTPREQ_ENDPOINT": "https://x"}, "secretRefs": [{"env": "HTTPREQ_PASSWORD", "name": "n", "key": "k"}]}`},
		"an alias":           {config: `{"provider": "rfc2136", "env": {"RFC2136_NAMESERVER": "127.0.0.1:53", "DNSUPDATE_TTL": 60}}`},
		"a file as a Secret": {config: `{"provider": "transip", "secretRefs": [{"env": "TRANSIP_PRIVATE_KEY_PATH", "name": "n", "key": "k"}]}`},
		"no provider":        {config: `{}`, want: "config.provider is empty"},
		"a typo":             {config: `{"provider": "htpreq"}`, want: `lego has no provider "htpreq"; similar: httpreq`},
		"exec":               {config: `{"provider": "exec"}`, want: "the plugin does not have exec: it would run any program"},
		"manual":             {config: `{"provider": "manual"}`, want: "the plugin does not have manual"},
		"not in the build":   {config: `{"provider": "azuredns"}`, want: "azuredns is not in this build of the plugin; build it with the tag lego_all"},
		// Report P40.
		"a typo of a variable":   {config: `{"provider": "rfc2136", "env": {"RFC2136_NAMESERVR": "x"}}`, want: "config.env: provider rfc2136 does not read RFC2136_NAMESERVR; similar: RFC2136_NAMESERVER"},
		"a typo in a Secret":     {config: `{"provider": "httpreq", "secretRefs": [{"env": "HTTPREQ_PASWORD", "name": "n", "key": "k"}]}`, want: "config.secretRefs: provider httpreq does not read HTTPREQ_PASWORD; similar: HTTPREQ_PASSWORD"},
		"a foreign variable":     {config: `{"provider": "httpreq", "env": {"LD_PRELOAD": "x"}}`, want: "provider httpreq does not read LD_PRELOAD; it reads: HTTPREQ_ENDPOINT, HTTPREQ_HTTP_TIMEOUT"},
		"lego's own variable":    {config: `{"provider": "httpreq", "env": {"LEGO_DEBUG_DNS_API_HTTP_CLIENT": "true"}}`, want: "does not read LEGO_DEBUG_DNS_API_HTTP_CLIENT"},
		"no name of a variable":  {config: `{"provider": "httpreq", "env": {"HTTPREQ_A=B": "x"}}`, want: "does not read HTTPREQ_A=B"},
		"twice":                  {config: `{"provider": "httpreq", "env": {"HTTPREQ_PASSWORD": "p"}, "secretRefs": [{"env": "HTTPREQ_PASSWORD", "name": "n", "key": "k"}]}`, want: "HTTPREQ_PASSWORD is set twice"},
		"an incomplete ref":      {config: `{"provider": "httpreq", "secretRefs": [{"env": "HTTPREQ_PASSWORD", "name": "n"}]}`, want: "every entry needs env (the variable), name (the Secret) and key"},
		"RAW":                    {config: `{"provider": "httpreq", "env": {"HTTPREQ_MODE": "RAW"}}`, want: "HTTPREQ_MODE RAW sends a key authorization"},
		"a file of the plugin":   {config: `{"provider": "httpreq", "env": {"HTTPREQ_PASSWORD_FILE": "/var/run/secrets/kubernetes.io/serviceaccount/token"}}`, want: "HTTPREQ_PASSWORD_FILE names a file with a value: set HTTPREQ_PASSWORD in config.secretRefs instead"},
		"a file of the plugin 2": {config: `{"provider": "rfc2136", "env": {"DNSUPDATE_TSIG_FILE": "/etc/passwd"}}`, want: "put the content of the file into a Secret"},
		"a file of the plugin 3": {config: `{"provider": "route53", "env": {"AWS_WEB_IDENTITY_TOKEN_FILE": "/etc/passwd"}}`, want: "config.env: no issuer may set AWS_WEB_IDENTITY_TOKEN_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{}
			if err := json.Unmarshal([]byte(c.config), &config); err != nil {
				t.Fatal(err)
			}
			_, err := Check(config, c.ambient)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestText(t *testing.T) {
	for raw, want := range map[string]string{`"a"`: "a", `60`: "60", `true`: "true", `1.5`: "1.5", `{}`: "error", `[]`: "error", `null`: "error"} {
		var got Text
		if err := got.UnmarshalJSON([]byte(raw)); err != nil {
			got = "error"
		}
		if string(got) != want {
			t.Errorf("%s: %q", raw, got)
		}
	}
}

// DecodeConfig says which field is wrong, and shows no value.
func TestTextThatIsNone(t *testing.T) {
	for config, want := range map[string]string{
		`{"provider": "ovh", "env": {"OVH_ENDPOINT": null}}`:     `webhook.config of the issuer: field "env" is a JSON null, which does not fit`,
		`{"provider": "ovh", "env": {"OVH_ENDPOINT": {"a": 1}}}`: `webhook.config of the issuer: field "env" is a JSON object, which does not fit`,
		`{"provider": "ovh", "env": {"OVH_ENDPOINT": ["a"]}}`:    `webhook.config of the issuer: field "env" is a JSON array, which does not fit`,
	} {
		err := solverwebhook.DecodeConfig(&v1alpha1.ChallengeRequest{Config: &apiextensionsv1.JSON{Raw: []byte(config)}}, &Config{})
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
}

func setting(t *testing.T, c Config) Setting {
	t.Helper()
	s, err := Check(c, false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEnvironment(t *testing.T) {
	s := setting(t, Config{
		Provider: "route53", Env: map[string]Text{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "id"},
		SecretRefs: []SecretRef{{"AWS_SECRET_ACCESS_KEY", "n", "k"}},
	})
	got := s.Environment([]string{"s3cr3t"})
	want := Environment{
		Variables: map[string]string{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "s3cr3t", "AWS_WAIT_FOR_RECORD_SETS_CHANGED": "false"},
		Files:     map[string]string{},
		secrets:   map[string]string{"AWS_SECRET_ACCESS_KEY": "s3cr3t"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Environment{})); diff != "" {
		t.Error(diff)
	}
	s = setting(t, Config{Provider: "transip", SecretRefs: []SecretRef{{"TRANSIP_PRIVATE_KEY_PATH", "n", "f"}}})
	got = s.Environment([]string{"key"})
	want = Environment{
		Variables: map[string]string{}, Files: map[string]string{"TRANSIP_PRIVATE_KEY_PATH": "key"},
		secrets: map[string]string{"TRANSIP_PRIVATE_KEY_PATH": "key"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Environment{})); diff != "" {
		t.Error(diff)
	}
}

func TestUnusable(t *testing.T) {
	s := setting(t, Config{Provider: "httpreq"})
	for text, want := range map[string]string{
		"ovh: some credentials information are missing: OVH_A,OVH_B":                                                        "provider httpreq lacks OVH_A, OVH_B: " + s.where(),
		"cloudflare: some credentials information are missing: CF_E,CF_K or some credentials information are missing: CF_T": "provider httpreq lacks CF_E and CF_K; or CF_T: " + s.where(),
		"httpreq: bad endpoint": "provider httpreq cannot be set up: httpreq: bad endpoint; check config.env and config.secretRefs of the issuer; it reads: HTTPREQ_ENDPOINT, HTTPREQ_MODE",
	} {
		if got := s.Unusable(text).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	s.ambient = true
	if got := s.Unusable("some credentials information are missing: OVH_A").Error(); !strings.HasSuffix(got, "or in the environment of the plugin's pod") {
		t.Errorf("ambient: %q", got)
	}
}

func TestFailed(t *testing.T) {
	digitalocean, desec := setting(t, Config{Provider: "digitalocean"}), setting(t, Config{Provider: "rfc2136"})
	for _, c := range []struct {
		s        Setting
		text     string
		cleaning bool
		want     string
	}{
		{digitalocean, "digitalocean: unknown record ID for '_acme-challenge.x.'", true, "digitalocean: unknown record ID for '_acme-challenge.x.'; lego's provider digitalocean remembers its records in memory, and the plugin has been restarted since it wrote this one: remove the TXT record by hand"},
		{digitalocean, "digitalocean: unknown record ID", false, "digitalocean: unknown record ID"},
		{desec, `400: {"ttl":["Ensure this value is greater than or equal to 3600."]}`, false, `400: {"ttl":["Ensure this value is greater than or equal to 3600."]}; the time to live is set with DNSUPDATE_TTL in config.env`},
		{desec, "refused", true, "refused"},
	} {
		if got := c.s.Failed(c.text, c.cleaning).Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
