package integration

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

const awsRole = "arn:aws:iam::123456789012:role/web"

// fakeAWS is AWS STS: it gives an identity for the token of a service account, and tells
// Vault whose a signed request is.
type fakeAWS struct {
	tb     testing.TB
	server *httptest.Server
}

func newFakeAWS(t *testing.T) *fakeAWS {
	t.Helper()
	a := &fakeAWS{tb: t}
	a.server = httptest.NewServer(a)
	t.Cleanup(a.server.Close)
	return a
}

// RoundTrip has the controllers' requests to AWS answered here.
func (a *fakeAWS) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "sts.eu-west-1.amazonaws.com" {
		return nil, fmt.Errorf("%s is not asked in a test", r.URL.Host)
	}
	recorder := httptest.NewRecorder()
	a.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// ServeHTTP implements http.Handler.
func (a *fakeAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	switch action := form.Get("Action"); {
	case action == "AssumeRoleWithWebIdentity" && form.Get("RoleArn") == awsRole && strings.Count(form.Get("WebIdentityToken"), ".") == 2:
		_, _ = io.WriteString(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>ASIATEST</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/web/cert-manager</Arn><AssumedRoleId>AROATEST:cert-manager</AssumedRoleId></AssumedRoleUser>
</AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>`)
	case action == "GetCallerIdentity" && strings.Contains(r.Header.Get("Authorization"), "Credential=ASIATEST/") && r.Header.Get("X-Amz-Security-Token") == "session":
		_, _ = io.WriteString(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:sts::123456789012:assumed-role/web/cert-manager</Arn><UserId>AROATEST:cert-manager</UserId><Account>123456789012</Account>
</GetCallerIdentityResult><ResponseMetadata><RequestId>2</RequestId></ResponseMetadata></GetCallerIdentityResponse>`)
	default:
		a.tb.Errorf("AWS is asked for %q with %v", action, r.Header)
		http.Error(w, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>", http.StatusForbidden)
	}
}

// withAWS has the role of a service account log in.
func (v *vaultLab) withAWS(t *testing.T, aws *fakeAWS) string {
	t.Helper()
	path := v.ns + "-aws"
	v.must(t, v.vault.Method(t.Context(), "aws", path))
	v.configure(t, "auth/"+path+"/config/client", map[string]any{
		"sts_endpoint": aws.server.URL, "sts_region": "eu-west-1", "iam_endpoint": aws.server.URL,
		"iam_server_id_header_value": "vault.example.com", "access_key": "AKIATEST", "secret_key": "secret",
	})
	v.configure(t, "auth/"+path+"/role/web", map[string]any{
		"auth_type": "iam", "bound_iam_principal_arn": awsRole, "resolve_aws_unique_ids": false, "token_policies": v.ns, "token_no_default_policy": true,
	})
	v.account(t, "aws")
	v.mayRequestTokens(t, "aws")
	return fmt.Sprintf("{aws: {mountPath: /v1/auth/%s, role: web, region: eu-west-1, iamRoleArn: %q, vaultHeaderValue: vault.example.com, serviceAccountRef: {name: aws}}}", path, awsRole)
}
