// Package webhook has dns-01 challenge records written by a solver webhook: a server
// that is reached through the API server's aggregation layer, as a resource of the
// solver's name in an API group of its own.
package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// ttl is what is assumed of the records: their time to live is the solver's business.
const ttl = 60 * time.Second

// challengeType is the type of challenge that solvers solve.
const challengeType = "dns-01"

// Config is an issuer's webhook stanza.
type Config struct {
	// GroupName is the solver's API group, SolverName its resource.
	GroupName, SolverName string
	// Settings are passed on to the solver.
	Settings *apiextensionsv1.JSON
	// Namespace is where the Secrets are that Settings refer to.
	Namespace string
	// Ambient lets the solver use the credentials of its environment.
	Ambient bool
	// Walk finds the zone of a name.
	Walk func(ctx context.Context, fqdn string) (string, error)
	// Cluster reaches the solver.
	Cluster dns01.Cluster
	Clock   clock.PassiveClock
}

// Provider has one solver write. It keeps no state.
type Provider struct {
	dns01.Anycast
	Config
}

var (
	_ dns01.Provider = (*Provider)(nil)
	_ dns01.Settler  = (*Provider)(nil)
)

// New returns the Provider of a Config, or a User fault that says what is wrong with
// the Config.
func New(c Config) (*Provider, error) {
	switch {
	case c.Cluster == nil:
		return nil, refused("InvalidConfig", "a webhook solver needs a cluster, whose API server passes requests on to it")
	case c.SolverName == "":
		return nil, refused("InvalidConfig", "webhook.solverName is empty: it is the name that the solver's documentation gives")
	case c.GroupName == "":
		return nil, refused("InvalidConfig", "webhook.groupName is empty: it is the API group under which the solver was installed (groupName in its chart)")
	case ownGroups[c.GroupName]:
		return nil, refused("InvalidConfig", "webhook.groupName is %q, which belongs to the API server: use the API group under which the solver was installed (groupName in its chart)", c.GroupName)
	}
	return &Provider{Config: c}, nil
}

// ownGroups are groups of everleaf's own resources, which no solver can serve.
var ownGroups = map[string]bool{"cert-manager.io": true, "acme.cert-manager.io": true}

// Zone implements dns01.Provider. It finds the zone through DNS.
func (p *Provider) Zone(ctx context.Context, fqdn string) (string, error) { return p.Walk(ctx, fqdn) }

// Present implements dns01.Provider.
func (p *Provider) Present(ctx context.Context, r dns01.Record) error {
	return p.ask(ctx, v1alpha1.ChallengeActionPresent, r)
}

// CleanUp implements dns01.Provider.
func (p *Provider) CleanUp(ctx context.Context, r dns01.Record) error {
	return p.ask(ctx, v1alpha1.ChallengeActionCleanUp, r)
}

// ask sends the solver a request, and reads the answer.
func (p *Provider) ask(ctx context.Context, action v1alpha1.ChallengeAction, r dns01.Record) error {
	zone, err := p.Zone(ctx, r.FQDN)
	if err != nil {
		return err
	}
	body, err := json.Marshal(v1alpha1.ChallengePayload{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: v1alpha1.ChallengePayloadKind},
		Request: &v1alpha1.ChallengeRequest{
			Action: action, Type: challengeType, DNSName: r.DNSName, Key: r.Value,
			ResourceNamespace: p.Namespace, ResolvedFQDN: r.FQDN, ResolvedZone: zone,
			AllowAmbientCredentials: p.Ambient, Config: p.Settings,
		},
	})
	if err != nil {
		return refused("InvalidConfig", "webhook.config of solver %s is not JSON", p.name()).Because(err)
	}
	answer, status, err := p.Cluster.Ask(ctx, http.MethodPost, p.path()+"/"+p.SolverName, body)
	if err != nil {
		return p.unanswered(err)
	}
	if status != http.StatusOK && status != http.StatusCreated {
		return p.statusFault(ctx, status, answer)
	}
	return p.read(answer)
}

// path is where the API server has the solver's group.
func (p *Provider) path() string {
	return fmt.Sprintf("/apis/%s/%s", p.GroupName, v1alpha1.SchemeGroupVersion.Version)
}

// name is the solver in messages.
func (p *Provider) name() string { return fmt.Sprintf("%q of group %q", p.SolverName, p.GroupName) }

// read reads the solver's answer.
func (p *Provider) read(body []byte) error {
	answer := v1alpha1.ChallengePayload{}
	if err := json.Unmarshal(body, &answer); err != nil {
		return transient("InvalidAnswer", "the solver webhook %s did not answer with a ChallengePayload", p.name()).Because(err)
	}
	switch r := answer.Response; {
	case r != nil && r.Success:
		return nil
	case r != nil && r.Result != nil && r.Result.Message != "":
		return transient("SolverFailed", "%s", said(r.Result.Message))
	default:
		return transient("SolverFailed", "invalid payload response, did not succeed but no result provided")
	}
}
