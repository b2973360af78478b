package vault

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
)

// roundTrip answers as AWS STS.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// stsServer answers AssumeRoleWithWebIdentity, and records what it is asked.
type stsServer struct {
	host string
	form url.Values
}

func (s *stsServer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.host = r.URL.Host
	body, _ := io.ReadAll(r.Body)
	s.form, _ = url.ParseQuery(string(body))
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(
		`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>` +
			`<SessionToken>the-session-token</SessionToken><SecretAccessKey>wJalrXUtnFEMIK7MDENGbPxRfiCYzEXAMPLEKEY</SecretAccessKey><AccessKeyId>ASIAEXAMPLE</AccessKeyId>` +
			`<Expiration>2026-11-27T10:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
	)), Request: r}, nil
}

func clearAWS(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", "/nowhere")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
}

// identity reads the signed request of a log-in.
func signedRequest(t *testing.T, body map[string]any) (target, text string, headers http.Header) {
	t.Helper()
	part := func(name string) string {
		encoded, _ := body[name].(string)
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(decoded) == 0 {
			t.Errorf("%s is %q", name, encoded)
		}
		return string(decoded)
	}
	if err := json.Unmarshal([]byte(part("iam_request_headers")), &headers); err != nil {
		t.Error(err)
	}
	same(t, "method", "POST", body["iam_http_request_method"])
	return part("iam_request_url"), part("iam_request_body"), headers
}

func TestAWSServiceAccount(t *testing.T) {
	clearAWS(t)
	t.Setenv("AWS_REGION", "us-west-2")
	s, aws := newServer(t, plain), &stsServer{}
	s.tokensOf("/v1/auth/aws/login", "")
	s.signs(pathSign, newSigner(t))
	l := newLab(t, s)
	l.HTTP = aws
	l.spec.Auth = cmv1.VaultAuth{AWS: &cmv1.VaultAWSAuth{
		Role: "web", Path: "/v1/auth/aws", Region: "eu-west-1", IAMRoleARN: "arn:aws:iam::123456789012:role/vault", VaultHeaderValue: "vault.example.com",
		ServiceAccountRef: &cmv1.ServiceAccountRef{Name: "sa", TokenAudiences: []string{"more"}},
	}}
	l.signs(1)
	same(t, "requests", []string{"POST /v1/auth/aws/login", "POST " + pathSign + " token=t1"}, s.took())
	same(t, "tokens", []string{`ns/sa ["sts.amazonaws.com" "more"] 10m0s`}, l.tokens.asked)
	same(t, "STS", "sts.eu-west-1.amazonaws.com", aws.host)
	for field, want := range map[string]string{
		"Action": "AssumeRoleWithWebIdentity", "RoleArn": "arn:aws:iam::123456789012:role/vault", "RoleSessionName": "cert-manager", "WebIdentityToken": "jwt-of-sa",
	} {
		same(t, field, want, aws.form.Get(field))
	}
	target, text, headers := signedRequest(t, s.bodies["/v1/auth/aws/login"])
	same(t, "role", "web", s.bodies["/v1/auth/aws/login"]["role"])
	same(t, "URL", "https://sts.eu-west-1.amazonaws.com/", target)
	same(t, "body", "Action=GetCallerIdentity&Version=2011-06-15", text)
	authorization := headers.Get("Authorization")
	const signed = "AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE/20261127/eu-west-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-vault-aws-iam-server-id, Signature="
	if !strings.HasPrefix(authorization, signed) || len(authorization) != len(signed)+64 {
		t.Errorf("signed with %q", authorization)
	}
	headers.Del("Authorization")
	same(t, "headers", http.Header{
		"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}, "X-Amz-Date": {"20261127T090000Z"},
		"X-Amz-Security-Token": {"the-session-token"}, "X-Vault-Aws-Iam-Server-Id": {"vault.example.com"},
	}, headers)

	s.set("/v1/auth/aws/login", 400, `{"errors":["no the-session-token"]}`)
	l.Forget("uid")
	_, err := l.sign()
	begins(t, err, fault.Transient, "VaultInitError", "Failed to initialise vault client for signing: while requesting a Vault token using the AWS auth: error calling Vault server: "+
		host(s.URL)+" answered HTTP 400 to /v1/auth/aws/login: no <secret>")
}

// TestAWSAmbient holds who may use the identity of the environment, and its region.
func TestAWSAmbient(t *testing.T) {
	for _, test := range []struct {
		// environment is a variable, file the shared configuration.
		namespace, environment, file, region, want string
		ambient                                    Ambient
	}{
		{"ns", "", "", "", "", Ambient{ClusterIssuers: true}},
		{"", "", "", "", "", Ambient{Issuers: true}},
		{"", "", "", "", "us-east-1", Ambient{ClusterIssuers: true}},
		{"ns", "", "", "eu-west-1", "eu-west-1", Ambient{Issuers: true}},
		{"ns", "us-west-2", "", "eu-west-1", "us-west-2", Ambient{Issuers: true}},
		{"ns", "us-west-2", "eu-north-1", "", "us-west-2", Ambient{Issuers: true}},
		{"ns", "", "eu-north-1", "", "eu-north-1", Ambient{Issuers: true}},
		{"ns", "", "eu-north-1", "eu-west-1", "eu-west-1", Ambient{Issuers: true}},
		{"ns", "", "", "cn-north-1", "cn-north-1", Ambient{Issuers: true}},
	} {
		t.Run(test.namespace+" "+test.want, func(t *testing.T) {
			clearAWS(t)
			t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIK7MDENGbPxRfiCYzEXAMPLEKEY")
			t.Setenv("AWS_REGION", test.environment)
			if test.file != "" {
				path := filepath.Join(t.TempDir(), "config")
				if err := os.WriteFile(path, []byte("[default]\nregion = "+test.file+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				t.Setenv("AWS_CONFIG_FILE", path)
			}
			s := newServer(t, plain)
			s.tokensOf("/v1/auth/aws/login", "")
			s.signs(pathSign, newSigner(t))
			l := newLab(t, s)
			l.Ambient, l.name.Namespace = test.ambient, test.namespace
			l.spec.Auth = cmv1.VaultAuth{AWS: &cmv1.VaultAWSAuth{Role: "web", Region: test.region}}
			_, err := l.sign()
			if test.want == "" {
				same(t, "fault", verdict{
					Class: fault.User, Reason: "VaultInitError", Message: "Failed to initialise vault client for signing: while requesting a Vault token using the AWS auth: " + noAmbient,
				}, verdictOf(err))
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			target, _, headers := signedRequest(t, s.bodies["/v1/auth/aws/login"])
			domain := ".amazonaws.com/"
			if strings.HasPrefix(test.want, "cn-") {
				domain = ".amazonaws.com.cn/"
			}
			same(t, "URL", "https://sts."+test.want+domain, target)
			if !strings.Contains(headers.Get("Authorization"), "/"+test.want+"/sts/") {
				t.Errorf("signed for another region: %s", headers.Get("Authorization"))
			}
		})
	}
}

func TestAWSFailures(t *testing.T) {
	clearAWS(t)
	const prefix = "Failed to initialise vault client for signing: while requesting a Vault token using the AWS auth: "
	l := newLab(t, newServer(t, plain))
	l.Ambient.Issuers = true
	l.HTTP = roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 403, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(
			`<ErrorResponse><Error><Code>AccessDenied</Code><Message>hunter2</Message></Error></ErrorResponse>`,
		)), Request: r}, nil
	})
	l.spec.Auth = cmv1.VaultAuth{AWS: &cmv1.VaultAWSAuth{Role: "web"}}
	_, err := l.sign()
	begins(t, err, fault.Transient, "VaultInitError", prefix+"error retrieving AWS credentials: the environment has none that can be had now")
	l.spec.Auth.AWS = &cmv1.VaultAWSAuth{Role: "web", IAMRoleARN: "arn:aws:iam::1:role/x", ServiceAccountRef: &cmv1.ServiceAccountRef{Name: "sa"}}
	_, err = l.sign()
	same(t, "refused role", verdict{
		Class: fault.Transient, Reason: "VaultInitError", Message: prefix + `error assuming role with web identity: role "arn:aws:iam::1:role/x": AWS answered AccessDenied`,
	}, verdictOf(err))
	l.spec.Auth.AWS.Region = "x.example.com/?"
	_, err = l.sign()
	begins(t, err, fault.User, "VaultInitError", prefix+"error loading AWS config: spec.vault.auth.aws.region \"x.example.com/?\" is not the name of an AWS region")
}

// TestNoServiceAccountToken: what the API server refuses is said, with what to create.
func TestNoServiceAccountToken(t *testing.T) {
	l := newLab(t, newServer(t, plain))
	l.spec.Auth = cmv1.VaultAuth{Kubernetes: &cmv1.VaultKubernetesAuth{Role: "web", ServiceAccountRef: &cmv1.ServiceAccountRef{Name: "sa"}}}
	resource := schema.GroupResource{Resource: "serviceaccounts"}
	for _, test := range []struct {
		err  error
		want string
	}{
		{apierrors.NewForbidden(resource, "sa", errors.New("no")), `serviceaccounts "sa" is forbidden: no; create a Role in namespace "ns" that allows the verb create on serviceaccounts/token with resourceNames ["sa"], and a RoleBinding of it to the service account of the controller`},
		{apierrors.NewNotFound(resource, "sa"), `serviceaccounts "sa" not found; the service account must be in namespace "ns", that of the Issuer, or for a ClusterIssuer the cluster resource namespace`},
	} {
		l.tokens.err = test.err
		_, err := l.check()
		same(t, "fault", verdict{
			Class: fault.Transient, Reason: "VaultError",
			Message: "Failed to initialize Vault client: while requesting a Vault token using the Kubernetes auth: while requesting a token for the service account ns/sa: " + test.want,
		}, verdictOf(err))
	}
}
