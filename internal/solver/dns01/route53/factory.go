package route53

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/lru"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/validation"
)

const (
	// maxLogins bounds the temporary credentials that are kept.
	maxLogins = 256
	// tokenLifetime of a service account's token is the shortest that Kubernetes takes.
	tokenLifetime = 10 * time.Minute
)

// Factory makes Providers from the route53 field of the API.
func Factory() dns01.Factory {
	logins := lru.New(maxLogins)
	return dns01.Factory{
		Name:     "route53",
		Server:   func(*dns01.Spec) string { return "the Route 53 API" },
		Selected: func(s *dns01.Spec) bool { return s.Route53 != nil },
		Secrets: func(s *dns01.Spec) []cmmeta.SecretKeySelector {
			refs := []cmmeta.SecretKeySelector{s.Route53.SecretAccessKey}
			if s.Route53.SecretAccessKeyID != nil {
				refs = append(refs, *s.Route53.SecretAccessKeyID)
			}
			return refs
		},
		Check: check,
		TTL:   ttl,
		New: func(ctx context.Context, d dns01.Deps, s *dns01.Spec) (dns01.Provider, error) {
			c, err := fromSpec(ctx, d, s.Route53)
			if err != nil {
				return nil, err
			}
			c.Logins = logins
			return New(ctx, c)
		},
	}
}

func fromSpec(ctx context.Context, d dns01.Deps, s *acmev1.ACMEIssuerDNS01ProviderRoute53) (Config, error) {
	c := Config{
		Role: s.Role, Region: s.Region, HostedZoneID: s.HostedZoneID, Ambient: d.Ambient,
		HTTP: d.HTTP, Clock: d.Clock, Walk: d.Zone,
	}
	if s.Auth != nil {
		account, err := serviceAccount(d, s.Auth)
		c.ServiceAccount = account
		return c, err
	}
	c.AccessKeyID = strings.TrimSpace(s.AccessKeyID)
	c.KeyName = fmt.Sprintf("the access key %q", c.AccessKeyID)
	if ref := s.SecretAccessKeyID; ref != nil && (ref.Name != "" || ref.Key != "") {
		switch {
		case ref.Name == "":
			return c, misconfigured("route53 accessKeyIDSecretRef requires a name field to be specified")
		case ref.Key == "":
			return c, misconfigured("route53 accessKeyIDSecretRef requires a key field to be specified")
		}
		id, err := secret(ctx, d, *ref, "error getting route53 access key id: ")
		if err != nil {
			return c, err
		}
		c.AccessKeyID = id
		c.KeyName = fmt.Sprintf("the access key in Secret %q", d.Namespace+"/"+ref.Name)
	}
	// An entry without a name counts as not set.
	if s.SecretAccessKey.Name != "" {
		key, err := secret(ctx, d, s.SecretAccessKey, "error getting route53 secret access key: ")
		if err != nil {
			return c, err
		}
		c.SecretAccessKey = key
	}
	return c, nil
}

// secret reads an entry of a Secret. Space around it is not part of a key, whose
// characters are those of base64.
func secret(ctx context.Context, d dns01.Deps, ref cmmeta.SecretKeySelector, prefix string) (string, error) {
	value, err := d.Secret(ctx, ref)
	if err != nil {
		f := fault.Of(err)
		return "", &fault.Error{Class: f.Class, Reason: f.Reason, Message: prefix + f.Message, At: f.At, Err: err}
	}
	value = strings.TrimSpace(value)
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) || r == ' ' }) {
		return "", fault.New(fault.User, "InvalidSecret",
			"%sthe value of key %q in secret %s/%s is not an access key: it has a line break or other characters that keys do not have; was it put under data instead of stringData?",
			prefix, ref.Key, d.Namespace, ref.Name)
	}
	return value, nil
}

func serviceAccount(d dns01.Deps, auth *acmev1.Route53Auth) (*ServiceAccount, error) {
	if auth.Kubernetes == nil || auth.Kubernetes.ServiceAccountRef == nil || auth.Kubernetes.ServiceAccountRef.Name == "" {
		return nil, misconfigured("service account name is required for Kubernetes auth")
	}
	if d.Cluster == nil {
		return nil, misconfigured("error getting service account token: there is no API server that issues tokens of service accounts")
	}
	ref := auth.Kubernetes.ServiceAccountRef
	account := &ServiceAccount{Namespace: d.Namespace, Name: ref.Name, Audiences: slices.Clone(ref.TokenAudiences)}
	if len(account.Audiences) == 0 {
		account.Audiences = []string{"sts.amazonaws.com"}
	}
	account.Token = func(ctx context.Context) (string, error) {
		token, err := d.Cluster.ServiceAccountToken(ctx, account.Namespace, account.Name, account.Audiences, tokenLifetime)
		if err != nil {
			return "", noToken(account, err)
		}
		return token, nil
	}
	return account, nil
}

// noToken is a Transient fault also if a user must act: no event tells when a Role or a
// service account has been created.
func noToken(a *ServiceAccount, err error) error {
	why := "the API server cannot be reached"
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		why = status.Status().Message
	}
	switch {
	case apierrors.IsForbidden(err):
		why += fmt.Sprintf("; create a Role in namespace %q that allows the verb create on serviceaccounts/token with resourceNames [%q], and a RoleBinding of it to the service account of the controller", a.Namespace, a.Name)
	case apierrors.IsNotFound(err):
		why += fmt.Sprintf("; the service account must be in namespace %q, that of the Issuer, or for a ClusterIssuer the cluster resource namespace", a.Namespace)
	}
	return fault.New(fault.Transient, "NoServiceAccountToken", "error getting service account token: failed to request token for %s/%s: %s", a.Namespace, a.Name, why).Because(err)
}

// check adds to the API's validation that a service account has a role.
func check(path *field.Path, s *dns01.Spec) field.ErrorList {
	errs := validation.Route53(path, s)
	if s.Route53.Auth != nil && s.Route53.Role == "" {
		errs = append(errs, field.Required(path.Child("route53", "role"), "role is required with auth.kubernetes"))
	}
	return errs
}
