package route53

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

const role = "arn:aws:iam::123456789012:role/dns"

type secrets map[string]map[string][]byte

func (s secrets) Read(_ context.Context, namespace, name string) (map[string][]byte, error) {
	return s[namespace+"/"+name], nil
}

// tokens issues tokens of service accounts.
type tokens struct {
	err    error
	issued []string
}

func (c *tokens) ServiceAccountToken(_ context.Context, namespace, name string, audiences []string, lifetime time.Duration) (string, error) {
	c.issued = append(c.issued, fmt.Sprintf("%s/%s %s %s", namespace, name, audiences, lifetime))
	return token(namespace, name, audiences[0]), c.err
}

func (c *tokens) Ask(context.Context, string, string, []byte) ([]byte, int, error) {
	return nil, 0, errors.New("not used")
}

func token(namespace, name, audience string) string {
	claims, _ := json.Marshal(map[string]string{"sub": "system:serviceaccount:" + namespace + ":" + name, "aud": audience})
	return "e30." + base64.RawURLEncoding.EncodeToString(claims) + ".c2ln"
}

type spec = acmev1.ACMEIssuerDNS01ProviderRoute53

func ref(name, key string) cmmeta.SecretKeySelector {
	return cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: name}, Key: key}
}

func refTo(name, key string) *cmmeta.SecretKeySelector {
	r := ref(name, key)
	return &r
}

func kubernetes(name string, audiences ...string) *acmev1.Route53Auth {
	return &acmev1.Route53Auth{Kubernetes: &acmev1.Route53KubernetesAuth{ServiceAccountRef: &acmev1.ServiceAccountRef{Name: name, TokenAudiences: audiences}}}
}

func deps(v *vendor) dns01.Deps {
	return dns01.Deps{
		Namespace: "ns", HTTP: v.client(), Cluster: &tokens{},
		Secrets: secrets{"ns/aws": {
			"id": []byte(keyID), "secret": []byte("\n " + keySecret + "\r\n"), "lines": []byte("a\nb"), "binary": {0xe7, 0x01},
		}},
	}
}

// present presents a record by way of the API's fields.
func present(t *testing.T, d dns01.Deps, s spec) error {
	t.Helper()
	p, err := Factory().New(t.Context(), d, &dns01.Spec{Route53: &s})
	if err != nil {
		return err
	}
	return p.Present(t.Context(), record)
}

func TestSpec(t *testing.T) {
	clearEnvironment(t)
	// The issuer may not use this key.
	t.Setenv("AWS_ACCESS_KEY_ID", keyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", keySecret)
	const empty = "error instantiating route53 challenge solver: unable to construct route53 provider: empty credentials; perhaps you meant to enable ambient credentials? The issuer may not use those of the environment: " +
		"set accessKeyID and secretAccessKeySecretRef, or auth.kubernetes.serviceAccountRef and role, or the option --issuer-ambient-credentials for Issuers, --cluster-issuer-ambient-credentials for ClusterIssuers"
	const notText = " is not an access key: it has a line break or other characters that keys do not have; was it put under data instead of stringData?"
	for name, test := range map[string]struct {
		spec spec
		want string
	}{
		"key":                      {spec{AccessKeyID: " " + keyID + "\n", SecretAccessKey: ref("aws", "secret")}, ""},
		"key in a Secret":          {spec{SecretAccessKeyID: refTo("aws", "id"), SecretAccessKey: ref("aws", "secret")}, ""},
		"role":                     {spec{AccessKeyID: keyID, SecretAccessKey: ref("aws", "secret"), Role: role}, ""},
		"service account":          {spec{Auth: kubernetes("dns"), Role: role}, ""},
		"nothing":                  {spec{}, empty},
		"reference without a name": {spec{HostedZoneID: "Z1", Region: "eu-west-1", SecretAccessKey: ref("", "")}, empty},
		"id only":                  {spec{AccessKeyID: keyID}, "error instantiating route53 challenge solver: unable to construct route53 provider: only one of access and secret key was provided"},
		"secret only":              {spec{SecretAccessKey: ref("aws", "secret")}, "error instantiating route53 challenge solver: unable to construct route53 provider: only one of access and secret key was provided"},
		"service account, no role": {spec{Auth: kubernetes("dns")}, "error instantiating route53 challenge solver: unable to construct route53 provider: role must be set when web identity token is set"},
		"no service account":       {spec{Auth: &acmev1.Route53Auth{}, Role: role}, "service account name is required for Kubernetes auth"},
		"id without key":           {spec{SecretAccessKeyID: refTo("aws", "")}, "route53 accessKeyIDSecretRef requires a key field to be specified"},
		"id without name":          {spec{SecretAccessKeyID: refTo("", "id")}, "route53 accessKeyIDSecretRef requires a name field to be specified"},
		"no such key":              {spec{AccessKeyID: keyID, SecretAccessKey: ref("aws", "x")}, `error getting route53 secret access key: the secret ns/aws does not have key "x"; it has binary, id, lines, secret`},
		"lines":                    {spec{AccessKeyID: keyID, SecretAccessKey: ref("aws", "lines")}, `error getting route53 secret access key: the value of key "lines" in secret ns/aws` + notText},
		"binary":                   {spec{AccessKeyID: keyID, SecretAccessKey: ref("aws", "binary")}, `error getting route53 secret access key: the value of key "binary" in secret ns/aws` + notText},
		"region":                   {spec{AccessKeyID: keyID, SecretAccessKey: ref("aws", "secret"), Region: "EU (Ireland)"}, `error instantiating route53 challenge solver: unable to construct route53 provider: region "EU (Ireland)" is not the name of an AWS region, such as eu-west-1`},
		"partition": {
			spec{AccessKeyID: keyID, SecretAccessKey: ref("aws", "secret"), Region: "cn-north-1", Role: role},
			`error instantiating route53 challenge solver: unable to construct route53 provider: role "arn:aws:iam::123456789012:role/dns" is in the partition "aws" and the region "cn-north-1" in the partition "aws-cn": set region to one of the role's partition`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t)
			err := present(t, deps(v), test.spec)
			if test.want != "" {
				failsWith(t, err, fault.User, test.want)
				if len(v.seen) > 0 {
					t.Errorf("requests: %q", v.seen)
				}
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRegions holds to which hosts, and for which scopes, requests are signed.
func TestRegions(t *testing.T) {
	cn, gov := "arn:aws-cn:iam::1:role/dns", "arn:aws-us-gov:iam::1:role/dns"
	for _, test := range []struct {
		region, environment, role, sts, stsScope, host, scope string
		ambient                                               bool
	}{
		{"", "", role, "sts.amazonaws.com", "us-east-1", "route53.amazonaws.com", "us-east-1", false},
		{"eu-west-1", "us-east-2", role, "sts.eu-west-1.amazonaws.com", "eu-west-1", "route53.amazonaws.com", "us-east-1", false},
		{"", "us-east-2", role, "sts.us-east-2.amazonaws.com", "us-east-2", "route53.amazonaws.com", "us-east-1", false},
		{"cn-north-1", "", cn, "sts.cn-north-1.amazonaws.com.cn", "cn-north-1", "route53.amazonaws.com.cn", "cn-northwest-1", false},
		{"us-gov-west-1", "", gov, "sts.us-gov-west-1.amazonaws.com", "us-gov-west-1", "route53.us-gov.amazonaws.com", "us-gov-west-1", false},
		{"eu-west-1", "us-east-2", role, "sts.us-east-2.amazonaws.com", "us-east-2", "route53.amazonaws.com", "us-east-1", true},
		{"eu-west-1", "", role, "sts.eu-west-1.amazonaws.com", "eu-west-1", "route53.amazonaws.com", "us-east-1", true},
		{"", "", role, "sts.amazonaws.com", "us-east-1", "route53.amazonaws.com", "us-east-1", true},
	} {
		t.Run(fmt.Sprintf("%s %s %t", test.region, test.environment, test.ambient), func(t *testing.T) {
			clearEnvironment(t)
			v := newVendor(t)
			d := deps(v)
			d.Ambient = test.ambient
			s := spec{Region: test.region, Role: test.role}
			if test.ambient {
				t.Setenv("AWS_ACCESS_KEY_ID", keyID)
				t.Setenv("AWS_SECRET_ACCESS_KEY", keySecret)
			} else {
				s.AccessKeyID, s.SecretAccessKey = keyID, ref("aws", "secret")
			}
			t.Setenv("AWS_REGION", test.environment)
			if err := present(t, d, s); err != nil {
				t.Fatal(err)
			}
			want := []string{
				"AssumeRole " + test.sts + " sts/" + test.stsScope + " " + keyID,
				"GET " + test.host + " route53/" + test.scope + " /2013-04-01/hostedzonesbyname?dnsname=example.com.",
				"POST " + test.host + " route53/" + test.scope + " /2013-04-01/hostedzone/Z1/rrset",
			}
			if diff := cmp.Diff(want, v.seen); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if got := v.forms[0].Get("RoleSessionName"); got != "cert-manager" {
				t.Errorf("session %q", got)
			}
			s.Auth, s.AccessKeyID, s.SecretAccessKey = kubernetes("dns"), "", ref("", "")
			if test.ambient {
				return
			}
			if err := present(t, d, s); err != nil {
				t.Fatal(err)
			}
			if got := v.seen[len(want)]; got != "AssumeRoleWithWebIdentity "+test.sts {
				t.Errorf("web identity: %q", got)
			}
		})
	}
}

func TestRefusedRole(t *testing.T) {
	clearEnvironment(t)
	const refused = "failed to determine Route 53 hosted zone ID: AWS STS answered HTTP 403 "
	for name, test := range map[string]struct{ id, secret, want string }{
		"not trusted":  {weakID, weakSecret, refused + `(AccessDenied: User: arn:aws:iam::123456789012:user/weak is not authorized to perform: sts:AssumeRole on resource: ` + role + `) to AssumeRole of the role "` + role + `"; allow sts:AssumeRole for the access key "AKIAI44QH8DHBEXAMPLE", in its policy and in the trust policy of the role`},
		"wrong secret": {keyID, weakSecret, refused + `(SignatureDoesNotMatch) to AssumeRole of the role "` + role + `"; check the secret access key of the access key "AKIAIOSFODNN7EXAMPLE"`},
		"no such key":  {"AKIAXXXX", weakSecret, refused + `(InvalidClientTokenId: The security token included in the request is invalid.) to AssumeRole of the role "` + role + `"; check that the access key "AKIAXXXX" exists, is active, and is of the partition of region "aws-global"`},
	} {
		t.Run(name, func(t *testing.T) {
			c := keyConfig(newVendor(t), test.id, test.secret)
			c.Role = role
			failsWith(t, provider(t, c).Present(t.Context(), record), fault.User, test.want)
		})
	}
}

func TestServiceAccount(t *testing.T) {
	clearEnvironment(t)
	resource := schema.GroupResource{Resource: "serviceaccounts"}
	const failedFor = `error getting service account token: failed to request token for ns/dns: `
	for name, test := range map[string]struct {
		auth  *acmev1.Route53Auth
		err   error
		class fault.Class
		want  string
	}{
		"default audience": {auth: kubernetes("dns")},
		"other audience": {
			kubernetes("dns", "other"), nil, fault.User,
			`failed to determine Route 53 hosted zone ID: AWS STS answered HTTP 400 (InvalidIdentityToken: Incorrect token audience) to AssumeRoleWithWebIdentity of the role "` + role + `"`,
		},
		"not trusted": {
			kubernetes("app"), nil, fault.User,
			`failed to determine Route 53 hosted zone ID: AWS STS answered HTTP 403 (AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity) to AssumeRoleWithWebIdentity of the role "` + role +
				`"; check that the trust policy of the role allows sts:AssumeRoleWithWebIdentity for the cluster's OIDC provider and the subject system:serviceaccount:ns:app, with the audience of the token`,
		},
		"forbidden": {
			kubernetes("dns"), apierrors.NewForbidden(resource, "dns", errors.New("no RBAC")), fault.Transient,
			`failed to determine Route 53 hosted zone ID: ` + failedFor + `serviceaccounts "dns" is forbidden: no RBAC; create a Role in namespace "ns" that allows the verb create on serviceaccounts/token with resourceNames ["dns"], and a RoleBinding of it to the service account of the controller`,
		},
		"missing": {
			kubernetes("dns"), apierrors.NewNotFound(resource, "dns"), fault.Transient,
			`failed to determine Route 53 hosted zone ID: ` + failedFor + `serviceaccounts "dns" not found; the service account must be in namespace "ns", that of the Issuer, or for a ClusterIssuer the cluster resource namespace`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t)
			d := deps(v)
			d.Cluster.(*tokens).err = test.err
			err := present(t, d, spec{Auth: test.auth, Role: role})
			if test.want != "" {
				failsWith(t, err, test.class, test.want)
				return
			}
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff([]string{"ns/dns [sts.amazonaws.com] 10m0s"}, d.Cluster.(*tokens).issued); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestSharedLogin holds that equal credentials share a session of the role, and others do not.
func TestSharedLogin(t *testing.T) {
	clearEnvironment(t)
	v := newVendor(t)
	d, f := deps(v), Factory()
	for i, s := range []spec{
		{Auth: kubernetes("dns"), Role: role},
		{Auth: kubernetes("dns"), Role: role, HostedZoneID: "Z1"},
		{Auth: kubernetes("dns"), Role: role + "2"},
		{AccessKeyID: keyID, SecretAccessKey: ref("aws", "secret"), Role: role},
		{AccessKeyID: keyID, SecretAccessKey: ref("aws", "secret"), Role: role},
	} {
		p, err := f.New(t.Context(), d, &dns01.Spec{Route53: &s})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Present(t.Context(), record); err != nil {
			t.Error(err)
		}
		if want := []int{1, 1, 2, 3, 3}[i]; len(v.forms) != want {
			t.Errorf("%d: %d requests to STS, want %d", i, len(v.forms), want)
		}
	}
	elsewhere := d
	elsewhere.Namespace = "other"
	for name, test := range map[string]struct {
		deps    dns01.Deps
		account string
	}{"another service account": {d, "app"}, "another namespace": {elsewhere, "dns"}} {
		p, err := f.New(t.Context(), test.deps, &dns01.Spec{Route53: &spec{Auth: kubernetes(test.account), Role: role}})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Present(t.Context(), record); err == nil {
			t.Errorf("%s uses the session of the first", name)
		}
	}
}

func TestAmbient(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token("ns", "dns", "sts.amazonaws.com")), 0o600); err != nil {
		t.Fatal(err)
	}
	// The metadata of an instance (instancedata-data-retrieval.html, IMDSv2) and of a
	// container (container provider of the SDKs' reference guide).
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == "PUT" && r.URL.Path == "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			_, _ = w.Write([]byte("imds-token"))
		case strings.TrimSuffix(r.URL.Path, "/") == "/latest/meta-data/iam/security-credentials" && r.Header.Get("X-Aws-Ec2-Metadata-Token") == "imds-token":
			_, _ = w.Write([]byte("node-role"))
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/node-role":
			_, _ = fmt.Fprintf(w, `{"Code":"Success","LastUpdated":"2012-04-26T16:39:16Z","Type":"AWS-HMAC","AccessKeyId":%q,"SecretAccessKey":%q,"Token":"node-token","Expiration":%q}`,
				nodeID, nodeSecret, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		case r.URL.Path == "/v1/credentials" && strings.HasPrefix(r.Header.Get("Authorization"), "e30."):
			_, _ = fmt.Fprintf(w, `{"AccessKeyId":%q,"SecretAccessKey":%q,"Token":"node-token","AccountId":"123456789012","Expiration":%q}`,
				nodeID, nodeSecret, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		default:
			w.WriteHeader(404)
		}
	}))
	defer metadata.Close()
	node := func(t *testing.T) {
		t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
		t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.URL)
	}
	web := func(t *testing.T) {
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file)
		t.Setenv("AWS_ROLE_ARN", role)
	}
	const refused = `failed to determine Route 53 hosted zone ID: AWS STS answered HTTP 403 (AccessDenied: User: arn:aws:sts::123456789012:assumed-role/node-role/i-0123 is not authorized to perform: sts:AssumeRole on resource: ` + role + `) to AssumeRole of the role "` + role + `"; `
	for name, test := range map[string]struct {
		set   func(*testing.T)
		role  string
		class fault.Class
		want  string
		seen  string
	}{
		"instance":       {set: node},
		"web identity":   {set: web, seen: "AssumeRoleWithWebIdentity sts.amazonaws.com"},
		"instance, role": {node, role, fault.User, refused + "the credentials came from the instance's metadata, and AWS_WEB_IDENTITY_TOKEN_FILE is not set in the controller's pod: restart it after annotating its service account, or use auth.kubernetes.serviceAccountRef", ""},
		"web identity of no file": {
			func(t *testing.T) { web(t); t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token") }, "", fault.Transient,
			"failed to determine Route 53 hosted zone ID: no AWS credentials in the environment (the token in /nowhere/token (AWS_WEB_IDENTITY_TOKEN_FILE) cannot be read): the controller's pod has neither an access key, nor a web identity (AWS_WEB_IDENTITY_TOKEN_FILE), nor a pod identity (AWS_CONTAINER_CREDENTIALS_FULL_URI) that works; restart it after its service account was annotated or associated, or set auth.kubernetes.serviceAccountRef or an access key in the issuer", "",
		},
		"nothing": {
			func(*testing.T) {}, "", fault.Transient,
			"failed to determine Route 53 hosted zone ID: no AWS credentials in the environment (the instance's metadata gives none): the controller's pod has neither an access key, nor a web identity (AWS_WEB_IDENTITY_TOKEN_FILE), nor a pod identity (AWS_CONTAINER_CREDENTIALS_FULL_URI) that works; restart it after its service account was annotated or associated, or set auth.kubernetes.serviceAccountRef or an access key in the issuer", "",
		},
		"CA bundle": {
			func(t *testing.T) { t.Setenv("AWS_CA_BUNDLE", file) }, "", fault.User,
			"error instantiating route53 challenge solver: unable to construct route53 provider: the environment's configuration of AWS cannot be used; check the files and variables that it has for AWS. AWS_CA_BUNDLE is not supported: SSL_CERT_FILE takes its place", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			clearEnvironment(t)
			test.set(t)
			v := newVendor(t)
			d := deps(v)
			d.Ambient = true
			err := present(t, d, spec{Role: test.role})
			switch {
			case test.want != "":
				failsWith(t, err, test.class, test.want)
			case err != nil:
				t.Error(err)
			case test.seen != "" && !slices.Contains(v.seen, test.seen):
				t.Errorf("requests: %q", v.seen)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		spec spec
		want []string
	}{
		"ambient":  {spec{}, nil},
		"key":      {spec{AccessKeyID: keyID, SecretAccessKey: ref("aws", "secret")}, nil},
		"two keys": {spec{AccessKeyID: keyID, SecretAccessKeyID: refTo("aws", "id")}, []string{"dns01.route53: Required value: accessKeyID and accessKeyIDSecretRef cannot both be specified"}},
		"no name":  {spec{SecretAccessKeyID: refTo("", "id")}, []string{"dns01.route53.accessKeyIDSecretRef.name: Required value: secret name is required"}},
		"no role":  {spec{Auth: kubernetes("dns")}, []string{"dns01.route53.role: Required value: role is required with auth.kubernetes"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, err := range Factory().Check(field.NewPath("dns01"), &dns01.Spec{Route53: &test.spec}) {
				got = append(got, err.Error())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
