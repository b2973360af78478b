package nginxingress

import (
	"fmt"
	"net/netip"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// render returns nginx's configuration, with paths relative to its directory.
func render(listen []netip.Addr, all []*site, f Faults) string {
	w := &writer{listen: listen, faults: f}
	w.line(`daemon off;
user root;
worker_processes 1;
worker_shutdown_timeout 1s;
pid nginx.pid;
error_log stderr notice;
events { worker_connections 4096; }
http {
	access_log ` + accessFile + `;
	client_body_temp_path tmp/body;
	proxy_temp_path tmp/proxy;
	fastcgi_temp_path tmp/fastcgi;
	uwsgi_temp_path tmp/uwsgi;
	scgi_temp_path tmp/scgi;
	server_names_hash_bucket_size 512;
	server_names_hash_max_size 8192;
	server_tokens off;
	default_type text/plain;
	proxy_http_version 1.1;
	proxy_connect_timeout 2s;`)
	if f.Source.IsValid() {
		w.line("\tproxy_bind %s;", f.Source)
	}
	rest := &site{}
	for _, one := range all {
		if one.host == "" {
			rest = one
			continue
		}
		w.site(one)
	}
	w.site(rest)
	w.line("}")
	return w.text.String()
}

// writer writes a configuration.
type writer struct {
	listen []netip.Addr
	faults Faults
	text   strings.Builder
	count  int
}

func (w *writer) line(format string, args ...any) { fmt.Fprintf(&w.text, format+"\n", args...) }

// site writes the server block of a site. The site without a host takes what no other does.
func (w *writer) site(s *site) {
	blocks := make([]string, 0, len(s.locations))
	root := false
	for _, l := range s.locations {
		root = root || l.path == "/" && l.kind != networkingv1.PathTypeExact
		blocks = append(blocks, w.location(l))
	}
	w.line("\tserver {")
	fallback := ""
	if s.host == "" {
		fallback = " default_server"
	} else {
		w.line("\t\tserver_name %s;", quote(s.host))
	}
	for _, addr := range w.listen {
		w.line("\t\tlisten %s%s;", netip.AddrPortFrom(addr, 80), fallback)
		w.line("\t\tlisten %s ssl%s;", netip.AddrPortFrom(addr, 443), fallback)
	}
	switch {
	case s.certificate != "":
		w.line("\t\tssl_certificate %s;\n\t\tssl_certificate_key %[1]s;", quote(s.certificate))
	case w.faults.RejectHandshake:
		w.line("\t\tssl_reject_handshake on;")
	default:
		w.line("\t\tssl_certificate %s;\n\t\tssl_certificate_key %[1]s;", selfSigned)
	}
	if w.faults.RedirectHTTPS {
		w.line("\t\t%s", toHTTPS)
	}
	for _, block := range blocks {
		w.line("%s", block)
	}
	if !root {
		w.line("\t\tlocation / { return 404; }")
	}
	w.line("\t}")
}

// toHTTPS redirects from port 80 to port 443.
const toHTTPS = `if ($scheme = "http") { return 301 https://$host$request_uri; }`

// location returns the blocks of a location. Prefix needs two of them: /a is a prefix of
// /a/b, and not of /ab.
func (w *writer) location(l location) string {
	body := w.body(l)
	var patterns []string
	switch {
	case l.kind == networkingv1.PathTypeExact:
		patterns = []string{"= " + quote(l.path)}
	case l.kind == networkingv1.PathTypePrefix && l.path != "/":
		trimmed := strings.TrimSuffix(l.path, "/")
		patterns = []string{"= " + quote(trimmed), "^~ " + quote(trimmed+"/")}
	default:
		patterns = []string{quote(l.path)}
	}
	var blocks []string
	for _, pattern := range patterns {
		blocks = append(blocks, fmt.Sprintf("\t\tlocation %s {\n%s\t\t}", pattern, body))
	}
	return strings.Join(blocks, "\n")
}

func (w *writer) body(l location) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "\t\t\t"+format+"\n", args...) }
	if !l.http {
		line(`if ($scheme = "http") { return 404; }`)
	}
	if !l.https {
		line(`if ($scheme = "https") { return 404; }`)
	}
	if l.toHTTPS {
		line("%s", toHTTPS)
	}
	if l.auth {
		line("auth_basic \"password\";\n\t\t\tauth_basic_user_file nobody;")
	}
	switch {
	case l.redirect != "":
		line("return 301 %s;", quote(l.redirect))
	case l.status != 0:
		line("return %d;", l.status)
	case len(l.backends) == 0:
		line("return 503;")
	default:
		w.proxy(line, l)
	}
	return b.String()
}

// proxy writes what passes requests on to the backends.
func (w *writer) proxy(line func(string, ...any), l location) {
	scheme, host := "http", "$http_host"
	if l.tls {
		scheme = "https"
		line("proxy_ssl_verify off;")
	}
	if l.host != "" {
		host = quote(l.host)
	}
	line("proxy_set_header Host %s;", host)
	line("proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;")
	line("proxy_set_header X-Forwarded-Proto $scheme;")
	line("proxy_pass %s://%s;", scheme, w.upstream(l.backends))
}

// upstream returns the name of a new group of backends.
func (w *writer) upstream(backends []string) string {
	name := fmt.Sprintf("backends%d", w.count)
	w.count++
	w.line("\tupstream %s {", name)
	for _, backend := range backends {
		w.line("\t\tserver %s max_fails=0;", backend)
	}
	w.line("\t}")
	return name
}

// quote quotes a value for nginx. A variable in it would be expanded, so there is none.
func quote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", "", "\n", "").Replace(value) + `"`
}
