package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/nameserver"
)

// The names in the RFC 2136 guide.
const (
	zoneName = "example.com"
	keyName  = "example-com-secret"

	dnsBuiltin = "builtin"
	dnsBIND    = "bind"
)

// nameServer is a running name server, the primary of zoneName.
type nameServer struct {
	about string
	addr  string
	// keyCommand is the command that generated the key, empty if this program
	// did.
	keyCommand string
	secret     string // base64
	stop       func()
	// changes returns the number of updates that changed records.
	changes func() int
}

func startNameServer(ctx context.Context, kind string) (*nameServer, error) {
	if kind == dnsBIND {
		return startBIND(ctx)
	}
	return startBuiltin(ctx)
}

func startBuiltin(ctx context.Context) (*nameServer, error) {
	secret := make([]byte, 64)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	s, err := nameserver.New(nameserver.Options{
		Listen: []string{"127.0.0.1:0"},
		Keys:   []tsig.Key{{Name: mdns.Fqdn(keyName), Algorithm: tsig.SHA512, Secret: secret}},
		Zones:  []nameserver.Zone{{Name: zoneName, Update: []string{mdns.Fqdn(keyName)}}},
	})
	if err != nil {
		return nil, err
	}
	// stop ends it last, even after ctx ends: records are removed until then.
	if err := s.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	return &nameServer{
		about: "everleaf's own, in memory", addr: s.Addr(), secret: base64.StdEncoding.EncodeToString(secret), stop: s.Stop,
		changes: func() int { return int(s.Counters().Changes) },
	}, nil
}

func startBIND(ctx context.Context) (*nameServer, error) {
	version, err := bindVersion(ctx)
	if err != nil {
		return nil, err
	}
	key, err := named.NewKey(ctx, keyName, "hmac-sha512")
	if err != nil {
		return nil, missingBIND(err)
	}
	// The port was free for TCP; if it is not free for UDP, named fails to
	// start.
	const attempts = 3
	for attempt := 1; ; attempt++ {
		addr, err := child.FreeAddress()
		if err != nil {
			return nil, err
		}
		s, err := named.Run(context.WithoutCancel(ctx), named.Options{
			Listen: []string{addr},
			Keys:   []named.Key{key},
			Zones: []named.Zone{{
				Name: zoneName, Text: named.ZoneText(zoneName, 60, []string{"ns1"}, "ns1 A 127.0.0.1"),
				AllowUpdate: fmt.Sprintf("key %q;", keyName),
			}},
		})
		if err == nil {
			return &nameServer{
				about: version, addr: addr, keyCommand: "tsig-keygen -a hmac-sha512 " + keyName,
				secret: key.Secret, stop: s.Stop,
				changes: func() int { return strings.Count(s.Log(), ": updating zone ") },
			}, nil
		}
		if attempt == attempts || ctx.Err() != nil || errors.Is(err, named.ErrMissing) {
			return nil, confined(missingBIND(err))
		}
	}
}

// bindVersion returns the first words of named -V, such as "BIND 9.18.28".
func bindVersion(ctx context.Context) (string, error) {
	for _, path := range []string{"named", "/usr/sbin/named", "/usr/local/sbin/named"} {
		out, err := exec.CommandContext(ctx, path, "-V").Output()
		if err != nil {
			continue
		}
		words := strings.Fields(string(out))
		return strings.Join(words[:min(2, len(words))], " ") + " (named)", nil
	}
	return "", missingBIND(named.ErrMissing)
}

func missingBIND(err error) error {
	if !errors.Is(err, named.ErrMissing) {
		return err
	}
	return errors.New(`DNS=bind needs BIND's named and tsig-keygen, which are not installed.
  Debian, Ubuntu:  sudo apt-get install bind9
                   sudo systemctl disable --now named    (the quickstart runs one of its own)
  Fedora:          sudo dnf install bind
  Alpine:          sudo apk add bind bind-tools
Without them, plain make quickstart uses everleaf's own name server`)
}

// confined adds an explanation if AppArmor may have denied named its files.
func confined(err error) error {
	enabled, readErr := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	if readErr != nil || !strings.HasPrefix(string(enabled), "Y") || !strings.Contains(err.Error(), "permission denied") {
		return err
	}
	return fmt.Errorf("%w\nAppArmor's profile of named allows it only the files of the system's own name server; `sudo aa-complain named` lifts that", err)
}

// txt returns the TXT values at a name.
func (n *nameServer) txt(ctx context.Context, name string) ([]string, error) {
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, n.addr)
	}}
	values, err := resolver.LookupTXT(ctx, mdns.Fqdn(name))
	var missing *net.DNSError
	if errors.As(err, &missing) && missing.IsNotFound {
		return nil, nil
	}
	return values, err
}
