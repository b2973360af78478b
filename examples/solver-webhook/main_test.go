package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/solverwebhook/solvertest"
	"github.com/everleaf/everleaf/test/nameserver"
)

const secret = "0123456789abcdef0123456789abcdef"

func newSolver(t *testing.T) (*solver, *nameserver.Server) {
	t.Helper()
	server, err := nameserver.New(nameserver.Options{
		Listen: []string{"127.0.0.1:0"},
		Zones:  []nameserver.Zone{{Name: "example.com.", Update: []string{"solver."}}, {Name: "example.net."}},
		Keys:   []tsig.Key{{Name: "solver.", Algorithm: tsig.SHA256, Secret: []byte(secret)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return &solver{client: fake.NewClientset(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "tsig"},
		Data:       map[string][]byte{"secret": []byte(base64.StdEncoding.EncodeToString([]byte(secret)) + "\n")},
	})}, server
}

func configFor(server *nameserver.Server) string {
	return fmt.Sprintf(`{"nameserver": %q, "tsigKeyName": "solver", "tsigSecretRef": {"name": "tsig", "key": "secret"}}`, server.Addr())
}

func TestConformance(t *testing.T) {
	s, server := newSolver(t)
	solvertest.Run(t, s, solvertest.Options{
		Zone: "example.com.", Nameserver: server.Addr(), Config: configFor(server), Namespace: "team",
		Secrets: []string{secret},
	})
}

func TestErrors(t *testing.T) {
	s, server := newSolver(t)
	for _, c := range []struct{ zone, config, want string }{
		{"example.net.", configFor(server), "refuses to update zone example.net.: REFUSED; check the zone's update policy for key solver."},
		{"example.com.", strings.Replace(configFor(server), `"secret"`, `"sceret"`, 1), `Secret team/tsig has no key "sceret"; it has: secret`},
		{"example.com.", strings.Replace(configFor(server), "tsigKeyName", "tsigKey", 1), `unknown field "tsigKey"`},
	} {
		err := s.Present(t.Context(), &v1alpha1.ChallengeRequest{
			Key: "v", ResolvedFQDN: "_acme-challenge." + c.zone, ResolvedZone: c.zone, ResourceNamespace: "team",
			Config: &apiextensionsv1.JSON{Raw: []byte(c.config)},
		})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}
