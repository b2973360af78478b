// Package node runs a Kubernetes node for tests: a control plane, containerd, a kubelet,
// kube-proxy, kube-scheduler and CoreDNS, in the namespaces of package isolated. Pods
// run, Services route, and names resolve as in any cluster.
//
// Nothing leads out of the node: there is no image to pull and no server but those that
// a test starts, at the addresses below.
package node
