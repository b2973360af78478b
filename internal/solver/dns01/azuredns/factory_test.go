package azuredns

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

type secrets map[string]map[string][]byte

func (s secrets) Read(_ context.Context, namespace, name string) (map[string][]byte, error) {
	if name == "unreadable" {
		return nil, errors.New("no")
	}
	return s[namespace+"/"+name], nil
}

func ref(name, key string) *cmmeta.SecretKeySelector {
	return &cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: name}, Key: key}
}

func specOf(edit func(*acmev1.ACMEIssuerDNS01ProviderAzureDNS)) *dns01.Spec {
	spec := &acmev1.ACMEIssuerDNS01ProviderAzureDNS{
		ClientID: client, TenantID: tenant, ClientSecret: ref("azure", "secret"), SubscriptionID: subscription, ResourceGroupName: group,
	}
	edit(spec)
	return &dns01.Spec{AzureDNS: spec}
}

func TestFactory(t *testing.T) {
	s := newServer(t, publicCloud)
	t.Setenv(envTokenFile, "")
	deps := dns01.Deps{
		Namespace: "default", HTTP: s.Transport(),
		Secrets: secrets{"default/azure": {"secret": []byte(secret), "broken": []byte(secret + "\n"), "empty": {}}},
	}
	f := Factory()
	type azureDNS = acmev1.ACMEIssuerDNS01ProviderAzureDNS
	for name, test := range map[string]struct {
		edit    func(*azureDNS)
		ambient bool
		message string
	}{
		"service principal": {edit: func(*azureDNS) {}},
		"managed identity": {
			edit: func(a *azureDNS) {
				*a = azureDNS{SubscriptionID: subscription, ResourceGroupName: group, ZoneType: acmev1.AzurePrivateZone, HostedZoneName: "example.com", ManagedIdentity: &acmev1.AzureManagedIdentity{ClientID: client}}
			},
			ambient: true,
		},
		"not ambient": {
			edit:    func(a *azureDNS) { *a = azureDNS{SubscriptionID: subscription, ResourceGroupName: group} },
			message: "error instantiating azuredns challenge solver: " + noAmbient,
		},
		"Germany":    {edit: func(a *azureDNS) { a.Environment = acmev1.AzureGermanCloud }, message: "error instantiating azuredns challenge solver: unknown cloud configuration name: AzureGermanCloud"},
		"no Secret":  {edit: func(a *azureDNS) { a.ClientSecret.Name = "other" }, message: "error getting azuredns client secret: the secret default/other does not exist"},
		"unreadable": {edit: func(a *azureDNS) { a.ClientSecret.Name = "unreadable" }, message: "error getting azuredns client secret: the secret default/unreadable cannot be read"},
		"no key": {
			edit:    func(a *azureDNS) { a.ClientSecret.Key = "k" },
			message: `error getting azure dns client secret: key 'k' not found in secret, or empty: the secret default/azure does not have key "k"; it has broken, empty, secret`,
		},
		"line break": {
			edit:    func(a *azureDNS) { a.ClientSecret.Key = "broken" },
			message: `error getting azuredns client secret: the value of key "broken" of the secret default/azure contains a line break, which a client secret never does; store it without (echo -n)`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			deps.Ambient = test.ambient
			spec := specOf(test.edit)
			if !f.Selected(spec) {
				t.Fatal("not selected")
			}
			p, err := f.New(t.Context(), deps, spec)
			if test.message == "" {
				ok(t, err)
				ok(t, p.Present(t.Context(), record(first)))
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(test.message, fault.Of(err).Message); diff != "" || strings.Contains(err.Error(), secret) {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if s.Exchanges != 2 {
		t.Errorf("%d exchanges, want 2", s.Exchanges)
	}
}

func TestSecrets(t *testing.T) {
	f := Factory()
	if diff := cmp.Diff([]cmmeta.SecretKeySelector{*ref("azure", "secret")}, f.Secrets(specOf(func(*acmev1.ACMEIssuerDNS01ProviderAzureDNS) {}))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := f.Secrets(&dns01.Spec{AzureDNS: &acmev1.ACMEIssuerDNS01ProviderAzureDNS{}}); got != nil {
		t.Errorf("%v", got)
	}
}

// TestCheck compares with the API's rules for the same objects.
func TestCheck(t *testing.T) {
	type azureDNS = acmev1.ACMEIssuerDNS01ProviderAzureDNS
	identity := func(m acmev1.AzureManagedIdentity) func(*azureDNS) {
		return func(a *azureDNS) {
			*a = azureDNS{SubscriptionID: "a", ResourceGroupName: "a", ManagedIdentity: &m}
		}
	}
	const at = "dns01.azureDNS"
	for name, test := range map[string]struct {
		edit func(*azureDNS)
		want []string
	}{
		"service principal": {func(*azureDNS) {}, nil},
		"nothing": {func(a *azureDNS) { *a = azureDNS{} }, []string{
			at + ".subscriptionID: Required value: subscriptionID is required", at + ".resourceGroupName: Required value: resourceGroupName is required",
		}},
		"lone client": {func(a *azureDNS) { a.ClientSecret, a.TenantID = nil, "" }, []string{
			at + ".clientSecretSecretRef: Required value: clientSecretSecretRef is required", at + ".tenantID: Required value: tenantID is required",
		}},
		"lone secret": {func(a *azureDNS) { a.ClientID, a.TenantID, a.ClientSecret = "", "", ref("", "") }, []string{
			at + ".clientID: Required value: clientID is required", at + ".clientSecretSecretRef.name: Required value: secret name is required",
			at + ".clientSecretSecretRef.key: Required value: secret key is required", at + ".tenantID: Required value: tenantID is required",
		}},
		"both": {func(a *azureDNS) { a.ManagedIdentity = &acmev1.AzureManagedIdentity{} }, []string{
			at + ".managedIdentity: Forbidden: managed identity cannot be used at the same time as clientID, clientSecretSecretRef or tenantID",
		}},
		"identity": {identity(acmev1.AzureManagedIdentity{ClientID: "a", TenantID: "a"}), nil},
		"two identities": {identity(acmev1.AzureManagedIdentity{ClientID: "a", ResourceID: "a"}), []string{
			at + ".managedIdentity: Forbidden: managedIdentityClientID and managedIdentityResourceID cannot both be specified",
		}},
		"bad tenant": {identity(acmev1.AzureManagedIdentity{TenantID: "a", ResourceID: "a"}), []string{
			at + ".managedIdentity: Forbidden: managedIdentityTenantID and managedIdentityResourceID cannot both be specified",
			at + ".managedIdentity: Required value: managedIdentityClientID is required when using managedIdentityTenantID",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, err := range Factory().Check(field.NewPath("dns01"), specOf(test.edit)) {
				got = append(got, err.Error())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
