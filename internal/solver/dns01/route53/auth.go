package route53

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/everleaf/everleaf/internal/foreign/awsidentity"
)

// globalRegion stands for the partition "aws" as a whole: Route 53 and STS have
// endpoints for it, and both take signatures for us-east-1.
const globalRegion = "aws-global"

// login is what signs requests. Providers with equal credentials share it.
type login struct {
	config aws.Config
	// name is what messages call the credentials, baseName those without the role that
	// they take on.
	name, baseName string
	role           string
	// serviceAccount is "namespace/name", or empty.
	serviceAccount string
	// ambient reports whether the credentials, or those that the role was taken on
	// with, are those of the environment. base are these.
	ambient bool
	base    aws.CredentialsProvider
	// webToken and webRole are AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, if the
	// environment has a web identity.
	webToken, webRole string
}

// loggedIn returns the login of a Config, a shared one if there is one.
func (c Config) loggedIn(ctx context.Context) (*login, error) {
	if c.Logins == nil {
		return c.newLogin(ctx)
	}
	key := c.credentialsKey()
	if l, ok := c.Logins.Get(key); ok {
		return l.(*login), nil
	}
	l, err := c.newLogin(ctx)
	if err == nil {
		c.Logins.Add(key, l)
	}
	return l, err
}

// credentialsKey is a digest of all that a login depends on.
func (c Config) credentialsKey() [sha256.Size]byte {
	var account ServiceAccount
	if c.ServiceAccount != nil {
		account = *c.ServiceAccount
	}
	text, _ := json.Marshal([]any{
		c.AccessKeyID, c.SecretAccessKey, c.KeyName, c.Ambient, c.Role, c.Region,
		account.Namespace, account.Name, account.Audiences,
	})
	return sha256.Sum256(text)
}

func (c Config) newLogin(ctx context.Context) (*login, error) {
	if c.ServiceAccount == nil && c.AccessKeyID == "" {
		return c.ambientLogin(ctx)
	}
	environment, err := config.NewEnvConfig()
	if err != nil {
		return nil, invalid("the environment's configuration of AWS cannot be used").Because(err)
	}
	l := &login{config: awsidentity.Base(c.HTTP, firstOf(c.Region, environment.Region, globalRegion)), name: c.KeyName, role: c.Role}
	// The environment can replace endpoints (AWS_ENDPOINT_URL_ROUTE_53) and choose FIPS;
	// its credentials are not taken from here.
	l.config.ConfigSources = []any{environment}
	if err := checkPartition(c.Role, l.config.Region); err != nil {
		return nil, err
	}
	if account := c.ServiceAccount; account != nil {
		l.serviceAccount = account.Namespace + "/" + account.Name
		l.name = fmt.Sprintf("the role %q and the service account %q", c.Role, l.serviceAccount)
		l.baseName = l.name
		l.config.Credentials = aws.NewCredentialsCache(&webIdentity{sts.NewFromConfig(l.config), c.Role, account.Token})
		return l, nil
	}
	l.config.Credentials = credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, "")
	l.assume()
	return l, nil
}

// ambientLogin takes the environment's credentials.
func (c Config) ambientLogin(ctx context.Context) (*login, error) {
	loaded, err := awsidentity.Environment(ctx, c.HTTP, firstOf(c.Region, globalRegion))
	if err != nil {
		return nil, invalid("the environment's configuration of AWS cannot be used; check the files and variables that it has for AWS. " +
			"AWS_CA_BUNDLE is not supported: SSL_CERT_FILE takes its place").Because(err)
	}
	environment, err := config.NewEnvConfig()
	if err != nil {
		return nil, invalid("the environment's configuration of AWS cannot be used").Because(err)
	}
	if err := checkPartition(c.Role, loaded.Region); err != nil {
		return nil, err
	}
	l := &login{config: loaded, name: "the credentials of the environment", role: c.Role, ambient: true, base: loaded.Credentials}
	if environment.WebIdentityTokenFilePath != "" {
		l.webToken, l.webRole = environment.WebIdentityTokenFilePath, environment.RoleARN
	}
	l.assume()
	return l, nil
}

// assume takes the role on, if there is one, with the credentials so far.
func (l *login) assume() {
	l.baseName = l.name
	if l.role == "" {
		return
	}
	provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(l.config), l.role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = awsidentity.SessionName
	})
	l.config.Credentials = aws.NewCredentialsCache(provider)
	l.name = fmt.Sprintf("the role %q and %s", l.role, l.name)
}

// forget drops temporary credentials that AWS has refused.
func (l *login) forget() {
	if cache, ok := l.config.Credentials.(*aws.CredentialsCache); ok {
		cache.Invalidate()
	}
}

// webIdentity takes on a role with tokens of a service account.
type webIdentity struct {
	client *sts.Client
	role   string
	token  func(context.Context) (string, error)
}

// Retrieve implements aws.CredentialsProvider.
func (w *webIdentity) Retrieve(ctx context.Context) (aws.Credentials, error) {
	token, err := w.token(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	return awsidentity.OfServiceAccount(ctx, w.client, w.role, token)
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
