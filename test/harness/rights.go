package harness

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/rest"

	"github.com/everleaf/everleaf/internal/controller"
)

// Rights is what the controllers of this test process have asked of the API server. It
// is compared with the roles that they have in a cluster: a right that is missing stops
// an issuance, and one that nobody uses is a danger for nothing.
var Rights = newLedger()

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
	// used are the rights that each controller has used, by its name. Informers and
	// events have no controller: their name is empty.
	used map[string]map[Right]bool
	// denied are the refusals for want of a right.
	denied map[denial]bool
}

// denial is a refusal of a right to a controller, in the API server's words.
type denial struct {
	name    string
	right   Right
	refusal string
}

func newLedger() *Ledger {
	return &Ledger{used: map[string]map[Right]bool{}, denied: map[denial]bool{}}
}

// authorizer is how the API server's authorizer refuses. An admission policy or a quota
// has other words.
var authorizer = regexp.MustCompile(`User "system:serviceaccount:[^"]*" cannot [a-z]+ resource "[^"]*" in API group "[^"]*"`)

// Record records what the clients of a configuration ask, and whether the API server
// lacked a right.
func (l *Ledger) Record(config *rest.Config) {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(request)
			if right, ok := rightOf(request); err == nil && ok {
				err = l.note(controller.NameOf(request.Context()), right, response)
			}
			return response, err
		})
	})
}

func (l *Ledger) note(name string, right Right, response *http.Response) error {
	var refusal string
	if response.StatusCode == http.StatusForbidden {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		response.Body = io.NopCloser(bytes.NewReader(body))
		refusal = string(authorizer.Find(body))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if refusal != "" {
		l.denied[denial{name, right, refusal}] = true
		return nil
	}
	if l.used[name] == nil {
		l.used[name] = map[Right]bool{}
	}
	l.used[name][right] = true
	return nil
}

// rightOf is the right that a request needs. Paths that are no resources need none of
// these, everybody may ask about oneself, the right to call a solver webhook, which has a
// group of its own, comes with the webhook, that to leases is a Role's where they are, and
// that to tokens of service accounts is given by who names one in an issuer.
func rightOf(r *http.Request) (Right, bool) {
	call := callOf(r)
	root, _, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	first, _, _ := strings.Cut(call.Resource, "/")
	// Of a path that is no resource, callOf takes the root for one.
	isResource := (root == "api" || root == "apis") && first != root
	foreign := strings.Contains(call.Group, ".") && !strings.HasSuffix(call.Group, ".k8s.io") && !strings.HasSuffix(call.Group, "cert-manager.io")
	if !isResource || foreign || strings.HasPrefix(call.Resource, "selfsubject") || call.Resource == "leases" || call.Resource == "serviceaccounts/token" {
		return Right{}, false
	}
	verb := call.Verb
	switch {
	case verb == "apply":
		verb = "patch"
	case verb == "delete" && call.Name == "":
		verb = "deletecollection"
	}
	return Right{call.Group, call.Resource, verb}, true
}

// Denied are the refusals for want of a right, sorted. An API server that starts refuses
// for a moment what it allows before and after: that is none.
func (l *Ledger) Denied() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var denied []string
	for d := range l.denied {
		if !l.used[d.name][d.right] {
			denied = append(denied, fmt.Sprintf("controller %q: %s", d.name, d.refusal))
		}
	}
	slices.Sort(denied)
	return denied
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
