package dns

import (
	"testing"

	"github.com/everleaf/everleaf/internal/fault"
)

func TestCheckNameserver(t *testing.T) {
	for entry, want := range map[string]string{
		"192.0.2.1:53":                          "",
		"[2001:db8::1]:53":                      "",
		"kube-dns.kube-system:53":               "",
		"tcp://192.0.2.1":                       "",
		"tcp://192.0.2.1:5353":                  "",
		"tls://dns.quad9.net":                   "",
		"tls://dns.quad9.net:8853":              "",
		"tls://[2620:fe::fe]":                   "",
		"tls://[2620:fe::fe]:853":               "",
		"TLS://9.9.9.9":                         "",
		"https://dns.example/dns-query":         "",
		"https://dns.example/dns-query{?dns}":   "",
		"https://[2620:fe::fe]:5053/dns-query":  "",
		"":                                      `name server "" is not of the form host:port, such as 9.9.9.9:53`,
		"192.0.2.1":                             `name server "192.0.2.1" is not of the form host:port: write 192.0.2.1:53`,
		"2620:fe::fe":                           `name server "2620:fe::fe" is not of the form host:port: write [2620:fe::fe]:53`,
		"::53":                                  `name server "::53" is not of the form host:port: write [::53]:53`,
		"dns.example":                           `name server "dns.example" is not of the form host:port, such as 9.9.9.9:53`,
		":53":                                   `name server ":53" is not of the form host:port, such as 9.9.9.9:53`,
		"192.0.2.1:x":                           `name server "192.0.2.1:x" has no valid port`,
		"192.0.2.1:0":                           `name server "192.0.2.1:0" has no valid port`,
		"udp://192.0.2.1:53":                    `name server "udp://192.0.2.1:53" has a scheme that is not needed: write 192.0.2.1:53`,
		"quic://dns.example":                    `name server "quic://dns.example" has an unknown scheme; use host:port, tcp://host:port, tls://host or https://host/path`,
		"tls://":                                `name server "tls://" has no host: write tls://host`,
		"tls://2620:fe::fe":                     `name server "tls://2620:fe::fe" is an IPv6 address, which needs brackets: tls://[2620:fe::fe]:853`,
		"tls://dns.example:0":                   `name server "tls://dns.example:0" has no valid port`,
		"tls://a:b:c":                           `name server "tls://a:b:c" is not of the form tls://host:port`,
		"tls://1.1.1.1#cloudflare-dns.com":      `name server "tls://1.1.1.1#cloudflare-dns.com" must end after the host and the port: remove "#cloudflare-dns.com", and give the name in the server's certificate as the host`,
		"https://1.1.1.1":                       `name server "https://1.1.1.1" has no path: DNS over HTTPS needs the one that the provider documents, usually https://1.1.1.1/dns-query`,
		"https://1.1.1.1/":                      `name server "https://1.1.1.1/" has no path: DNS over HTTPS needs the one that the provider documents, usually https://1.1.1.1/dns-query`,
		"https://dns.google/resolve":            `name server "https://dns.google/resolve" speaks JSON, use https://dns.google/dns-query`,
		"https://dns.google/resolve/":           `name server "https://dns.google/resolve/" speaks JSON, use https://dns.google/dns-query`,
		"https://dns.example/dns-query?ct=json": `name server "https://dns.example/dns-query?ct=json" speaks JSON, use https://dns.example/dns-query`,
		"http://dns.example/dns-query":          `name server "http://dns.example/dns-query" is not encrypted: DNS over HTTPS needs https://dns.example/dns-query`,
		"https://u:p@dns.example/dns-query":     `name server "https://u:p@dns.example/dns-query" must have neither credentials nor a fragment: write https://dns.example/dns-query`,
		"https:///dns-query":                    `name server "https:///dns-query" is not a URL such as https://dns.example/dns-query`,
		"https://dns.example:99999/dns-query":   `name server "https://dns.example:99999/dns-query" has no valid port`,
	} {
		err := CheckNameserver(entry)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want || err != nil && fault.Of(err).Class != fault.User {
			t.Errorf("%s:\ngot  %s\nwant %s", entry, got, want)
		}
	}
	if _, err := NewResolver(Config{Servers: []string{"https://1.1.1.1"}}); err == nil {
		t.Error("NewResolver takes what CheckNameserver refuses")
	}
}
