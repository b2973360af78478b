package settings

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/plugins/lego/internal/catalog"
)

// try checks what an issuer sets for a provider that may be in no build for tests.
func try(t *testing.T, c Config, ambient bool) error {
	t.Helper()
	provider, found := catalog.Find(c.Provider)
	if !found {
		t.Fatalf("no provider %s", c.Provider)
	}
	return Setting{Provider: provider, Config: c, ambient: ambient}.check()
}

// full are settings of each provider with credentials of its own.
var full = map[string]map[string]Text{
	"route53":     {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1", "AWS_SESSION_TOKEN": "c"},
	"lightsail":   {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "DNS_ZONE": "z"},
	"azuredns":    {"AZURE_TENANT_ID": "a", "AZURE_CLIENT_ID": "b", "AZURE_CLIENT_SECRET": "c"},
	"gcloud":      {"GCE_PROJECT": "p", "GCE_SERVICE_ACCOUNT": "{}"},
	"alidns":      {"ALICLOUD_ACCESS_KEY": "a", "ALICLOUD_SECRET_KEY": "b"},
	"aliesa":      {"ALIESA_ACCESS_KEY": "a", "ALIESA_SECRET_KEY": "b"},
	"oraclecloud": {"OCI_PRIVATE_KEY": "k", "OCI_USER_OCID": "u", "OCI_AUTH_TYPE": ""},
	"designate":   {"OS_AUTH_URL": "u", "OS_USER_DOMAIN_NAME": "d"},
	"edgedns":     {"AKAMAI_HOST": "h"},
}

func TestExplicitCredentialsAreAccepted(t *testing.T) {
	for provider, env := range full {
		for _, ambient := range []bool{false, true} {
			if err := try(t, Config{Provider: provider, Env: env}, ambient); err != nil {
				t.Errorf("%s, ambient %v: %v", provider, ambient, err)
			}
		}
	}
	for provider, refs := range map[string][]string{
		"azuredns": {"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_CERTIFICATE_PASSWORD"},
		"gcloud":   {"GCE_SERVICE_ACCOUNT_FILE"}, "edgedns": {"AKAMAI_EDGERC"}, "hyperone": {"HYPERONE_PASSPORT_LOCATION"},
		"oraclecloud": {"OCI_PRIVATE_KEY_PATH"},
	} {
		c := Config{Provider: provider}
		for _, name := range refs {
			c.SecretRefs = append(c.SecretRefs, SecretRef{name, "n", "k"})
		}
		if err := try(t, c, false); err != nil {
			t.Errorf("%s: %v", provider, err)
		}
	}
}

// No issuer sets a variable whose file an SDK obeys: credential_process of AWS runs a
// program, for one.
func TestInterpretedFiles(t *testing.T) {
	for name, provider := range map[string]string{
		"AWS_SHARED_CREDENTIALS_FILE": "route53", "AWS_CONFIG_FILE": "route53", "AWS_WEB_IDENTITY_TOKEN_FILE": "route53", "AWS_CA_BUNDLE_PATH": "route53",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "lightsail",
		"GOOGLE_APPLICATION_CREDENTIALS":         "gcloud", "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES": "gcloud", "CLOUDSDK_CONFIG": "gcloud",
		"AZURE_FEDERATED_TOKEN_FILE": "azuredns", "ALIBABA_CLOUD_CREDENTIALS_FILE": "alidns",
		"OCI_CONFIG_FILE": "oraclecloud", "TF_VAR_CONFIG_FILE": "oraclecloud", "OS_CLIENT_CONFIG_FILE": "designate",
	} {
		for _, ambient := range []bool{false, true} {
			for field, c := range map[string]Config{
				"config.env":        {Provider: provider, Env: with(full[provider], name, "x")},
				"config.secretRefs": {Provider: provider, Env: full[provider], SecretRefs: []SecretRef{{name, "n", "k"}}},
			} {
				err := try(t, c, ambient)
				if want := field + ": no issuer may set " + name + ": what is in such a file can run programs"; err == nil || !strings.HasPrefix(err.Error(), want) {
					t.Errorf("%s, ambient %v: %v", name, ambient, err)
				}
			}
		}
	}
}

func with(env map[string]Text, name string, value Text) map[string]Text {
	all := map[string]Text{name: value}
	for name, value := range env {
		all[name] = value
	}
	return all
}

// What leads to credentials of the pod or its node is for issuers that may use them.
func TestAmbientVariables(t *testing.T) {
	for _, c := range []struct {
		provider, name string
		value          Text
		// documented variables are accepted from issuers that may.
		documented bool
	}{
		{"route53", "AWS_EC2_METADATA_DISABLED", "false", false},
		{"route53", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254", false},
		{"route53", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials", false},
		{"lightsail", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v1", false},
		{"route53", "AWS_PROFILE", "p", true},
		{"route53", "AWS_SDK_LOAD_CONFIG", "true", true},
		{"route53", "AWS_ROLE_ARN", "a", false},
		{"gcloud", "GCE_METADATA_HOST", "169.254.169.254", false},
		{"azuredns", "IDENTITY_ENDPOINT", "http://169.254.169.254", false},
		{"azuredns", "MSI_ENDPOINT", "http://169.254.169.254", false},
		{"alidns", "ALICLOUD_RAM_ROLE", "r", true},
		{"aliesa", "ALIESA_RAM_ROLE", "r", true},
		{"oraclecloud", "OCI_PROFILE", "DEFAULT", true},
		{"designate", "OS_CLOUD", "c", true},
	} {
		for _, ambient := range []bool{false, true} {
			for field, config := range map[string]Config{
				"config.env":        {Provider: c.provider, Env: with(full[c.provider], c.name, c.value)},
				"config.secretRefs": {Provider: c.provider, Env: full[c.provider], SecretRefs: []SecretRef{{c.name, "n", "k"}}},
			} {
				err := try(t, config, ambient)
				if accepted := ambient && c.documented; accepted != (err == nil) {
					t.Errorf("%s in %s, ambient %v: %v", c.name, field, ambient, err)
				}
				if !ambient && err != nil && !strings.HasPrefix(err.Error(), field+": ") {
					t.Errorf("%s: %v", c.name, err)
				}
			}
		}
	}
}

// The values of some variables decide where credentials come from.
func TestAmbientValues(t *testing.T) {
	for _, c := range []struct {
		provider, name string
		value          Text
		refused        bool
	}{
		{"azuredns", "AZURE_AUTH_METHOD", "msi", true},
		{"azuredns", "AZURE_AUTH_METHOD", "WLI", true},
		{"azuredns", "AZURE_AUTH_METHOD", "cli", true},
		{"azuredns", "AZURE_AUTH_METHOD", "", true},
		{"azuredns", "AZURE_AUTH_METHOD", "ENV", false},
		{"oraclecloud", "OCI_AUTH_TYPE", "instance_principal", true},
		{"oraclecloud", "OCI_AUTH_TYPE", "", false},
	} {
		env := map[string]Text{}
		for name, value := range full[c.provider] {
			env[name] = value
		}
		env[c.name] = c.value
		if err := try(t, Config{Provider: c.provider, Env: env}, false); c.refused != (err != nil) {
			t.Errorf("%s %q: %v", c.name, c.value, err)
		}
		if err := try(t, Config{Provider: c.provider, Env: env}, true); err != nil {
			t.Errorf("%s %q of an issuer that may: %v", c.name, c.value, err)
		}
		delete(env, c.name)
		err := try(t, Config{Provider: c.provider, Env: env, SecretRefs: []SecretRef{{c.name, "n", "k"}}}, false)
		if err == nil || !strings.Contains(err.Error(), c.name+" is no secret, and its value is checked: set it in config.env") {
			t.Errorf("%s in a Secret: %v", c.name, err)
		}
	}
}

// Without credentials these providers look for those of the pod and its node.
func TestProvidersThatLookForCredentials(t *testing.T) {
	for provider, env := range map[string]map[string]Text{
		"route53":   {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": ""},
		"lightsail": {"DNS_ZONE": "z"},
		"azuredns":  {"AZURE_SUBSCRIPTION_ID": "x", "AZURE_RESOURCE_GROUP": "y", "AZURE_CLIENT_ID": "z"},
		"gcloud":    {"GCE_PROJECT": "p"},
	} {
		if err := try(t, Config{Provider: provider, Env: env}, false); err == nil || !strings.HasPrefix(err.Error(), "provider "+provider+" lacks ") {
			t.Errorf("%s: %v", provider, err)
		}
		if err := try(t, Config{Provider: provider, Env: env}, true); err != nil {
			t.Errorf("%s of an issuer that may: %v", provider, err)
		}
	}
	azure, _ := catalog.Find("azuredns")
	for ambient, want := range map[bool]map[string]string{false: {"AZURE_AUTH_METHOD": "env"}, true: {}} {
		got := Setting{Provider: azure, ambient: ambient}.Environment(nil).Variables
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ambient %v: %s", ambient, diff)
		}
	}
}

// Every variable of lego that looks like a path is one of files, or is refused: after an
// update of lego, find out what the provider does with the file.
func TestEveryPathIsKnown(t *testing.T) {
	path := regexp.MustCompile(`(FILE|PATH|DIR|LOCATION|PROFILE|EDGERC|CERTIFICATE|KEYTAB|CREDENTIALS)$`)
	text := []string{"DNSHOMEDE_CREDENTIALS", "SYSE_CREDENTIALS"}
	var refused []string
	for _, p := range catalog.All() {
		for _, name := range p.Variables {
			if !path.MatchString(name) || isFile(name) || slices.Contains(text, name) {
				continue
			}
			if (Setting{Provider: p, Config: Config{Provider: p.Codes[0]}}).checkVariable(name, "config.env") == nil {
				t.Errorf("%s of provider %s may be a path, and is accepted as a text", name, p.Package)
			}
			refused = append(refused, name)
		}
	}
	slices.Sort(refused)
	want := []string{
		"AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "OCI_CONFIG_FILE", "OCI_PROFILE",
		"TF_VAR_CONFIG_FILE", "TF_VAR_PRIVATE_KEY_PATH", "TF_VAR_PRIVKEY_FILE", "TF_VAR_PROFILE",
	}
	if diff := cmp.Diff(want, slices.Compact(refused)); diff != "" {
		t.Error(diff)
	}
}

// The tables name providers and variables that exist.
func TestTables(t *testing.T) {
	var all []string
	for _, p := range catalog.All() {
		all = append(all, p.Variables...)
	}
	for _, name := range files {
		if !slices.Contains(all, name) {
			t.Errorf("no provider reads the file %s", name)
		}
	}
	for provider, sets := range explicit {
		p, found := catalog.Find(provider)
		if !found {
			t.Errorf("no provider %s", provider)
		}
		for _, name := range slices.Concat(sets...) {
			if !slices.Contains(p.Variables, name) {
				t.Errorf("provider %s does not read %s", provider, name)
			}
		}
	}
}
