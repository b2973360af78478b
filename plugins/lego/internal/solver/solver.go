// Package solver is the solver webhook that writes records with lego's DNS providers.
package solver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/go-acme/lego/v5/challenge/dns01"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
	"github.com/everleaf/everleaf/plugins/lego/internal/process"
	"github.com/everleaf/everleaf/plugins/lego/internal/settings"
	"github.com/everleaf/everleaf/plugins/lego/record"
	"github.com/everleaf/everleaf/solverwebhook"
)

// Solver is the solver webhook.
type Solver struct {
	client kubernetes.Interface
	pool   *process.Pool
	// warned are unknown variables that have been logged, by provider and variable.
	warned sync.Map
}

// New returns a Solver that reads Secrets with a client. The processes of its
// providers are this program.
func New(client kubernetes.Interface) (*Solver, error) {
	if err := checkBuild(); err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &Solver{client: client, pool: &process.Pool{
		Program: program, Base: base(os.Environ()), Ambient: os.Environ(), Clock: clock.RealClock{},
	}}, nil
}

// checkBuild finds out whether this program has the lego that takes records from the
// context.
func checkBuild() error {
	want := record.Record{FQDN: "_acme-challenge.build.invalid.", Value: "value"}
	if got := dns01.GetChallengeInfo(record.With(context.Background(), want), "build.invalid", "key"); got.EffectiveFQDN != want.FQDN || got.Value != want.Value {
		return errors.New("this program was built with a lego that computes the record itself, and would write wrong ones: build it with `make lego`")
	}
	return nil
}

// kept are the variables of the plugin's environment that every provider gets: how to
// reach servers, and none that is a credential.
var kept = []string{
	"PATH", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
}

// base is the environment of providers for issuers that may not use the credentials of
// the plugin's environment: those of the metadata services of clouds neither.
func base(environment []string) []string {
	variables := []string{"AWS_EC2_METADATA_DISABLED=true", "GCE_METADATA_HOST=metadata.invalid"}
	for _, variable := range environment {
		if name, _, _ := strings.Cut(variable, "="); slices.Contains(kept, name) {
			variables = append(variables, variable)
		}
	}
	return variables
}

// Name implements solverwebhook.Solver.
func (s *Solver) Name() string { return "lego" }

// Run keeps the providers' processes until ctx ends.
func (s *Solver) Run(ctx context.Context) { s.pool.Run(ctx) }

// Present implements solverwebhook.Solver.
func (s *Solver) Present(ctx context.Context, r *v1alpha1.ChallengeRequest) error {
	return s.do(ctx, r, false)
}

// CleanUp implements solverwebhook.Solver.
func (s *Solver) CleanUp(ctx context.Context, r *v1alpha1.ChallengeRequest) error {
	return s.do(ctx, r, true)
}

func (s *Solver) do(ctx context.Context, r *v1alpha1.ChallengeRequest, cleanUp bool) error {
	c := settings.Config{}
	if err := solverwebhook.DecodeConfig(r, &c); err != nil {
		return err
	}
	if r.ResolvedFQDN == "" || r.ResolvedZone == "" || r.Key == "" {
		return errors.New("the request names no record: resolvedFQDN, resolvedZone and key must be set")
	}
	setting, err := settings.Check(c, r.AllowAmbientCredentials)
	if err != nil {
		return err
	}
	s.warn(setting)
	secrets := make([]string, len(c.SecretRefs))
	for i, ref := range c.SecretRefs {
		secrets[i], err = solverwebhook.ReadSecret(ctx, s.client, r, corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: ref.Name}, Key: ref.Key,
		})
		if err != nil {
			return fmt.Errorf("config.secretRefs, %s: %w", ref.Env, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, solverwebhook.Patience)
	defer cancel()
	return s.pool.Do(ctx, process.Request{
		Setting: setting, Environment: setting.Environment(secrets), Ambient: r.AllowAmbientCredentials, CleanUp: cleanUp,
		FQDN: r.ResolvedFQDN, Zone: r.ResolvedZone, Value: r.Key,
	})
}

// warn logs, once, that a variable may be a typo.
func (s *Solver) warn(setting settings.Setting) {
	for _, name := range setting.Unknown {
		if _, said := s.warned.LoadOrStore(setting.Provider.Package+" "+name, true); !said {
			klog.InfoS("An issuer sets a variable that lego is not known to read", "provider", setting.Config.Provider, "variable", name)
		}
	}
}

// Initialized is a Solver that is made when the API server can be reached.
type Initialized struct{ *Solver }

// Initialize implements solverwebhook.Initializer.
func (s *Initialized) Initialize(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if s.Solver, err = New(client); err != nil {
		return err
	}
	go s.Run(ctx)
	return nil
}
