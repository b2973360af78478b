package integration

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/everleaf/everleaf/deploy"
	"github.com/everleaf/everleaf/test/harness"
)

// roleOf says which controllers the ClusterRoles of the chart are for.
var roleOf = map[string][]string{
	"cert-manager-controller-issuers":                    {"issuers"},
	"cert-manager-controller-clusterissuers":             {"clusterissuers"},
	"cert-manager-controller-certificates":               {"certificates", "renewal-information", "certificaterequests", "certificatesigningrequests"},
	"cert-manager-controller-orders":                     {"orders"},
	"cert-manager-controller-challenges":                 {"challenges"},
	"cert-manager-controller-approve:cert-manager-io":    {"certificates", "certificaterequests"},
	"cert-manager-controller-challenges:records":         {"challenges"},
	"cert-manager-controller-certificatesigningrequests": {"certificatesigningrequests", "podcertificaterequests", "orders", "challenges"},
	"cert-manager-controller-ingress-shim":               {"ingress-shim", "gateway-shim", "listenerset", "httproute-shim"},
}

// excused are rights that no test uses.
var excused = map[harness.Right]string{
	{Group: "cert-manager.io", Resource: "signers", Verb: "approve"}: "it is asked about, and is no request",
}

func init() {
	const olderServers = "informers list where the API server does not stream lists (before Kubernetes 1.34)"
	const enforced = "needed where the admission plugin OwnerReferencesPermissionEnforcement is on"
	for _, resource := range []string{"certificates", "certificaterequests", "issuers", "clusterissuers"} {
		excused[harness.Right{Group: "cert-manager.io", Resource: resource, Verb: "list"}] = olderServers
		excused[harness.Right{Group: "cert-manager.io", Resource: resource + "/finalizers", Verb: "update"}] = enforced
	}
	for _, resource := range []string{"orders", "challenges"} {
		excused[harness.Right{Group: "acme.cert-manager.io", Resource: resource, Verb: "list"}] = olderServers
		excused[harness.Right{Group: "acme.cert-manager.io", Resource: resource + "/finalizers", Verb: "update"}] = enforced
	}
	excused[harness.Right{Group: "networking.k8s.io", Resource: "ingresses", Verb: "list"}] = olderServers
	excused[harness.Right{Group: "networking.k8s.io", Resource: "ingresses/finalizers", Verb: "update"}] = enforced
	for _, resource := range []string{"gateways", "listenersets", "httproutes"} {
		excused[harness.Right{Group: "gateway.networking.k8s.io", Resource: resource, Verb: "list"}] = olderServers
		excused[harness.Right{Group: "gateway.networking.k8s.io", Resource: resource + "/finalizers", Verb: "update"}] = enforced
	}
	excused[harness.Right{Group: "certificates.k8s.io", Resource: "certificatesigningrequests", Verb: "list"}] = olderServers
	excused[harness.Right{Group: "certificates.k8s.io", Resource: "podcertificaterequests", Verb: "list"}] = olderServers
	excused[harness.Right{Group: "certificates.k8s.io", Resource: "signers", Verb: "sign"}] = "the API server asks about it at a write, and is asked for no such resource"
	excused[harness.Right{Resource: "secrets", Verb: "list"}] = olderServers
	for _, resource := range []string{"issuers", "clusterissuers"} {
		excused[harness.Right{Group: "cert-manager.io", Resource: resource, Verb: "get"}] = "the live object is looked at after a conflict"
	}
	for _, resource := range []string{"routes/custom-host", "endpointslices/restricted"} {
		group := map[string]string{"routes/custom-host": "route.openshift.io", "endpointslices/restricted": "discovery.k8s.io"}[resource]
		excused[harness.Right{Group: group, Resource: resource, Verb: "create"}] = "OpenShift asks for it"
	}
	for _, verb := range []string{"list", "watch"} {
		excused[harness.Right{Group: "discovery.k8s.io", Resource: "endpointslices", Verb: verb}] = "the ready pods of the responder are followed, and pods need a node"
	}
	for _, resource := range []string{"pods", "services"} {
		for _, verb := range []string{"get", "list", "update", "create", "delete"} {
			excused[harness.Right{Resource: resource, Verb: verb}] = "what HTTP-01 makes is found, corrected and removed, whoever changed it; pods need a node"
		}
	}
	for resource, group := range map[string]string{
		"endpointslices": "discovery.k8s.io", "ingresses": "networking.k8s.io", "httproutes": "gateway.networking.k8s.io", "ingressclasses": "networking.k8s.io",
	} {
		for _, verb := range []string{"get", "list", "update"} {
			excused[harness.Right{Group: group, Resource: resource, Verb: verb}] = "what HTTP-01 makes is found, corrected and removed, whoever changed it"
		}
	}
	excused[harness.Right{Group: "apiregistration.k8s.io", Resource: "apiservices", Verb: "get"}] = "asked for the cause when a solver webhook does not answer"
	excused[harness.Right{Group: "acme.cert-manager.io", Resource: "orders", Verb: "get"}] = "a certificate that another process has stored is read from its Order"
	excused[harness.Right{Resource: "secrets", Verb: "delete"}] = "the Secret with the records left behind goes with the last record"
}

// checkRights compares what the controllers have asked for in all tests with the roles
// that they have: nothing was denied, each role is enough for its controllers, and none
// has a right that nobody uses.
func checkRights() error {
	var wrong []string
	for _, denied := range harness.Rights.Denied() {
		wrong = append(wrong, "denied: "+denied)
	}
	roles, err := shippedRoles()
	if err != nil {
		return err
	}
	wrong = append(wrong, harness.Rights.Compare(roles, excused)...)
	if len(wrong) > 0 {
		return errors.New("the roles in charts/everleaf do not fit what the controllers do:\n  " + strings.Join(wrong, "\n  "))
	}
	return nil
}

// shippedRoles are the ClusterRoles and Roles of the controllers.
func shippedRoles() ([]harness.Role, error) {
	var roles []harness.Role
	err := fs.WalkDir(deploy.Base, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := deploy.Base.ReadFile(path)
		if err != nil {
			return err
		}
		for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
			var role rbacv1.ClusterRole
			if err := decoder.Decode(&role); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if controllers := roleOf[role.Name]; controllers != nil && strings.HasSuffix(role.Kind, "Role") {
				roles = append(roles, harness.Role{Name: role.Name, Rules: role.Rules, Controllers: controllers})
			}
		}
	})
	return roles, err
}

// allRun reports whether no flag leaves out tests.
func allRun() bool {
	all := true
	flag.Visit(func(f *flag.Flag) {
		all = all && f.Name != "test.run" && f.Name != "test.skip" && f.Name != "test.short" && f.Name != "test.list" && f.Name != "test.bench"
	})
	return all
}

// reportRights is checkRights with an exit status.
func reportRights() int {
	if err := checkRights(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
