package venafi

import (
	"crypto/x509"
	"maps"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/everleaf/everleaf/internal/issuer"
)

// held is how long the object of a request is its own after the last look for its
// certificate: two of the longest waits between looks. Nothing tells that the request is gone.
const held = 2 * longestLook

// objects are the certificate objects of self-hosted servers that requests wait for. The
// object has the request's common name, as with cert-manager, and the server keeps the
// latest signing request only: two requests at a time would end in one certificate, for one
// of their keys.
type objects struct {
	mu     sync.Mutex
	byName map[objectName]hold
}

// objectName is a certificate object at a server, in lower case as DNs are compared there.
type objectName struct{ server, zone, name string }

// asker is who asks for a certificate. An object of the same name in the place of one that
// is gone is the same asker.
type asker struct {
	kind string
	name types.NamespacedName
}

type hold struct {
	by    asker
	until time.Time
}

// objectOf is the object of a request at a self-hosted server.
func objectOf(s settings, csr *x509.CertificateRequest) objectName {
	zone := strings.TrimPrefix(strings.ToLower(s.zone), `\ved\policy`)
	return objectName{server: s.url, zone: strings.Trim(zone, `\`), name: strings.ToLower(friendlyName(csr))}
}

// dnOf is what names an object of a self-hosted server there.
func dnOf(zone, name string) string {
	const root = `\VED\Policy`
	if !strings.HasPrefix(zone, root) {
		zone = root + `\` + strings.TrimPrefix(zone, `\`)
	}
	return zone + `\` + name
}

func askerOf(r issuer.Request) asker {
	return asker{kind: r.Kind, name: types.NamespacedName{Namespace: r.Key.Namespace, Name: r.Name}}
}

// take has an object be an asker's own from now on. It reports whether nobody else waits
// for it.
func (o *objects) take(name objectName, by asker, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	other, found := o.byName[name]
	if found && other.by != by && now.Before(other.until) {
		return false
	}
	if !found {
		maps.DeleteFunc(o.byName, func(_ objectName, h hold) bool { return !now.Before(h.until) })
	}
	if o.byName == nil {
		o.byName = map[objectName]hold{}
	}
	o.byName[name] = hold{by: by, until: now.Add(held)}
	return true
}

// free gives an object back that is the asker's own.
func (o *objects) free(name objectName, by asker) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byName[name].by == by {
		delete(o.byName, name)
	}
}
