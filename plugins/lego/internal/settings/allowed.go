package settings

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Issuers may set the variables that lego documents for their provider, and those of
// additional. The SDKs of clouds read many more: some name a file in which a program
// can be named, and some lead to the credentials of the node or of the pod.

// additional are variables that lego does not name and that the SDK of a provider
// reads. Their values are plain: no file, no program, no address of a metadata service.
var additional = map[string][]string{
	"azuredns": {"AZURE_CLIENT_CERTIFICATE_PASSWORD"},
	"designate": {
		"OS_DOMAIN_ID", "OS_DOMAIN_NAME", "OS_PROJECT_DOMAIN_ID", "OS_PROJECT_DOMAIN_NAME", "OS_TENANT_ID",
		"OS_USERID", "OS_USER_DOMAIN_ID", "OS_USER_DOMAIN_NAME",
	},
	"lightsail": {"AWS_REGION", "AWS_SESSION_TOKEN"},
	"route53":   {"AWS_SESSION_TOKEN"},
}

// files are variables whose value is the path of a file with a key, a token or
// certificates. Nothing in such a file names a program or another file, so an issuer
// may give its content.
var files = []string{
	"ACME_DNS_STORAGE_PATH",
	"AKAMAI_EDGERC",
	"AZURE_CLIENT_CERTIFICATE_PATH",
	"AZURE_OIDC_TOKEN_FILE_PATH",
	"DNSUPDATE_TSIG_FILE", "DNSUPDATE_TSIG_GSS_KEYTAB_FILE",
	// lego reads the file itself, and takes no other type of credentials than a key of
	// a service account.
	"GCE_SERVICE_ACCOUNT_FILE",
	"HYPERONE_PASSPORT_LOCATION",
	"INFOBLOX_CA_CERTIFICATE",
	"OCI_PRIVATE_KEY_PATH", "OCI_PRIVKEY_FILE",
	"RFC2136_TSIG_FILE", "RFC2136_TSIG_GSS_KEYTAB_FILE",
	"TRANSIP_PRIVATE_KEY_PATH",
}

// isFile reports whether a variable's value is the path of a file that the plugin
// makes.
func isFile(name string) bool { return slices.Contains(files, name) }

// interpreted are variables with a path, or with the name of a part of a file, whose
// content an SDK obeys.
//
//   - credential_process in a file of AWS runs a program:
//     https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
//   - "executable" in a file of Google does:
//     https://google.aip.dev/auth/4117
//   - security_token_file in a file of Oracle names any other file:
//     https://docs.oracle.com/en-us/iaas/Content/API/Concepts/sdkconfig.htm
var interpreted = regexp.MustCompile(`(_FILE|_PATH|_DIR|_DIRECTORY|_LOCATION|_CREDENTIALS_URI|_EDGERC)$` +
	`|^(AWS|GOOGLE|GCE|CLOUDSDK|AZURE|ALICLOUD|ALIESA|ALIBABA_CLOUD|OCI|TF_VAR)_.*(CREDENTIALS?|PROCESS|EXECUTABLES?)$|^CLOUDSDK_CONFIG$`)

// ambient are variables with which a provider takes the credentials of the pod or of
// its node: those of a metadata service, or of a part of a file of the pod.
var ambient = regexp.MustCompile(`^AWS_(EC2_METADATA|CONTAINER)_|^AWS_(DEFAULT_)?PROFILE$|^AWS_SDK_LOAD_CONFIG$|^AWS_ROLE_|^AWS_.*ENDPOINT` +
	`|^GCE_METADATA_|^AZURE_(FEDERATED|AUTHORITY|POD_IDENTITY|TOKEN_CREDENTIALS)|^(MSI|IDENTITY|IMDS)_|^AZURE_AUTH_MSI` +
	`|^(ALICLOUD|ALIESA|ALIBABA_CLOUD)_(RAM_ROLE|ECS|ROLE|OIDC|PROFILE)|^(OCI|TF_VAR)_(PROFILE|RESOURCE_PRINCIPAL|METADATA)|^OS_CLOUD$`)

// values are variables some of whose values take the credentials of the pod or of its
// node, with the values that do not, in lower case.
var values = map[string][]string{
	"AZURE_AUTH_METHOD": {"env", "oidc"},
	"OCI_AUTH_TYPE":     {""},
	"TF_VAR_AUTH_TYPE":  {""},
}

// defaults are set for issuers that may not use the credentials of the plugin's
// environment: without them the provider looks for such.
var defaults = map[string]map[string]string{
	"azuredns": {"AZURE_AUTH_METHOD": "env"},
}

// explicit are the providers that look for credentials of the pod and of its node if
// the issuer gives none. The issuer has to set all variables of one of the sets.
var explicit = map[string][][]string{
	"azuredns": {
		{"AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"},
		{"AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_ID", "AZURE_TENANT_ID"},
		{"AZURE_AUTH_METHOD", "AZURE_CLIENT_ID", "AZURE_OIDC_TOKEN", "AZURE_TENANT_ID"},
		{"AZURE_AUTH_METHOD", "AZURE_CLIENT_ID", "AZURE_OIDC_REQUEST_TOKEN", "AZURE_OIDC_REQUEST_URL", "AZURE_TENANT_ID"},
	},
	"gcloud":    {{"GCE_SERVICE_ACCOUNT"}, {"GCE_SERVICE_ACCOUNT_FILE"}, {"GCE_ACCESS_TOKEN"}},
	"lightsail": {{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}},
	"route53":   {{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}},
}

// checkVariable checks whether an issuer may set a variable.
func (s Setting) checkVariable(name, field string) error {
	known := slices.Concat(s.Provider.Variables, additional[s.Provider.Package])
	is := slices.Contains(known, name)
	base, suffixed := strings.CutSuffix(name, "_FILE")
	switch {
	case is && isFile(name):
		return nil
	case !is && suffixed && slices.Contains(known, base):
		return fmt.Errorf("%s: %s names a file with a value: set %s in config.secretRefs instead", field, name, base)
	case interpreted.MatchString(name):
		return fmt.Errorf("%s: no issuer may set %s: what is in such a file can run programs in the plugin's pod, or read its files; %s", field, name, s.instead())
	case ambient.MatchString(name) && (!is || !s.ambient):
		return fmt.Errorf("%s: %s leads to the credentials of the plugin's environment, which this issuer may not use; %s", field, name, s.instead())
	case is:
		return nil
	}
	return fmt.Errorf("%s: provider %s does not read %s%s; see %s%s/", field, s.Config.Provider, name, cmp.Or(similar(name, known), among(known)), documentation, s.Provider.Codes[0])
}

// instead says which variables an issuer uses instead.
func (s Setting) instead() string {
	if sets := explicit[s.Provider.Package]; len(sets) > 0 {
		return "set " + ways(sets)
	}
	return "set the variables with the credentials themselves: " + strings.Join(s.Provider.Credentials, ", ")
}

// checkValue refuses values with which a provider cannot do what it is asked, or would
// take credentials that are not the issuer's.
func (s Setting) checkValue(name, value string) error {
	if name == "HTTPREQ_MODE" && value == "RAW" {
		return errors.New("config.env: HTTPREQ_MODE RAW sends a key authorization, which a solver webhook does not get: leave HTTPREQ_MODE out, and serve the other mode")
	}
	if allowed, is := values[name]; is && !s.ambient && !slices.Contains(allowed, strings.ToLower(value)) {
		return fmt.Errorf("config.env: %s %q takes the credentials of the plugin's environment, which this issuer may not use", name, value)
	}
	return nil
}

// checkExplicit checks that the issuer gives credentials, if the provider would look for
// others. set says which variables the issuer sets to something.
func (s Setting) checkExplicit(set map[string]bool) error {
	sets := explicit[s.Provider.Package]
	if s.ambient || len(sets) == 0 {
		return nil
	}
	for _, names := range sets {
		if !slices.ContainsFunc(names, func(name string) bool { return !set[name] }) {
			return nil
		}
	}
	return fmt.Errorf("provider %s lacks %s: %s", s.Config.Provider, ways(sets), s.where())
}

// ways says which sets of variables there are.
func ways(sets [][]string) string {
	texts := make([]string, len(sets))
	for i, names := range sets {
		texts[i] = strings.Join(names, " and ")
	}
	return strings.Join(texts, "; or ")
}
