package nginxingress

import (
	"cmp"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

// site is what is served for one host, "" for every host that has no site.
type site struct {
	host string
	// certificate is the path of a PEM file with a key and its certificate; empty means
	// that there is none yet.
	certificate string
	locations   []location
}

// location is a path of a site.
type location struct {
	path string
	kind networkingv1.PathType
	// http and https are the ports on which the location exists.
	http, https bool
	// backends are addresses, ip:port. With none of them the answer is 503.
	backends []string
	// tls has backends spoken to with TLS, unverified.
	tls bool
	// host is the Host header for the backends; empty means the client's.
	host string
	// auth asks for a password, and toHTTPS redirects from port 80 to port 443.
	auth, toHTTPS bool
	// redirect is a URL, and status a status code, that is the answer instead.
	redirect string
	status   int
}

// sites collects locations by host. Of two with the same path, the first one stays.
type sites map[string]*site

// at returns the site of a host.
func (s sites) at(host string) *site {
	if s[host] == nil {
		s[host] = &site{host: host}
	}
	return s[host]
}

// add adds a location. One that exists on a port on which an equal one does not is merged
// with that, so that two listeners of a Gateway are one location.
func (s *site) add(l location) {
	for i, other := range s.locations {
		if other.path != l.path || other.kind != l.kind {
			continue
		}
		if slices.Equal(other.backends, l.backends) {
			s.locations[i].http, s.locations[i].https = other.http || l.http, other.https || l.https
		}
		return
	}
	s.locations = append(s.locations, l)
}

// sorted returns the sites in the order of their hosts.
func (s sites) sorted() []*site {
	all := make([]*site, 0, len(s))
	for _, one := range s {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *site) int { return cmp.Compare(a.host, b.host) })
	return all
}
