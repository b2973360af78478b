package route53

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/smithy-go"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// throttled is the wait after a refusal for too many requests. The limit is per second
// and account.
const throttled = 10 * time.Second

// code returns the code that AWS has answered with, or "".
func code(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) && answer.ErrorCode() != "UnknownError" {
		return answer.ErrorCode()
	}
	return ""
}

// signIn gets credentials, unless there are some. Its failures are not those of Route
// 53, and say so.
func (p *Provider) signIn(ctx context.Context) error {
	_, err := p.login.config.Credentials.Retrieve(ctx)
	if err == nil {
		return nil
	}
	var own *fault.Error
	if errors.As(err, &own) {
		return own
	}
	var operation *smithy.OperationError
	if errors.As(err, &operation) && operation.Service() == "STS" {
		return p.refusedRole(ctx, err, operation.Operation())
	}
	if errors.Is(err, context.Canceled) {
		return vendorapi.Failure{Vendor: "AWS", Doing: "credentials", Err: err}.Fault(p.clock.Now())
	}
	why := "the instance's metadata gives none"
	if file := p.login.webToken; file != "" {
		why = fmt.Sprintf("the token in %s (AWS_WEB_IDENTITY_TOKEN_FILE) cannot be read", file)
	}
	return fault.New(fault.Transient, "NoCredentials",
		"no AWS credentials in the environment (%s): the controller's pod has neither an access key, nor a web identity (AWS_WEB_IDENTITY_TOKEN_FILE), nor a pod identity (AWS_CONTAINER_CREDENTIALS_FULL_URI) that works; restart it after its service account was annotated or associated, or set auth.kubernetes.serviceAccountRef or an access key in the issuer", why).Because(err)
}

// refusedRole is the fault for STS's refusal to let the role be taken on.
func (p *Provider) refusedRole(ctx context.Context, err error, operation string) error {
	l := p.login
	role := firstOf(l.role, l.webRole)
	f := p.read(err, fmt.Sprintf("%s of the role %q", operation, role))
	f.Vendor = "AWS STS"
	switch advice := p.keyAdvice(f.Code); {
	case advice != "":
		f.Advice = advice
	case l.serviceAccount != "":
		f.Advice = fmt.Sprintf("check that the trust policy of the role allows sts:AssumeRoleWithWebIdentity for the cluster's OIDC provider and the subject system:serviceaccount:%s, with the audience of the token", strings.Replace(l.serviceAccount, "/", ":", 1))
	case operation == "AssumeRoleWithWebIdentity":
		f.Advice = "check that the trust policy of the role allows sts:AssumeRoleWithWebIdentity for the controller's service account"
	case l.ambient && l.webRole == l.role:
		f.Advice = "the pod has this role already (AWS_ROLE_ARN): leave role out of the issuer"
	case l.ambient && l.source(ctx) == ec2rolecreds.ProviderName && l.webRole == "":
		f.Advice = "the credentials came from the instance's metadata, and AWS_WEB_IDENTITY_TOKEN_FILE is not set in the controller's pod: restart it after annotating its service account, or use auth.kubernetes.serviceAccountRef"
	default:
		f.Advice = fmt.Sprintf("allow sts:AssumeRole for %s, in its policy and in the trust policy of the role", l.baseName)
	}
	return p.classified(f)
}

// source names where the environment's credentials come from.
func (l *login) source(ctx context.Context) string {
	credentials, err := l.base.Retrieve(ctx)
	if err != nil {
		return ""
	}
	return credentials.Source
}

// failed is the fault for a refused change or a question about it.
func (p *Provider) failed(err error, r dns01.Record, z zone, doing string) error {
	var batch *types.InvalidChangeBatch
	if !errors.As(err, &batch) {
		return p.failure(err, doing)
	}
	text := batchText(batch)
	said := "InvalidChangeBatch: " + foreign.Text(text, 256)
	name := dnsname.Canonical(r.FQDN)
	switch {
	case strings.Contains(text, "non multivalue answer") || strings.Contains(text, "other RRSets exist"):
		return fault.New(fault.User, "RecordInTheWay",
			"%s: the hosted zone %s has a TXT record set at %s with another routing policy, beside which no multivalue answer can be; delete that record set, or make it one of multivalue answer routing", said, z.id, name).Because(err)
	case strings.Contains(text, "CNAME"):
		return fault.New(fault.User, "RecordInTheWay",
			"%s: %s is an alias (CNAME), beside which no TXT record can be; remove the CNAME record, or, if its target is in a zone of yours, set cnameStrategy: Follow", said, name).Because(err)
	case strings.Contains(text, "is not permitted in zone"):
		return fault.New(fault.User, "NotInZone", "%s: check hostedZoneID %s, which is not the zone of %s", said, z.id, name).Because(err)
	}
	return p.failure(err, doing)
}

// batchText is what Route 53 says about a batch; it documents two places for it.
func batchText(batch *types.InvalidChangeBatch) string {
	if len(batch.Messages) > 0 {
		return strings.Join(batch.Messages, ", ")
	}
	return batch.ErrorMessage()
}

// failure is the fault for a request that Route 53 has refused or not answered.
func (p *Provider) failure(err error, doing string) error {
	f := p.read(err, doing)
	f.Vendor = "Route 53"
	f.Advice = firstOf(p.keyAdvice(f.Code), fmt.Sprintf("allow it to %s in IAM", p.login.name))
	return p.classified(f)
}

// keyAdvice is what to do if AWS does not accept the key that a request was signed by,
// or "".
func (p *Provider) keyAdvice(code string) string {
	switch code {
	case "InvalidClientTokenId", "UnrecognizedClientException", "ExpiredToken", "ExpiredTokenException":
		p.login.forget()
		return fmt.Sprintf("check that %s exists, is active, and is of the partition of region %q", p.login.baseName, p.login.config.Region)
	case "SignatureDoesNotMatch":
		return fmt.Sprintf("check the secret access key of %s", p.login.baseName)
	}
	return ""
}

// read reads an error of the SDK.
func (p *Provider) read(err error, doing string) vendorapi.Failure {
	f := vendorapi.Failure{Doing: doing, Code: code(err), Err: err}
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil {
		f.Status, f.Header = answer.HTTPStatusCode(), answer.Response.Header
	}
	var api smithy.APIError
	if errors.As(err, &api) && f.Code != "" {
		f.Text = api.ErrorMessage()
	}
	var batch *types.InvalidChangeBatch
	if errors.As(err, &batch) {
		f.Text = batchText(batch)
	}
	if f.Code == "SignatureDoesNotMatch" {
		// The text has the request that was signed, and its time.
		clock := strings.Contains(f.Text, "Signature expired") || strings.Contains(f.Text, "Signature not yet current")
		f.Text = ""
		if clock {
			f.Text = "the time of the signature is too far from AWS's; set the clock of this machine by NTP"
		}
	}
	return f
}

// classified knows the codes whose status says something else.
func (p *Provider) classified(f vendorapi.Failure) error {
	now := p.clock.Now()
	said := func(what string) string {
		return fmt.Sprintf("%s answered %s to %s: %s", f.Vendor, f.Code, f.Doing, what)
	}
	switch f.Code {
	case "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException":
		// Several challenges are refused at once.
		again := now.Add(throttled + rand.N(throttled))
		if header := foreign.RetryAfter(f.Header, now); header.After(again) {
			again = header
		}
		return fault.Until(again, "RateLimited", "%s", said("the account sends more requests than AWS takes")).Because(f.Err)
	case "PriorRequestNotComplete":
		return fault.Until(now.Add(changePeriod), "PriorRequestNotComplete", "%s", said("an earlier change of the hosted zone is not complete")).Because(f.Err)
	case "IDPCommunicationError", "ServiceUnavailable":
		return fault.New(fault.Transient, "ServerError", "%s", said("try again later")).Because(f.Err)
	}
	return f.Fault(now)
}
