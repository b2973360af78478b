package nginxingress

import "net/netip"

// Faults are what controllers and their users do that keeps a challenge from being
// answered. They concern every Ingress and route; the annotations below concern one
// Ingress.
type Faults struct {
	// SkipExact ignores paths of the type Exact without a word.
	SkipExact bool
	// RedirectHTTPS redirects every request on port 80 to the port 443.
	RedirectHTTPS bool
	// RejectHandshake refuses TLS for names whose Secret has no certificate. Otherwise they
	// get a self-signed one.
	RejectHandshake bool
	// OnlyHTTPS answers every request on port 80 with 404, except for Ingresses with the
	// annotation traefik.ingress.kubernetes.io/router.entrypoints: web.
	OnlyHTTPS bool
	// Host is the Host header that backends get instead of the client's.
	Host string
	// StripOwners removes the owner references of every Ingress and route.
	StripOwners bool
	// Source is the address from which backends are asked, as if the controller had a pod
	// of its own. It is one of this machine; the zero value is any.
	Source netip.Addr
}

// The annotations of Ingresses that the controller knows. They hold for the paths of that
// Ingress.
const (
	// annotationAuth asks for a password, if it is "basic". There is none that is right.
	annotationAuth = "nginx.ingress.kubernetes.io/auth-type"
	// annotationVerifyClient asks for a client's certificate, if it is "on". Nobody has one.
	annotationVerifyClient = "nginx.ingress.kubernetes.io/auth-tls-verify-client"
	// annotationRedirect is a URL to which every request is redirected.
	annotationRedirect = "nginx.ingress.kubernetes.io/permanent-redirect"
	// annotationSSLRedirect redirects requests on port 80 to port 443, if it is "true".
	annotationSSLRedirect = "nginx.ingress.kubernetes.io/ssl-redirect"
	// annotationProtocol is the protocol of the backends, HTTP or HTTPS.
	annotationProtocol = "nginx.ingress.kubernetes.io/backend-protocol"
	// annotationHost is the Host header that the backends get.
	annotationHost = "nginx.ingress.kubernetes.io/upstream-vhost"
	// annotationEntryPoints is Traefik's: the value "web" is the port 80.
	annotationEntryPoints = "traefik.ingress.kubernetes.io/router.entrypoints"
)
