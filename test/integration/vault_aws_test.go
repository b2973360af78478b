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

// awsAccount is where the fake has its role.
const awsAccount = "arn:aws:iam::123456789012:role/"

// fakeAWS is AWS STS: it gives an identity for the token of a service account, and tells
// Vault whose a signed request is. It is as much of IAM as Vault asks for a role's ID.
type fakeAWS struct {
	tb     testing.TB
	role   string
	server *httptest.Server
}

// newFakeAWS returns an AWS with one role.
func newFakeAWS(t *testing.T, role string) *fakeAWS {
	t.Helper()
	a := &fakeAWS{tb: t, role: role}
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
	case action == "AssumeRoleWithWebIdentity" && form.Get("RoleArn") == awsAccount+a.role && strings.Count(form.Get("WebIdentityToken"), ".") == 2:
		_, _ = fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>ASIATEST</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/%s/cert-manager</Arn><AssumedRoleId>AROATEST:cert-manager</AssumedRoleId></AssumedRoleUser>
</AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>`, a.role)
	case action == "GetCallerIdentity" && strings.Contains(r.Header.Get("Authorization"), "Credential=ASIATEST/") && r.Header.Get("X-Amz-Security-Token") == "session":
		_, _ = fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:sts::123456789012:assumed-role/%s/cert-manager</Arn><UserId>AROATEST:cert-manager</UserId><Account>123456789012</Account>
</GetCallerIdentityResult><ResponseMetadata><RequestId>2</RequestId></ResponseMetadata></GetCallerIdentityResponse>`, a.role)
	case action == "GetCallerIdentity" && strings.Contains(r.Header.Get("Authorization"), "Credential=AKIATEST/"):
		_, _ = io.WriteString(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::123456789012:user/vault</Arn><UserId>AIDATEST</UserId><Account>123456789012</Account>
</GetCallerIdentityResult><ResponseMetadata><RequestId>4</RequestId></ResponseMetadata></GetCallerIdentityResponse>`)
	case action == "GetRole" && form.Get("RoleName") == a.role:
		_, _ = fmt.Fprintf(w, `<GetRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetRoleResult><Role>
<Path>/</Path><Arn>%s</Arn><RoleName>%s</RoleName><RoleId>AROATEST</RoleId><CreateDate>2026-01-01T00:00:00Z</CreateDate>
<AssumeRolePolicyDocument>%%7B%%7D</AssumeRolePolicyDocument></Role></GetRoleResult><ResponseMetadata><RequestId>3</RequestId></ResponseMetadata></GetRoleResponse>`,
			awsAccount+a.role, a.role)
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
		"auth_type": "iam", "bound_iam_principal_arn": awsAccount + aws.role, "token_policies": v.ns, "token_no_default_policy": true,
	})
	v.account(t, "aws")
	v.mayRequestTokens(t, "aws")
	return fmt.Sprintf("{aws: {mountPath: /v1/auth/%s, role: web, region: eu-west-1, iamRoleArn: %q, vaultHeaderValue: vault.example.com, serviceAccountRef: {name: aws}}}", path, awsAccount+aws.role)
}
