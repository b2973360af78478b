package pki

import (
	"crypto/x509"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// corporate are constraints of each kind on both sides, all of them different.
var corporate = NameConstraints{
	Critical: true,
	Permitted: NameSubtrees{
		DNSDomains: []string{".corp.example", "corp.test"}, IPRanges: []string{"10.8.1.2/16", "2001:db8::/32"},
		EmailAddresses: []string{"a@corp.example", ".corp.example"}, URIDomains: []string{".uri.example"},
	},
	Excluded: NameSubtrees{
		DNSDomains: []string{"no.corp.test"}, IPRanges: []string{"::ffff:10.8.9.0/120"},
		EmailAddresses: []string{"no.corp.example"}, URIDomains: []string{"no.uri.example"},
	},
}

// TestNameConstraints holds what is encoded, byte for byte: addresses with their
// masks, and what is permitted apart from what is excluded.
func TestNameConstraints(t *testing.T) {
	general := func(tag string, value string) string {
		return "30" + hex.EncodeToString([]byte{byte(len(value) + 2)}) + tag + hex.EncodeToString([]byte{byte(len(value))}) + hex.EncodeToString([]byte(value))
	}
	wrap := func(tag string, parts ...string) string {
		joined := strings.Join(parts, "")
		length := len(joined) / 2
		if length < 128 {
			return tag + hex.EncodeToString([]byte{byte(length)}) + joined
		}
		return tag + "81" + hex.EncodeToString([]byte{byte(length)}) + joined
	}
	const email, dns, uri, ip = "81", "82", "86", "87"
	permitted := wrap("a0", general(dns, ".corp.example"), general(dns, "corp.test"),
		general(ip, "\x0a\x08\x00\x00\xff\xff\x00\x00"),
		general(ip, "\x20\x01\x0d\xb8"+strings.Repeat("\x00", 12)+"\xff\xff\xff\xff"+strings.Repeat("\x00", 12)),
		general(email, "a@corp.example"), general(email, ".corp.example"), general(uri, ".uri.example"))
	excluded := wrap("a1", general(dns, "no.corp.test"), general(ip, "\x0a\x08\x09\x00\xff\xff\xff\x00"),
		general(email, "no.corp.example"), general(uri, "no.uri.example"))

	for name, tc := range map[string]struct {
		in   NameConstraints
		want string
	}{
		"both":           {corporate, wrap("30", permitted, excluded)},
		"permitted":      {NameConstraints{Permitted: corporate.Permitted}, wrap("30", permitted)},
		"excluded":       {NameConstraints{Critical: true, Excluded: corporate.Excluded}, wrap("30", excluded)},
		"all of IPv4":    {NameConstraints{Excluded: NameSubtrees{IPRanges: []string{"0.0.0.0/0"}}}, wrap("30", wrap("a1", general(ip, "\x00\x00\x00\x00\x00\x00\x00\x00")))},
		"all of IPv6":    {NameConstraints{Excluded: NameSubtrees{IPRanges: []string{"::/0"}}}, wrap("30", wrap("a1", general(ip, strings.Repeat("\x00", 32))))},
		"every DNS name": {NameConstraints{Excluded: NameSubtrees{DNSDomains: []string{""}}}, wrap("30", wrap("a1", general(dns, "")))},
	} {
		got, err := tc.in.extension()
		if err != nil || !got.Id.Equal(oidNameConstraints) || got.Critical != tc.in.Critical || hex.EncodeToString(got.Value) != tc.want {
			t.Errorf("%s: %v %+v\n got %x\nwant %s", name, err, got, got.Value, tc.want)
		}
	}
}

// constrainedCA is a CA whose request asks for constraints.
func constrainedCA(t *testing.T, parent *authority, c NameConstraints) *authority {
	t.Helper()
	key := mustKey(t, KeySpec{Algorithm: ECDSA})
	cert := issue(t, Template{CommonName: "constrained", IsCA: true, EncodeUsages: true, NameConstraints: &c}, key, parent,
		SignOptions{NotBefore: start, NotAfter: end, IsCA: true})
	return &authority{cert, key}
}

// TestNameConstraintsAreSigned holds that a certificate has the constraints that
// its request asks for, as crypto/x509 reads them.
func TestNameConstraintsAreSigned(t *testing.T) {
	type constraints struct {
		Critical bool
		Permitted, Excluded,
		PermittedIPs, ExcludedIPs,
		PermittedEmails, ExcludedEmails,
		PermittedURIs, ExcludedURIs []string
	}
	for _, critical := range []bool{true, false} {
		asked := corporate
		asked.Critical = critical
		cert := constrainedCA(t, newAuthority(t, "root", nil, KeySpec{Algorithm: ECDSA}), asked).cert
		got := constraints{
			Critical: cert.PermittedDNSDomainsCritical, Permitted: cert.PermittedDNSDomains, Excluded: cert.ExcludedDNSDomains,
			PermittedEmails: cert.PermittedEmailAddresses, ExcludedEmails: cert.ExcludedEmailAddresses,
			PermittedURIs: cert.PermittedURIDomains, ExcludedURIs: cert.ExcludedURIDomains,
		}
		for _, n := range cert.PermittedIPRanges {
			got.PermittedIPs = append(got.PermittedIPs, n.String())
		}
		for _, n := range cert.ExcludedIPRanges {
			got.ExcludedIPs = append(got.ExcludedIPs, n.String())
		}
		want := constraints{
			Critical: critical, Permitted: []string{".corp.example", "corp.test"}, Excluded: []string{"no.corp.test"},
			PermittedIPs: []string{"10.8.0.0/16", "2001:db8::/32"}, ExcludedIPs: []string{"10.8.9.0/24"},
			PermittedEmails: []string{"a@corp.example", ".corp.example"}, ExcludedEmails: []string{"no.corp.example"},
			PermittedURIs: []string{".uri.example"}, ExcludedURIs: []string{"no.uri.example"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("critical %t (-want +got):\n%s", critical, diff)
		}
	}
}

// TestOutsideConstraints compares what is said about leaves with what openssl says.
func TestOutsideConstraints(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	root := newAuthority(t, "root", nil, KeySpec{Algorithm: ECDSA})
	ca := constrainedCA(t, root, corporate)
	below := newAuthority(t, "below", ca, KeySpec{Algorithm: ECDSA})
	for name, tc := range map[string]struct {
		in Template
		// want is our word, theirs that of openssl.
		want, theirs string
	}{
		"inside": {in: Template{DNSNames: []string{"www.corp.example", "corp.test"}, IPAddresses: []string{"10.8.7.6", "2001:db8::1"}}},
		"another name": {
			Template{DNSNames: []string{"www.corp.example", "other.example"}},
			`DNS name "other.example" is not permitted by any constraint`, "permitted subtree violation",
		},
		"an excluded name": {
			Template{DNSNames: []string{"www.no.corp.test"}},
			`DNS name "www.no.corp.test" is excluded by constraint "no.corp.test"`, "excluded subtree violation",
		},
		"another address": {
			Template{IPAddresses: []string{"10.9.0.1"}},
			`IP address "10.9.0.1" is not permitted by any constraint`, "permitted subtree violation",
		},
		"an excluded address": {
			Template{IPAddresses: []string{"10.8.9.1"}},
			`IP address "10.8.9.1" is excluded by constraint "10.8.9.0/24"`, "excluded subtree violation",
		},
		"another URI": {
			Template{URIs: []string{"https://other.example/x"}},
			`URI "https://other.example/x" is not permitted by any constraint`, "permitted subtree violation",
		},
		"an excluded URI": {
			Template{URIs: []string{"https://no.uri.example/x"}},
			`URI "https://no.uri.example/x" is excluded by constraint "no.uri.example"`, "excluded subtree violation",
		},
		"another email address": {
			Template{EmailAddresses: []string{"x@other.example"}},
			`email address "x@other.example" is not permitted by any constraint`, "permitted subtree violation",
		},
	} {
		t.Run(name, func(t *testing.T) {
			leaf := issue(t, tc.in, newKey(t), below, SignOptions{NotBefore: start, NotAfter: end})
			if got := OutsideConstraints(leaf, []*x509.Certificate{below.cert, ca.cert, root.cert}); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			dir := t.TempDir()
			file := func(name string, certs ...*x509.Certificate) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, EncodeChain(certs...), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			out, err := exec.CommandContext(t.Context(), openssl, "verify", "-no_check_time", "-CAfile", file("root", root.cert),
				"-untrusted", file("between", ca.cert, below.cert), file("leaf", leaf)).CombinedOutput()
			if (err == nil) != (tc.theirs == "") || !strings.Contains(string(out), tc.theirs) {
				t.Errorf("openssl says %s", out)
			}
		})
	}
	leaf := issue(t, Template{DNSNames: []string{"other.example"}}, newKey(t), root, SignOptions{NotBefore: start, NotAfter: end})
	if got := OutsideConstraints(leaf, []*x509.Certificate{root.cert}); got != "" {
		t.Errorf("a CA without constraints: %s", got)
	}
}
