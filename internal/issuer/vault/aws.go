package vault

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign"
	"github.com/everleaf/everleaf/internal/foreign/awsidentity"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
)

const (
	defaultRegion = "us-east-1"
	// audienceSTS is the audience that AWS demands of a service account's token.
	audienceSTS = "sts.amazonaws.com"
	// whoAmI is what Vault sends to AWS in the name of who logs in.
	whoAmI      = "Action=GetCallerIdentity&Version=2011-06-15"
	contentType = "application/x-www-form-urlencoded; charset=utf-8"
	// headerServerID binds a signed request to one Vault.
	headerServerID = "X-Vault-AWS-IAM-Server-ID"
)

// regionName is what can be part of a host name in the place of a region.
var regionName = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)

const badEnvironment = "error loading AWS config: the environment's configuration of AWS cannot be used"

const noAmbient = "cannot authenticate to Vault using ambient AWS credentials: set auth.aws.serviceAccountRef, " +
	"or enable ambient credentials via --issuer-ambient-credentials / --cluster-issuer-ambient-credentials"

// awsLogin prepares the log-in with an AWS identity: a request to AWS STS that is signed
// and not sent. Vault sends it, and AWS tells it who has signed.
func (t *Type) awsLogin(ctx context.Context, name types.NamespacedName, namespace string, auth *cmv1.VaultAWSAuth) (login, error) {
	credentials, region, err := t.awsCredentials(ctx, name, namespace, auth)
	if err != nil {
		return login{}, vendorapi.Prefixed(byAWS, err)
	}
	body, err := signedIdentity(ctx, credentials, region, auth.VaultHeaderValue, t.Clock.Now())
	if err != nil {
		return login{}, fault.New(fault.Transient, cmv1.EventReasonVaultInitError, "%serror generating AWS login data", byAWS).Because(err)
	}
	body["role"] = auth.Role
	return login{
		path: loginPath(auth.Path, mountAWS), body: body, prefix: byAWS, failed: callFailed,
		hide: []string{credentials.SecretAccessKey, credentials.SessionToken},
	}, nil
}

// awsCredentials returns the identity of the issuer's role, or that of the environment,
// and the region whose STS is asked.
func (t *Type) awsCredentials(ctx context.Context, name types.NamespacedName, namespace string, auth *cmv1.VaultAWSAuth) (aws.Credentials, string, error) {
	environment, err := config.NewEnvConfig()
	if err != nil {
		return aws.Credentials{}, "", awsFault(fault.User, badEnvironment, err)
	}
	if auth.Region != "" && !regionName.MatchString(auth.Region) {
		return aws.Credentials{}, "", awsFault(fault.User, fmt.Sprintf("error loading AWS config: spec.vault.auth.aws.region %q is not the name of an AWS region, such as eu-west-1", auth.Region), nil)
	}
	if account := auth.ServiceAccountRef; account != nil {
		region := firstOf(auth.Region, environment.Region, defaultRegion)
		token, err := t.serviceAccountToken(ctx, namespace, account.Name, append([]string{audienceSTS}, account.TokenAudiences...))
		if err != nil {
			return aws.Credentials{}, "", err
		}
		credentials, err := awsidentity.OfServiceAccount(ctx, sts.NewFromConfig(awsidentity.Base(t.HTTP, region)), auth.IAMRoleARN, token)
		if err != nil {
			return aws.Credentials{}, "", awsFault(fault.Transient, fmt.Sprintf("error assuming role with web identity: role %q%s", auth.IAMRoleARN, awsAnswer(err)), err)
		}
		return credentials, region, nil
	}
	if allowed := t.Ambient.ClusterIssuers; name.Namespace == "" && !allowed || name.Namespace != "" && !t.Ambient.Issuers {
		return aws.Credentials{}, "", awsFault(fault.User, noAmbient, nil)
	}
	loaded, err := awsidentity.Environment(ctx, t.HTTP, firstOf(auth.Region, defaultRegion))
	if err != nil {
		return aws.Credentials{}, "", awsFault(fault.User, badEnvironment+"; check the files and variables that it has for AWS. AWS_CA_BUNDLE is not supported: SSL_CERT_FILE takes its place", err)
	}
	credentials, err := loaded.Credentials.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, "", awsFault(fault.Transient, "error retrieving AWS credentials: the environment has none that can be had now"+awsAnswer(err), err)
	}
	// As in cert-manager the environment's variables come first; its files do not.
	return credentials, firstOf(environment.Region, auth.Region, loaded.Region), nil
}

// signedIdentity returns the fields of a log-in that prove who has signed (Vault's AWS auth
// method, type iam): a request for GetCallerIdentity with a signature of version 4.
func signedIdentity(ctx context.Context, credentials aws.Credentials, region, serverID string, now time.Time) (map[string]string, error) {
	url := stsURL(region)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", contentType)
	if serverID != "" {
		request.Header.Set(headerServerID, serverID)
	}
	hash := sha256.Sum256([]byte(whoAmI))
	if err := v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(hash[:]), "sts", region, now); err != nil {
		return nil, err
	}
	headers, err := json.Marshal(request.Header)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"iam_http_request_method": http.MethodPost,
		"iam_request_url":         base64.StdEncoding.EncodeToString([]byte(url)),
		"iam_request_headers":     base64.StdEncoding.EncodeToString(headers),
		"iam_request_body":        base64.StdEncoding.EncodeToString([]byte(whoAmI)),
	}, nil
}

// stsURL is the endpoint of AWS STS in a region.
func stsURL(region string) string {
	domain := "amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		domain += ".cn"
	}
	return "https://sts." + region + "." + domain + "/"
}

// awsAnswer says why AWS was not reached or has refused, after a colon.
func awsAnswer(err error) string {
	if refused := smithy.APIError(nil); errors.As(err, &refused) {
		return ": AWS answered " + foreign.Word(refused.ErrorCode(), maxText)
	}
	why, _ := foreign.Unreachable(err)
	return ": " + why
}

func awsFault(class fault.Class, message string, err error) *fault.Error {
	return fault.New(class, cmv1.EventReasonVaultInitError, "%s", message).Because(err)
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
