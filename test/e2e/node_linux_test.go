package e2e

import (
	"testing"

	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/node"
)

// serves runs pods: one reaches another through a Service, by its name.
func serves(t *testing.T, n *node.Node) {
	t.Helper()
	const web = `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers: [{name: pod, image: ` + node.PodImage + `, args: [serve, "8080"]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
`
	harness.Of(t, n.ControlPlane()).Apply(t, "default", web)
	n.Kubectl(t, "wait", "pod/web", "--for=condition=Ready", "--timeout=60s")
	if got := n.Run(t, "client", "get", "http://web.default.svc.cluster.local"); got != "web\n" {
		t.Errorf("the Service answers %q, want the name of its pod", got)
	}
}
