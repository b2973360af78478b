// Package rights records what the controllers ask of the API server during tests, and
// compares it with the roles that they have in a cluster: a right that is missing stops
// an issuance, and one that nobody uses is a danger for nothing.
package rights

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/everleaf/everleaf/internal/controller"
)

// Right is a verb on a resource, as roles have them. Resource includes the
// subresource, as in "orders/status".
type Right struct{ Group, Resource, Verb string }

// String returns the right as in "patch orders/status.acme.cert-manager.io".
func (r Right) String() string {
	if r.Group == "" {
		return r.Verb + " " + r.Resource
	}
	return r.Verb + " " + r.Resource + "." + r.Group
}

// Ledger is what was asked.
type Ledger struct {
	mu sync.Mutex
	// used are the rights that each controller has used, by its name. Informers,
	// events and leases have no controller: their name is empty.
	used map[string]map[Right]bool
	// denied are the refusals for want of a right.
	denied map[string]bool
}

// New returns an empty Ledger.
func New() *Ledger { return &Ledger{used: map[string]map[Right]bool{}, denied: map[string]bool{}} }

// Wrap returns a RoundTripper that records what next sends, and whether the API
// server lacked a right.
func (l *Ledger) Wrap(next http.RoundTripper) http.RoundTripper { return recording{l, next} }

type recording struct {
	ledger *Ledger
	next   http.RoundTripper
}

// want is how the API server's authorizer refuses. An admission policy or a quota
// has other words.
var want = regexp.MustCompile(`User "system:serviceaccount:[^"]*" cannot [a-z]+ resource "[^"]*" in API group "[^"]*"`)

// RoundTrip implements http.RoundTripper.
func (r recording) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	right, ok := rightOf(request)
	if err != nil || !ok {
		return response, err
	}
	var refusal string
	if response.StatusCode == http.StatusForbidden {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return response, err
		}
		response.Body = io.NopCloser(bytes.NewReader(body))
		refusal = string(want.Find(body))
	}
	name := controller.NameOf(request.Context())
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	if refusal != "" {
		r.ledger.denied[fmt.Sprintf("controller %q: %s", name, refusal)] = true
		return response, nil
	}
	if r.ledger.used[name] == nil {
		r.ledger.used[name] = map[Right]bool{}
	}
	r.ledger.used[name][right] = true
	return response, nil
}

// WrappedRoundTripper is how client-go finds the RoundTripper inside.
func (r recording) WrappedRoundTripper() http.RoundTripper { return r.next }

// rightOf is the right that a request needs. Paths that are no resources need none of
// these, everybody may ask about oneself, and the right to call a solver webhook, which
// has a group of its own, comes with the webhook.
func rightOf(r *http.Request) (Right, bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var group string
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		group, parts = parts[1], parts[3:]
	default:
		return Right{}, false
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	if strings.HasPrefix(parts[0], "selfsubject") || (strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io") && !strings.HasSuffix(group, "cert-manager.io")) {
		return Right{}, false
	}
	resource, named := parts[0], len(parts) > 1
	if len(parts) > 2 {
		resource += "/" + parts[2]
	}
	verb := map[string]string{http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete"}[r.Method]
	switch {
	case verb == "delete" && !named:
		verb = "deletecollection"
	case verb != "":
	case r.URL.Query().Get("watch") != "":
		verb = "watch"
	case named:
		verb = "get"
	default:
		verb = "list"
	}
	return Right{group, resource, verb}, true
}

// Denied are the refusals for want of a right, sorted.
func (l *Ledger) Denied() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.denied))
}

// Role is a role, and the controllers that it is for.
type Role struct {
	Name        string
	Rules       []rbacv1.PolicyRule
	Controllers []string
}

// Compare returns in which ways the roles differ from what was asked: what a
// controller has used that its roles do not have, and what a role has that its
// controllers have not used. What has no controller needs only some role. excused are
// rights that a cluster of another kind than that of the tests needs, with the reason.
func (l *Ledger) Compare(roles []Role, excused map[Right]string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var differences []string
	anywhere := map[Right]bool{}
	of := map[string]map[Right]bool{}
	for _, role := range roles {
		for right := range rightsOf(role.Rules) {
			anywhere[right] = true
			used := l.used[""][right]
			for _, name := range role.Controllers {
				used = used || l.used[name][right]
				if of[name] == nil {
					of[name] = map[Right]bool{}
				}
				of[name][right] = true
			}
			if !used && excused[right] == "" {
				differences = append(differences, fmt.Sprintf("role %s: nobody has used %s", role.Name, right))
			}
		}
	}
	for name, rights := range l.used {
		have := of[name]
		if name == "" {
			have = anywhere
		}
		for right := range rights {
			if !have[right] {
				differences = append(differences, fmt.Sprintf("controller %q has used %s, which its roles do not have", name, right))
			}
		}
	}
	slices.Sort(differences)
	return differences
}

func rightsOf(rules []rbacv1.PolicyRule) map[Right]bool {
	rights := map[Right]bool{}
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					rights[Right{group, resource, verb}] = true
				}
			}
		}
	}
	return rights
}
