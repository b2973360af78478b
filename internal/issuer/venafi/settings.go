package venafi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/validation"
)

// backend is a kind of Certificate Manager.
type backend string

const (
	backendTPP   backend = "tpp"
	backendCloud backend = "cloud"
	backendNGTS  backend = "ngts"
)

// The services, and what cert-manager assumes where a spec or a Secret says nothing.
const (
	cloudURL      = "https://api.venafi.cloud/"
	ngtsURL       = "https://api.strata.paloaltonetworks.com/ngts"
	ngtsTokenURL  = "https://auth.apps.paloaltonetworks.com/oauth2/access_token"
	tppClientID   = "cert-manager.io"
	tppScope      = "certificate:manage"
	ngtsScope     = "tsg_id:"
	defaultBundle = "ca.crt"
	defaultAPIKey = "api-key"
)

// The entries of the Secret with the credentials.
const (
	keyAccessToken  = "access-token"
	keyUsername     = "username"
	keyPassword     = "password"
	keyClientID     = "client-id"
	keyClientSecret = "client-secret"
)

// settings are what a spec and its Secrets say. Equal ones have a session in common.
type settings struct {
	backend  backend
	url      string
	tokenURL string
	zone     string
	// caBundle is PEM, empty for the system's roots.
	caBundle string

	accessToken        string
	username, password string
	clientID, secret   string
	apiKey             string
	scope              string
}

// renewable reports whether the credentials get new tokens.
func (s settings) renewable() bool { return s.accessToken == "" && s.apiKey == "" }

// secrets are what no message may contain.
func (s settings) secrets() []string {
	return []string{s.accessToken, s.password, s.secret, s.apiKey}
}

// of returns the backend of a spec: the first one, if a stored object has several.
func of(spec *cmv1.VenafiIssuer) backend {
	switch {
	case spec.TPP != nil:
		return backendTPP
	case spec.Cloud != nil:
		return backendCloud
	case spec.NGTS != nil:
		return backendNGTS
	default:
		return ""
	}
}

// urlOf is the URL of the server that a spec configures.
func urlOf(spec *cmv1.VenafiIssuer) string {
	switch of(spec) {
	case backendTPP:
		return spec.TPP.URL
	case backendCloud:
		return cmp.Or(spec.Cloud.URL, cloudURL)
	case backendNGTS:
		return cmp.Or(spec.NGTS.URL, ngtsURL)
	default:
		return ""
	}
}

// tokenURLOf is the URL that makes tokens for a client of NGTS.
func tokenURLOf(spec *cmv1.VenafiNGTS) string { return cmp.Or(spec.TokenEndpoint, ngtsTokenURL) }

// names are the Secrets that a spec reads.
func names(spec *cmv1.VenafiIssuer) []string {
	switch of(spec) {
	case backendTPP:
		all := []string{spec.TPP.CredentialsRef.Name}
		if ref := spec.TPP.CABundleSecretRef; ref != nil {
			all = append(all, ref.Name)
		}
		return all
	case backendCloud:
		return []string{spec.Cloud.APITokenSecretRef.Name}
	case backendNGTS:
		return []string{spec.NGTS.CredentialsRef.Name}
	default:
		return nil
	}
}

// check finds what is wrong in a spec without asking anybody.
func check(spec *cmv1.VenafiIssuer) *failure {
	path := field.NewPath("spec", "venafi")
	for _, err := range validation.Venafi(path, spec) {
		if err.Type == field.ErrorTypeForbidden && err.Field == path.String() {
			// Of several backends in a stored object the first counts.
			continue
		}
		return misconfigured("%s", err.Error())
	}
	return nil
}

// load reads what an issuer's spec and Secrets say. The error is a *failure.
func load(ctx context.Context, of issuer.Identity, spec *cmv1.IssuerSpec, secrets *issuer.Reading) (settings, error) {
	s, f := loadFrom(reader{ctx: ctx, secrets: secrets, namespace: of.Namespace}, spec.Venafi)
	if f != nil {
		return settings{}, f
	}
	return s, nil
}

func loadFrom(r reader, spec *cmv1.VenafiIssuer) (settings, *failure) {
	s := settings{backend: of(spec), url: urlOf(spec)}
	if s.backend == "" {
		return s, misconfigured("neither Venafi Cloud, TPP, or NGTS configuration found")
	}
	if f := check(spec); f != nil {
		return s, f
	}
	var f *failure
	if s.url, f = serverURL("spec.venafi."+string(s.backend)+".url", s.url, s.backend == backendNGTS); f != nil {
		return s, f
	}
	if s.zone, f = zoneOf(s.backend, spec.Zone); f != nil {
		return s, f
	}
	switch s.backend {
	case backendTPP:
		f = s.loadTPP(r, spec.TPP)
	case backendCloud:
		f = s.loadCloud(r, spec.Cloud)
	default:
		f = s.loadNGTS(r, spec.NGTS)
	}
	return s, f
}

func (s *settings) loadTPP(r reader, spec *cmv1.VenafiTPP) *failure {
	const path = "spec.venafi.tpp.credentialsRef"
	s.caBundle = string(spec.CABundle)
	if ref := spec.CABundleSecretRef; ref != nil {
		bundle, f := r.entry("spec.venafi.tpp.caBundleSecretRef", *ref, defaultBundle)
		if f != nil {
			return f
		}
		s.caBundle = bundle
	}
	data, f := r.read(path, spec.CredentialsRef.Name)
	if f != nil {
		return f
	}
	s.accessToken = text(data, keyAccessToken)
	if s.accessToken != "" {
		return r.sendable(spec.CredentialsRef.Name, keyAccessToken, s.accessToken)
	}
	s.username, s.password = text(data, keyUsername), string(data[keyPassword])
	s.clientID, s.scope = cmp.Or(text(data, keyClientID), tppClientID), tppScope
	if s.username == "" || s.password == "" {
		return noCredentials(`no TPP credentials configured: secret "%s/%s" of %s has neither %s nor %s and %s`,
			r.namespace, spec.CredentialsRef.Name, path, keyAccessToken, keyUsername, keyPassword)
	}
	return r.sendable(spec.CredentialsRef.Name, keyClientID, s.clientID)
}

func (s *settings) loadCloud(r reader, spec *cmv1.VenafiCloud) *failure {
	key, f := r.entry("spec.venafi.cloud.apiTokenSecretRef", spec.APITokenSecretRef, defaultAPIKey)
	if f != nil {
		return f
	}
	s.apiKey = strings.TrimSpace(key)
	return r.sendable(spec.APITokenSecretRef.Name, cmp.Or(spec.APITokenSecretRef.Key, defaultAPIKey), s.apiKey)
}

func (s *settings) loadNGTS(r reader, spec *cmv1.VenafiNGTS) *failure {
	const path = "spec.venafi.ngts.credentialsRef"
	var f *failure
	if s.tokenURL, f = serverURL("spec.venafi.ngts.tokenEndpoint", tokenURLOf(spec), true); f != nil {
		return f
	}
	data, f := r.read(path, spec.CredentialsRef.Name)
	if f != nil {
		return f
	}
	s.clientID, s.secret, s.scope = text(data, keyClientID), text(data, keyClientSecret), ngtsScope+spec.TSGID
	if s.clientID == "" || s.secret == "" {
		return noCredentials(`credentials not configured: secret "%s/%s" of %s needs %s and %s`,
			r.namespace, spec.CredentialsRef.Name, path, keyClientID, keyClientSecret)
	}
	return r.sendable(spec.CredentialsRef.Name, keyClientID, s.clientID)
}

// text is an entry of a Secret without the spaces and line breaks that editors add.
func text(data map[string][]byte, key string) string { return strings.TrimSpace(string(data[key])) }

// reader reads the Secrets of one issuer.
type reader struct {
	ctx       context.Context
	secrets   *issuer.Reading
	namespace string
}

// read returns the data of a Secret that a field names.
func (r reader) read(field, name string) (map[string][]byte, *failure) {
	if name == "" {
		return nil, misconfigured("%s.name: Required value", field)
	}
	secret, err := r.secrets.Secret(r.ctx, name)
	switch {
	case err != nil:
		return nil, &failure{kind: unread, text: fmt.Sprintf(`secret "%s/%s" of %s cannot be read`, r.namespace, name, field), err: err}
	case secret == nil:
		return nil, &failure{kind: missing, text: fmt.Sprintf(`could not access secret '%s/%s': %s: it does not exist%s`, r.namespace, name, field, r.secrets.Where()), err: errors.New("not found")}
	default:
		return secret.Data, nil
	}
}

// entry returns the entry of a Secret that a field names.
func (r reader) entry(field string, ref cmmeta.SecretKeySelector, usual string) (string, *failure) {
	data, f := r.read(field, ref.Name)
	if f != nil {
		return "", f
	}
	key := cmp.Or(ref.Key, usual)
	if len(data[key]) == 0 {
		return "", misconfigured(`no data for %q in secret '%s/%s': %s`, key, r.namespace, ref.Name, field)
	}
	return string(data[key]), nil
}

// sendable is the failure for an entry of a Secret that does not fit into a header.
func (r reader) sendable(name, key, value string) *failure {
	if why := vendorapi.Unprintable(value); why != "" {
		return misconfigured("the value of key %q in secret '%s/%s' %s", key, r.namespace, name, why)
	}
	return nil
}

// parseURL reads a URL, which may lack the scheme.
func parseURL(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	return url.Parse(text)
}

// serverURL checks a URL and returns it in the form that requests need: HTTPS, also if it
// says HTTP, as with vcert, and without the API's own directory. Those of self-hosted
// servers and of the SaaS have no path.
func serverURL(field, text string, path bool) (string, *failure) {
	u, err := parseURL(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", misconfigured("%s: Invalid value: must be the URL of a server, such as https://tpp.example.com/vedsdk", field)
	}
	if scheme := strings.ToLower(u.Scheme); scheme != "https" && scheme != "http" {
		return "", misconfigured("%s: Invalid value: must begin with https://", field)
	}
	u.Scheme = "https"
	if path {
		return strings.TrimSuffix(u.String(), "/"), nil
	}
	if rest := strings.ToLower(strings.Trim(u.Path, "/")); rest != "" && rest != "vedsdk" {
		return "", misconfigured("%s: Invalid value: must have no path but that of the API, as in https://tpp.example.com/vedsdk", field)
	}
	return "https://" + strings.ToLower(u.Host) + "/", nil
}
