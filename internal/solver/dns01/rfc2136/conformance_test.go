package rfc2136

import (
	"context"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/internal/solver/dns01/dns01test"
	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/nameserver"
)

// attempt is long enough for an answer on this host. The patience covers the
// attempts, over UDP and TCP, of the queries for the zone and of the update.
const (
	attempt  = 300 * time.Millisecond
	patience = 10 * time.Second
)

func TestConformanceOfNamed(t *testing.T) {
	right, wrong := named.TSIGKey(t, "right", "hmac-sha256"), named.TSIGKey(t, "right", "hmac-sha256")
	s, addr := run(t, named.Options{
		Keys:  []named.Key{right},
		Zones: []named.Zone{zone("example.com", `key "right";`), zone("deep.sub.example.com", `key "right";`)},
	})
	config := Config{Nameserver: addr, TSIGKeyName: "right", TSIGAlgorithm: "HMACSHA256", TSIGSecret: right.Secret, SecretName: "default/tsig", Timeout: attempt}
	bad := config
	bad.TSIGSecret = wrong.Secret
	dns01test.Run(t, dns01test.Server{
		Zone: "example.com.", SubZone: "deep.sub.example.com.", Elsewhere: "_acme-challenge.example.net.",
		Provider: provider(t, config), Unauthorized: provider(t, bad), Secrets: []string{right.Secret, wrong.Secret}, Patience: patience,
		Values: func(t *testing.T, fqdn string) []string { return txt(t, addr, fqdn) },
		Silence: func(t *testing.T) func() {
			if err := s.Pause(); err != nil {
				t.Fatal(err)
			}
			return func() {
				if err := s.Continue(); err != nil {
					t.Error(err)
				}
			}
		},
	})
}

func TestConformanceOfBuiltInServer(t *testing.T) {
	secret := []byte("0123456789abcdef")
	s, err := nameserver.New(nameserver.Options{
		Listen: []string{"127.0.0.1:0"},
		Keys:   []tsig.Key{{Name: "k.", Algorithm: tsig.SHA256, Secret: secret}},
		Zones:  []nameserver.Zone{{Name: "example.com", Update: []string{"k"}}, {Name: "deep.sub.example.com", Update: []string{"k"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	config := Config{Nameserver: s.Addr(), TSIGKeyName: "k", TSIGAlgorithm: "HMACSHA256", TSIGSecret: encodeBase64(string(secret)), Timeout: attempt}
	bad := config
	bad.TSIGSecret = encodeBase64("fedcba9876543210")
	behave := func(b nameserver.Behaviour) func(*testing.T) func() {
		return func(*testing.T) func() {
			s.Behave(0, b)
			return func() { s.Behave(0, nameserver.Behaviour{}) }
		}
	}
	dns01test.Run(t, dns01test.Server{
		Zone: "example.com.", SubZone: "deep.sub.example.com.", Elsewhere: "_acme-challenge.example.net.",
		Provider: provider(t, config), Unauthorized: provider(t, bad), Patience: patience,
		Secrets: []string{config.TSIGSecret, bad.TSIGSecret, string(secret)},
		Values:  func(_ *testing.T, fqdn string) []string { return s.Records(fqdn) },
		Fail:    behave(nameserver.Behaviour{Rcode: mdns.RcodeServerFailure}),
		Silence: behave(nameserver.Behaviour{Silent: true}),
	})
}
