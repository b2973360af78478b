package webhook

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign"
	"github.com/everleaf/everleaf/internal/spelling"
)

// maxText bounds a text of the solver, or of the API server, in a message.
const maxText = 512

func refused(reason, format string, args ...any) *fault.Error {
	return fault.New(fault.User, reason, format, args...)
}

func transient(reason, format string, args ...any) *fault.Error {
	return fault.New(fault.Transient, reason, format, args...)
}

// recheck is when a solver is asked again that is not installed, or not as it has to
// be: no event tells that it is, and the API server answers such requests by itself.
const recheck = 30 * time.Second

// soon is the fault for what a user must fix in the cluster.
func (p *Provider) soon(reason, format string, args ...any) *fault.Error {
	return fault.Until(p.Clock.Now().Add(recheck), reason, format, args...)
}

// said makes a solver's text fit for a status.
func said(text string) string { return foreign.Text(text, maxText) }

// unanswered is the fault if the API server gave no answer.
func (p *Provider) unanswered(err error) error {
	why, _ := foreign.Unreachable(err)
	return transient("SolverUnreachable", "the API server gave no answer for the solver webhook %s: %s; check that the solver runs and answers within 30 s", p.name(), why).Because(err)
}

// statusFault is the fault for an answer of the API server, or of a server that is
// not a solver. What the API server says depends on the rights of the asker: without
// them, a typo in a name is "forbidden". So discovery decides.
func (p *Provider) statusFault(ctx context.Context, code int, body []byte) error {
	status := metav1.Status{}
	_ = json.Unmarshal(body, &status) // or it stays empty
	text := cmp.Or(said(status.Message), fmt.Sprintf("HTTP %d", code))
	switch {
	case strings.Contains(status.Message, "subjectaccessreviews"):
		return p.soon("SolverLacksRights", "the solver webhook %s cannot check who asks it: %s; bind the ClusterRole system:auth-delegator to the solver's service account", p.name(), text)
	case code == http.StatusUnauthorized:
		return p.soon("SolverUnauthorized", "the solver webhook %s does not accept the API server's proxy certificate: %s; restart the solver, which may hold an old CA, and check that the certificate has not expired", p.name(), text)
	case code == http.StatusForbidden || code == http.StatusNotFound:
		if err := p.misnamed(ctx); err != nil {
			return err
		}
		if code == http.StatusForbidden {
			return p.forbidden(text)
		}
	case code == http.StatusServiceUnavailable:
		return p.unavailable(ctx, text)
	case code == http.StatusTooManyRequests, code >= 500:
		return transient("SolverFailed", "the solver webhook %s failed: %s", p.name(), text)
	}
	return transient("SolverFailed", "the solver webhook %s refused the request: %s", p.name(), text)
}

// forbidden is the fault for the lack of a right that the solver's chart grants.
func (p *Provider) forbidden(text string) error {
	return p.soon("SolverForbidden",
		"the solver webhook %s may not be asked: %s; a ClusterRole must allow \"create\" on resource %q in API group %q, and be bound to this service account (many charts: --set certManager.namespace=... --set certManager.serviceAccountName=...)",
		p.name(), text, p.SolverName, p.GroupName)
}

// misnamed is the fault if the API server has no such group, or the group has no such
// solver; nil if both exist, or that cannot be found out.
func (p *Provider) misnamed(ctx context.Context) error {
	resources := metav1.APIResourceList{}
	found, known := p.discover(ctx, p.path(), &resources)
	switch {
	case !known:
		return nil
	case !found:
		return p.noGroup(ctx)
	}
	var names []string
	for _, r := range resources.APIResources {
		if r.Name == p.SolverName {
			return nil
		}
		names = append(names, r.Name)
	}
	slices.Sort(names)
	return p.soon("SolverNotFound", "API group %q has no solver %q; it has: %s; check webhook.solverName", p.GroupName, p.SolverName, cmp.Or(said(strings.Join(names, ", ")), "none"))
}

func (p *Provider) noGroup(ctx context.Context) error {
	service := v1alpha1.SchemeGroupVersion.Version + "." + p.GroupName
	message := fmt.Sprintf("the API server has no APIService %s, so that nothing serves webhook.groupName %q", service, p.GroupName)
	groups := metav1.APIGroupList{}
	if found, known := p.discover(ctx, "/apis", &groups); found && known {
		if similar := similarGroups(p.GroupName, groups.Groups); len(similar) > 0 {
			return p.soon("SolverNotFound", "%s; similar: %s; check groupName here and in the solver's chart", message, strings.Join(similar, ", "))
		}
	}
	return p.soon("SolverNotFound", "%s; install the solver, or check groupName here and in its chart", message)
}

// discover reads a discovery document, which everybody who is authenticated may read.
// known is false if the API server does not say whether there is one.
func (p *Provider) discover(ctx context.Context, path string, into any) (found, known bool) {
	body, status, err := p.Cluster.Ask(ctx, http.MethodGet, path, nil)
	if err != nil || status != http.StatusOK && status != http.StatusNotFound {
		return false, false
	}
	return status == http.StatusOK && json.Unmarshal(body, into) == nil, true
}

// apiService is what matters of an APIService (apiregistration.k8s.io/v1).
type apiService struct {
	Status struct {
		Conditions []metav1.Condition `json:"conditions"`
	} `json:"status"`
}

// unavailable is the fault for a solver that the API server cannot reach.
func (p *Provider) unavailable(ctx context.Context, text string) error {
	name := v1alpha1.SchemeGroupVersion.Version + "." + p.GroupName
	service := apiService{}
	if found, known := p.discover(ctx, "/apis/apiregistration.k8s.io/v1/apiservices/"+name, &service); found && known {
		for _, c := range service.Status.Conditions {
			if c.Type == "Available" && c.Status != metav1.ConditionTrue {
				return p.soon("SolverUnavailable", "APIService %s is not available: %s: %s; %s", name, c.Reason, said(c.Message), cure(c.Message))
			}
		}
	}
	return p.soon("SolverUnavailable", "the solver webhook %s cannot be reached by the API server: %s; see `kubectl describe apiservice %s`", p.name(), text, name)
}

// cure says what usually ends what an APIService's condition says.
func cure(message string) string {
	switch {
	case strings.Contains(message, "x509") || strings.Contains(message, "certificate"):
		return "its caBundle is not that of the solver's serving certificate: check the annotation cert-manager.io/inject-ca-from and that cainjector runs"
	case strings.Contains(message, "endpoints"):
		return "check that the solver's pods run and are ready"
	case strings.Contains(message, "404") || strings.Contains(message, "not find"):
		return "the solver serves another API group: check GROUP_NAME of its pods"
	default:
		return "check that the solver's pods run, and that the control plane can reach their port (firewall, NetworkPolicy)"
	}
}

// similarGroups returns the groups whose names differ from one by a typo.
func similarGroups(name string, groups []metav1.APIGroup) []string {
	var found []string
	for _, g := range groups {
		if d := spelling.Distance(name, g.Name); d > 0 && d <= max(2, len(name)/8) {
			found = append(found, said(g.Name))
		}
	}
	slices.Sort(found)
	return found
}
