// Package solver is the solver webhook that writes records with lego's DNS providers.
package solver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/go-acme/lego/v5/challenge/dns01"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
	"github.com/everleaf/everleaf/plugins/lego/internal/process"
	"github.com/everleaf/everleaf/plugins/lego/internal/settings"
	"github.com/everleaf/everleaf/plugins/lego/record"
	"github.com/everleaf/everleaf/solverwebhook"
)

// Solver is the solver webhook. It can do nothing before Initialize.
type Solver struct {
	client kubernetes.Interface
	pool   *process.Pool
}

// Initialize implements solverwebhook.Initializer.
func (s *Solver) Initialize(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := s.set(client); err != nil {
		return err
	}
	go s.pool.Run(ctx)
	return nil
}

// set makes s read Secrets with a client, and run providers in processes of this
// program.
func (s *Solver) set(client kubernetes.Interface) error {
	if err := checkBuild(); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	s.client = client
	s.pool = &process.Pool{Program: program, Base: base(os.Environ()), Ambient: os.Environ(), Clock: clock.RealClock{}}
	return s.pool.Prepare()
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
// the plugin's environment. It also keeps the metadata services of clouds from them.
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

// Close implements io.Closer: it ends the providers' processes, and removes their files.
func (s *Solver) Close() error {
	s.pool.Close()
	return nil
}

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
	secrets := make([]string, len(c.SecretRefs))
	for i, ref := range c.SecretRefs {
		// ReadSecret refuses an empty entry: without a value, a provider may look for
		// credentials elsewhere.
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
		Setting: setting, Environment: setting.Environment(secrets), Ambient: r.AllowAmbientCredentials, CleanUp: cleanUp, Namespace: r.ResourceNamespace,
		FQDN: r.ResolvedFQDN, Zone: r.ResolvedZone, Value: r.Key,
	})
}
