// Package awsidentity gets credentials of AWS for those who ask an API of AWS, or log in
// elsewhere as an AWS identity: those of the environment, and those of a role that a
// service account takes on. Errors are the SDK's.
package awsidentity

import (
	"context"
	"errors"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
)

// SessionName names the sessions of roles in AWS's logs. Trust policies can have it as a
// condition.
const SessionName = "cert-manager"

// Base returns what all of the SDK's clients have in common. The controller retries, not
// the SDK.
func Base(transport http.RoundTripper, region string) aws.Config {
	return aws.Config{
		Region: region, HTTPClient: vendorapi.Client(transport), AppID: "everleaf",
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// Environment returns the environment's credentials, in the SDK's order: keys and web
// identities in variables, files, the container's and then the instance's metadata. Its
// region is the environment's, or else the one that is given. AWS_CA_BUNDLE is an error.
func Environment(ctx context.Context, transport http.RoundTripper, region string) (aws.Config, error) {
	base := Base(transport, "")
	metadata := imds.New(imds.Options{Retryer: aws.NopRetryer{}, HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(
		// No proxy has the instance's own metadata.
		func(t *http.Transport) { t.Proxy = nil },
	)})
	return config.LoadDefaultConfig(
		ctx, config.WithHTTPClient(base.HTTPClient), config.WithRetryer(base.Retryer), config.WithAppID(base.AppID),
		config.WithDefaultRegion(region),
		config.WithEC2RoleCredentialOptions(func(o *ec2rolecreds.Options) { o.Client = metadata }),
	)
}

// OfServiceAccount returns credentials of a role that the token of a service account takes
// on (AssumeRoleWithWebIdentity of AWS STS).
func OfServiceAccount(ctx context.Context, client *sts.Client, role, token string) (aws.Credentials, error) {
	answer, err := client.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &role, RoleSessionName: aws.String(SessionName), WebIdentityToken: &token,
	})
	if err != nil {
		return aws.Credentials{}, err
	}
	if answer.Credentials == nil {
		return aws.Credentials{}, errors.New("STS sent no credentials")
	}
	return aws.Credentials{
		AccessKeyID: aws.ToString(answer.Credentials.AccessKeyId), SecretAccessKey: aws.ToString(answer.Credentials.SecretAccessKey),
		SessionToken: aws.ToString(answer.Credentials.SessionToken), Source: stscreds.WebIdentityProviderName,
		CanExpire: true, Expires: aws.ToTime(answer.Credentials.Expiration),
	}, nil
}
