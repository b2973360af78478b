package e2e

import (
	"strings"
	"testing"

	"github.com/everleaf/everleaf/test/node"
)

func TestNode(t *testing.T) {
	n := node.Start(t, node.Options{})
	t.Run("a pod reaches a pod through a Service, by its name", func(t *testing.T) {
		n.Kubectl(t, "create", "deployment", "web", "--image="+node.PodImage, "--", "/pod", "serve", "8080")
		n.Kubectl(t, "patch", "deployment", "web", "-p", `{"spec":{"template":{"spec":{"containers":[{"name":"pod","imagePullPolicy":"Never"}]}}}}`)
		n.Kubectl(t, "expose", "deployment", "web", "--port=80", "--target-port=8080")
		n.Kubectl(t, "rollout", "status", "deployment/web", "--timeout=60s")
		got := n.Run(t, "client", "get", "http://web.default.svc.cluster.local")
		if !strings.HasPrefix(got, "web-") {
			t.Errorf("the Service answers %q, want the name of a pod", got)
		}
	})
}
