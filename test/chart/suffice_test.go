package chart

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/harness"
)

// refusals are the requests that the API server has forbidden.
type refusals struct {
	mu  sync.Mutex
	all []string
}

// wrap notes each answer 403.
func (r *refusals) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		// Whether the API server has priority and fairness, a header of any answer says:
		// the request needs no right.
		if err == nil && response.StatusCode == http.StatusForbidden && request.URL.Path != "/livez/ping" {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.all = append(r.all, request.Method+" "+request.URL.Path)
		}
		return response, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestRightsSuffice runs the controllers with the rights that the chart gives their
// ServiceAccount and no others, in a whole cluster and in one namespace, through issuance
// by ACME and by a CA and a deletion: the API server forbids nothing.
func TestRightsSuffice(t *testing.T) {
	cluster := harness.Shared(t)
	quick := harness.QuickACME(t, harness.QuickOptions{})
	admin, err := dynamic.NewForConfig(cluster.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, watch := range []bool{false, true} {
		t.Run(map[bool]string{false: "cluster", true: "namespace"}[watch], func(t *testing.T) {
			namespace := cluster.Namespace(t)
			release := namespace + "-cert-manager"
			values := "{everleaf: {admission: policies}, global: {leaderElection: {namespace: " + namespace + "}}}"
			if watch {
				values = strings.Replace(values, "policies", "policies, watchNamespace: "+namespace, 1)
			}
			for _, object := range (rendering{values: values, release: release, namespace: namespace}).render(t) {
				kind, app := object["kind"].(string), at(t, object, "metadata.labels.app")
				if app == "cert-manager" && (kind == "ServiceAccount" || strings.Contains(kind, "Role")) {
					apply(t, admin, object)
				}
			}
			var forbidden refusals
			silent := logr.Discard()
			cluster.Run(t, harness.Controllers{
				Log: &silent,
				Options: func(o *operator.Options) {
					o.ClusterResourceNamespace = namespace
					o.LeaderElection.Enabled, o.LeaderElection.Namespace = true, namespace
					if watch {
						o.Namespace = namespace
					}
					quick.Resolve(o)
				},
				Config: func(c *rest.Config) {
					account, err := cluster.ConfigFor("system:serviceaccount:"+namespace+":"+release, "system:serviceaccounts", "system:serviceaccounts:"+namespace)
					if err != nil {
						t.Fatal(err)
					}
					c.TLSClientConfig = account.TLSClientConfig
					c.Wrap(forbidden.wrap)
				},
			})
			quick.Issuer(t, cluster, namespace, "acme")
			cluster.Apply(t, namespace, issuers)
			for _, name := range []string{"root", "leaf"} {
				cluster.Ready(t, namespace, name, time.Minute)
			}
			objects := cluster.Apply(t, namespace, harness.CertificateManifest("www", "acme", "www.example.com"))
			cluster.Ready(t, namespace, "www", time.Minute)
			if err := cluster.Delete(t.Context(), objects[0]); err != nil {
				t.Fatal(err)
			}
			forbidden.mu.Lock()
			defer forbidden.mu.Unlock()
			for _, request := range forbidden.all {
				t.Errorf("forbidden: %s", request)
			}
		})
	}
}

const issuers = `
{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: self}, spec: {selfSigned: {}}}
---
{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: ca}, spec: {ca: {secretName: root}}}
---
{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: root}, spec: {secretName: root, isCA: true, commonName: root, issuerRef: {name: self}}}
---
{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: leaf}, spec: {secretName: leaf, dnsNames: [leaf.example.com], issuerRef: {name: ca}}}
`
