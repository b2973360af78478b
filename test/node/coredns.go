package node

import (
	"fmt"
	"strings"
)

// corefile forwards to the node's resolver all that is not in the cluster. Zones in
// hidden do not exist for it, whatever other resolvers say: split-horizon DNS. Like a
// resolver with a local domain, it says so without the record of a zone (SOA).
func corefile(hidden []string) string {
	var b strings.Builder
	b.WriteString(".:53 {\n    errors\n    health\n    ready\n    cache 5\n")
	for _, zone := range hidden {
		fmt.Fprintf(&b, "    template ANY ANY %s {\n        rcode NXDOMAIN\n    }\n", strings.TrimSuffix(zone, "."))
	}
	b.WriteString("    kubernetes cluster.local in-addr.arpa ip6.arpa\n    forward . /etc/resolv.conf\n}\n")
	return b.String()
}

// coreDNSManifest is the DNS of the cluster, under the names that it has everywhere.
func coreDNSManifest(hidden []string) string {
	indented := "    " + strings.ReplaceAll(strings.TrimSpace(corefile(hidden)), "\n", "\n    ")
	return fmt.Sprintf(`apiVersion: v1
kind: ServiceAccount
metadata: {name: coredns, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:coredns"}
rules:
- {apiGroups: [""], resources: [endpoints, services, pods, namespaces], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "system:coredns"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:coredns"}
subjects:
- {kind: ServiceAccount, name: coredns, namespace: kube-system}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: coredns, namespace: kube-system}
data:
  Corefile: |
%[1]s
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec:
  selector: {matchLabels: {k8s-app: kube-dns}}
  template:
    metadata: {labels: {k8s-app: kube-dns}}
    spec:
      serviceAccountName: coredns
      dnsPolicy: Default
      containers:
      - name: coredns
        image: %[2]s
        imagePullPolicy: Never
        args: [-conf, /etc/coredns/Corefile]
        volumeMounts: [{name: config, mountPath: /etc/coredns}]
        readinessProbe: {httpGet: {path: /ready, port: 8181}, periodSeconds: 1}
      volumes: [{name: config, configMap: {name: coredns}}]
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec:
  clusterIP: %[3]s
  selector: {k8s-app: kube-dns}
  ports:
  - {name: dns, port: 53, protocol: UDP}
  - {name: dns-tcp, port: 53, protocol: TCP}
`, indented, coreDNSImage, ClusterDNS)
}
