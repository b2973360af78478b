package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"

	"github.com/hashicorp/go-hclog"
	kubeauth "github.com/hashicorp/vault-plugin-auth-kubernetes"
	"github.com/hashicorp/vault/builtin/credential/approle"
	awsauth "github.com/hashicorp/vault/builtin/credential/aws"
	"github.com/hashicorp/vault/builtin/credential/cert"
	"github.com/hashicorp/vault/builtin/logical/pki"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// newCore returns a core that is sealed.
func newCore(o options) (*vault.Core, error) {
	level := hclog.Off
	if o.verbose {
		level = hclog.Debug
	}
	logger := hclog.New(&hclog.LoggerOptions{Name: "vault", Level: level, Output: o.logOutput})
	storage, err := newStorage(o.data, logger)
	if err != nil {
		return nil, err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical: storage, DisableMlock: true, Logger: logger, BuiltinRegistry: registry{},
		LogicalBackends: secretsEngines, CredentialBackends: authMethods,
	})
	if err != nil {
		return nil, fmt.Errorf("create Vault's core: %w", err)
	}
	return core, nil
}

func newStorage(dir string, logger hclog.Logger) (physical.Backend, error) {
	if dir == "" {
		return inmem.NewInmem(nil, logger)
	}
	return file.NewFileBackend(map[string]string{"path": dir}, logger)
}

// handlerOf returns Vault's API. It panics without a configuration of the listener.
func handlerOf(core *vault.Core) http.Handler {
	return vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{}})
}

// secrets is what the caller needs to use Vault.
type secrets struct {
	URL       string `json:"url"`
	RootToken string `json:"root_token,omitempty"`
	UnsealKey string `json:"unseal_key,omitempty"`
}

// initialize initializes and unseals a core that is new. Of another one it returns
// nothing.
func initialize(ctx context.Context, core *vault.Core) (secrets, error) {
	done, err := core.Initialized(ctx)
	if err != nil || done {
		return secrets{}, err
	}
	result, err := core.Initialize(ctx, &vault.InitParams{
		BarrierConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}, RecoveryConfig: &vault.SealConfig{},
	})
	if err != nil {
		return secrets{}, fmt.Errorf("initialize Vault: %w", err)
	}
	key := result.SecretShares[0]
	unsealed, err := core.Unseal(slices.Clone(key))
	if err == nil && !unsealed {
		err = fmt.Errorf("its key does not unseal it")
	}
	if err != nil {
		return secrets{}, fmt.Errorf("unseal Vault: %w", err)
	}
	return secrets{RootToken: result.RootToken, UnsealKey: hex.EncodeToString(key)}, nil
}

// The plugins that can be mounted. The auth method token is part of the core.
var (
	secretsEngines = map[string]logical.Factory{"pki": pki.Factory}
	authMethods    = map[string]logical.Factory{
		"approle": approle.Factory, "aws": awsauth.Factory, "cert": cert.Factory, "kubernetes": kubeauth.Factory,
	}
)

// registry tells the core of the plugins.
type registry struct{}

func factoriesOf(kind consts.PluginType) map[string]logical.Factory {
	switch kind {
	case consts.PluginTypeSecrets:
		return secretsEngines
	case consts.PluginTypeCredential:
		return authMethods
	default:
		return nil
	}
}

// Contains implements plugincatalog.BuiltinRegistry.
func (registry) Contains(name string, kind consts.PluginType) bool {
	return factoriesOf(kind)[name] != nil
}

// Get implements plugincatalog.BuiltinRegistry.
func (registry) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	factory := factoriesOf(kind)[name]
	return func() (any, error) { return factory, nil }, factory != nil
}

// Keys implements plugincatalog.BuiltinRegistry.
func (registry) Keys(kind consts.PluginType) []string {
	var names []string
	for name := range factoriesOf(kind) {
		names = append(names, name)
	}
	return names
}

// DeprecationStatus implements plugincatalog.BuiltinRegistry.
func (r registry) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, kind)
}

// IsBuiltinEntPlugin implements plugincatalog.BuiltinRegistry.
func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
