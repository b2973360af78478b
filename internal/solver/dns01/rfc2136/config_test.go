package rfc2136

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/fault"
)

func TestServer(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":        "192.0.2.1:53",
		" 192.0.2.1 ":      "192.0.2.1:53",
		"192.0.2.1:5353":   "192.0.2.1:5353",
		"192.0.2.1:":       "192.0.2.1:53",
		"ns1.example.com":  "ns1.example.com:53",
		"[2001:db8::1]":    "[2001:db8::1]:53",
		"[2001:db8::1]:54": "[2001:db8::1]:54",
		"":                 "!RFC2136 nameserver missing",
		"  ":               "!RFC2136 nameserver missing",
		":53":              "!RFC2136 nameserver has no host defined, :53",
		"2001:db8::1":      "!RFC2136 nameserver is invalid: \"2001:db8::1\" is an IPv6 address, which needs brackets: [2001:db8::1]:53",
		"192.0.2.1:dns":    `!RFC2136 nameserver is invalid: "dns" is not a port`,
		"192.0.2.1:0":      `!RFC2136 nameserver is invalid: "0" is not a port`,
	} {
		got, err := Server(in)
		if err != nil {
			got = "!" + err.Error()
			if fault.Of(err).Class != fault.User {
				t.Errorf("%q: class %v", in, fault.Of(err).Class)
			}
		}
		if got != want {
			t.Errorf("Server(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNew(t *testing.T) {
	good := encodeBase64("0123456789abcdef")
	for name, test := range map[string]struct {
		config Config
		want   string
	}{
		"no key":             {Config{Nameserver: "192.0.2.1"}, ""},
		"key name only":      {Config{Nameserver: "192.0.2.1", TSIGKeyName: "k"}, ""},
		"lower case":         {Config{Nameserver: "192.0.2.1", TSIGAlgorithm: "hmacsha512", TSIGKeyName: "k", TSIGSecret: good}, ""},
		"broken over lines":  {Config{Nameserver: "192.0.2.1", TSIGKeyName: "k", TSIGSecret: good[:8] + " \n" + good[8:] + "\n"}, ""},
		"unknown algorithm":  {Config{Nameserver: "192.0.2.1", TSIGAlgorithm: "HMACSHA224"}, "algorithm 'HMACSHA224' is not supported"},
		"unknown protocol":   {Config{Nameserver: "192.0.2.1", Protocol: "QUIC"}, `RFC2136 protocol "QUIC" is not supported: it is UDP or TCP`},
		"key name no domain": {Config{Nameserver: "192.0.2.1", TSIGKeyName: "a..b", TSIGSecret: good}, `tsigKeyName "a..b" is not a domain name`},
		"not base64": {
			Config{Nameserver: "192.0.2.1", TSIGKeyName: "k", TSIGSecret: "s3cret!", SecretName: "default/tsig"},
			`error decoding the provided TSIG secret: it is not base64 text as tsig-keygen prints it (Secret "default/tsig")`,
		},
		"only space": {Config{Nameserver: "192.0.2.1", TSIGKeyName: "k", TSIGSecret: "\n"}, "error decoding the provided TSIG secret: it is empty"},
		"key clause": {
			Config{Nameserver: "192.0.2.1", TSIGKeyName: "k", TSIGSecret: `key "k" { algorithm hmac-md5; secret "` + good + `"; };`},
			`error decoding the provided TSIG secret: it is a key clause of a configuration file: only the text between the quotes after "secret" belongs into the Secret`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(test.config)
			got := ""
			if err != nil {
				got = err.Error()
				if fault.Of(err).Class != fault.User {
					t.Errorf("class %v", fault.Of(err).Class)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLooksEncoded(t *testing.T) {
	for range 200 {
		for _, size := range []int{16, 20, 24, 28, 32, 48, 64} {
			raw := make([]byte, size)
			if _, err := rand.Read(raw); err != nil {
				t.Fatal(err)
			}
			if looksEncoded(raw) {
				t.Fatalf("a random key of %d bytes counts as encoded", size)
			}
			text := base64.StdEncoding.EncodeToString(raw)
			// Text without padding may by chance have no digit.
			if !looksEncoded([]byte(text+"\n")) && strings.ContainsAny(text, "0123456789") {
				t.Fatalf("the encoded key %q does not count as encoded", text)
			}
		}
	}
	for _, phrase := range []string{"mysecretpassword", "correcthorsebatterystaple", "0123456789abcdef0123456789abcdef", "ThisIsTheSecretKeyForMyNameServr"} {
		if looksEncoded([]byte(phrase)) {
			t.Errorf("the passphrase %q counts as encoded", phrase)
		}
	}
}
