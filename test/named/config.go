package named

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// write writes the configuration and the zone files.
func (s *Server) write(o Options) error {
	var b strings.Builder
	fmt.Fprintf(&b, "controls { };\noptions {\n\tdirectory %q;\n\tpid-file none;\n\tsession-keyfile none;\n", s.Dir)
	fmt.Fprintf(&b, "\tkey-directory %q;\n\tmanaged-keys-directory %q;\n", s.Dir, s.Dir)
	b.WriteString("\trecursion no;\n\tallow-query { any; };\n\tdnssec-validation no;\n\tnotify no;\n\tempty-zones-enable no;\n")
	b.WriteString("\tmin-refresh-time 1;\n\tmin-retry-time 1;\n\tserial-query-rate 1000;\n\ttcp-clients 1000;\n")
	if err := listen(&b, o.Listen); err != nil {
		return err
	}
	b.WriteString(o.Config + "\n};\n")
	for _, k := range o.Keys {
		fmt.Fprintf(&b, "key %q { algorithm %s; secret %q; };\n", k.Name, k.Algorithm, k.Secret)
	}
	if err := s.zones(&b, "", o.Zones); err != nil {
		return err
	}
	for _, v := range o.Views {
		match := v.MatchClients
		if match == "" {
			match = "any;"
		}
		fmt.Fprintf(&b, "view %q {\n\tmatch-clients { %s };\n", v.Name, match)
		if err := s.zones(&b, v.Name+"-", v.Zones); err != nil {
			return err
		}
		b.WriteString("};\n")
	}
	return os.WriteFile(filepath.Join(s.Dir, "named.conf"), []byte(b.String()), 0o600)
}

func listen(b *strings.Builder, addrs []string) error {
	var four, six bool
	for _, addr := range addrs {
		host, port, err := splitAddr(addr)
		if err != nil {
			return err
		}
		if strings.Contains(host, ":") {
			six = true
			fmt.Fprintf(b, "\tlisten-on-v6 port %s { %s; };\n", port, host)
		} else {
			four = true
			fmt.Fprintf(b, "\tlisten-on port %s { %s; };\n", port, host)
		}
		if len(addrs) == 1 && host != "::1" {
			// A secondary sends its queries from the address on which it
			// listens.
			if strings.Contains(host, ":") {
				fmt.Fprintf(b, "\ttransfer-source-v6 %s;\n", host)
			} else {
				fmt.Fprintf(b, "\ttransfer-source %s;\n", host)
			}
		}
	}
	if !four {
		b.WriteString("\tlisten-on { none; };\n")
	}
	if !six {
		b.WriteString("\tlisten-on-v6 { none; };\n")
	}
	return nil
}

func (s *Server) zones(b *strings.Builder, prefix string, zones []Zone) error {
	for _, z := range zones {
		name := strings.TrimSuffix(z.Name, ".")
		file := filepath.Join(s.Dir, prefix+strings.ReplaceAll(name, "/", "_")+".zone")
		fmt.Fprintf(b, "zone %q {\n\tfile %q;\n", name, file)
		if len(z.Primaries) > 0 {
			fmt.Fprintf(b, "\ttype secondary;\n\tprimaries { %s };\n\tallow-notify { any; };\n", addressList(z.Primaries))
		} else {
			b.WriteString("\ttype primary;\n")
			if err := os.WriteFile(file, []byte(z.Text), 0o600); err != nil {
				return err
			}
		}
		if len(z.Notify) > 0 {
			fmt.Fprintf(b, "\tnotify explicit;\n\tnotify-delay 0;\n\talso-notify { %s };\n", addressList(z.Notify))
		}
		if z.AllowUpdate != "" {
			fmt.Fprintf(b, "\tallow-update { %s };\n", z.AllowUpdate)
		}
		if z.UpdatePolicy != "" {
			fmt.Fprintf(b, "\tupdate-policy { %s };\n", z.UpdatePolicy)
		}
		if z.Signed {
			b.WriteString("\tdnssec-policy default;\n")
		}
		b.WriteString(z.Config + "\n};\n")
	}
	return nil
}

// addressList formats ip or ip:port as BIND does.
func addressList(addrs []string) string {
	var b strings.Builder
	for _, addr := range addrs {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			fmt.Fprintf(&b, "%s; ", addr)
			continue
		}
		fmt.Fprintf(&b, "%s port %s; ", host, port)
	}
	return b.String()
}

// ZoneText returns a zone file: an SOA record with serial 1, a refresh of one
// second and the given negative TTL in seconds, the NS records ns (names,
// absolute or relative to the zone), and more records, one a line.
func ZoneText(zone string, negativeTTL int, ns []string, records ...string) string {
	zone = strings.TrimSuffix(zone, ".") + "."
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN %s\n$TTL 60\n@ IN SOA %s hostmaster.invalid. 1 1 1 86400 %d\n", zone, ns[0], negativeTTL)
	for _, name := range ns {
		fmt.Fprintf(&b, "@ IN NS %s\n", name)
	}
	for _, r := range records {
		b.WriteString(r + "\n")
	}
	return b.String()
}
