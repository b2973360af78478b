package vault

import (
	"context"
	"fmt"
	"maps"
	"strings"
)

// lifetime is longer than any test's certificates are valid.
const lifetime = "87600h"

// Root mounts a PKI engine with a root CA of its own, and returns the root as PEM.
func (s *Server) Root(ctx context.Context, mount string) (root string, err error) {
	if err := s.mount(ctx, mount); err != nil {
		return "", err
	}
	answer, err := s.Write(ctx, mount+"/root/generate/internal", map[string]any{"common_name": mount, "key_type": "ec", "key_bits": 256, "ttl": lifetime})
	if err != nil {
		return "", err
	}
	return text(answer, "certificate")
}

// Intermediate mounts a PKI engine with a CA below that of another one, and returns the
// CA's certificate as PEM. Vault knows the root too if with says so, as an administrator
// imports it.
func (s *Server) Intermediate(ctx context.Context, mount, below string, with bool) (intermediate string, err error) {
	if err := s.mount(ctx, mount); err != nil {
		return "", err
	}
	answer, err := s.Write(ctx, mount+"/intermediate/generate/internal", map[string]any{"common_name": mount, "key_type": "ec", "key_bits": 256})
	if err != nil {
		return "", err
	}
	csr, err := text(answer, "csr")
	if err != nil {
		return "", err
	}
	answer, err = s.Write(ctx, below+"/root/sign-intermediate", map[string]any{"csr": csr, "common_name": mount, "ttl": lifetime})
	if err != nil {
		return "", err
	}
	intermediate, err = text(answer, "certificate")
	if err != nil {
		return "", err
	}
	root, err := text(answer, "issuing_ca")
	if err != nil {
		return "", err
	}
	bundle := intermediate
	if with {
		bundle += "\n" + root
	}
	_, err = s.Write(ctx, mount+"/intermediate/set-signed", map[string]any{"certificate": bundle})
	return intermediate, err
}

func (s *Server) mount(ctx context.Context, mount string) error {
	_, err := s.Write(ctx, "sys/mounts/"+mount, map[string]any{"type": "pki", "config": map[string]any{"max_lease_ttl": lifetime}})
	return err
}

// Role makes a role of a PKI engine that signs for any name and any key, for 90 days by
// default, with what more says instead.
func (s *Server) Role(ctx context.Context, mount, role string, more map[string]any) error {
	data := map[string]any{
		"allow_any_name": true, "enforce_hostnames": false, "allow_ip_sans": true, "allowed_uri_sans": "*", "key_type": "any",
		"ttl": "2160h", "max_ttl": lifetime, "require_cn": false,
	}
	maps.Copy(data, more)
	_, err := s.Write(ctx, mount+"/roles/"+role, data)
	return err
}

// Policy makes a policy that allows to create and update paths, and nothing else.
func (s *Server) Policy(ctx context.Context, name string, paths ...string) error {
	var rules strings.Builder
	for _, path := range paths {
		fmt.Fprintf(&rules, "path %q { capabilities = [\"create\", \"update\"] }\n", path)
	}
	_, err := s.Write(ctx, "sys/policies/acl/"+name, map[string]any{"policy": rules.String()})
	return err
}

// Token makes a token with policies, and what more says.
func (s *Server) Token(ctx context.Context, more map[string]any, policies ...string) (string, error) {
	data := map[string]any{"policies": policies, "no_default_policy": true}
	maps.Copy(data, more)
	answer, err := s.Client.Logical().WriteWithContext(ctx, "auth/token/create", data)
	if err != nil {
		return "", err
	}
	return answer.TokenID()
}

// Method enables an auth method at a path of its own.
func (s *Server) Method(ctx context.Context, method, path string) error {
	_, err := s.Write(ctx, "sys/auth/"+path, map[string]any{"type": method})
	return err
}

// AppRole makes a role of an auth method approle whose tokens have policies, and what
// more says, and returns its role ID and a secret ID.
func (s *Server) AppRole(ctx context.Context, path, role string, more map[string]any, policies ...string) (roleID, secretID string, err error) {
	data := map[string]any{"token_policies": policies, "token_no_default_policy": true}
	maps.Copy(data, more)
	at := "auth/" + path + "/role/" + role
	if _, err := s.Write(ctx, at, data); err != nil {
		return "", "", err
	}
	answer, err := s.Client.Logical().ReadWithContext(ctx, at+"/role-id")
	if err != nil {
		return "", "", err
	}
	if roleID, err = text(answer.Data, "role_id"); err != nil {
		return "", "", err
	}
	secretID, err = s.SecretID(ctx, path, role)
	return roleID, secretID, err
}

// SecretID makes another secret ID of a role.
func (s *Server) SecretID(ctx context.Context, path, role string) (string, error) {
	answer, err := s.Write(ctx, "auth/"+path+"/role/"+role+"/secret-id", map[string]any{})
	if err != nil {
		return "", err
	}
	return text(answer, "secret_id")
}
