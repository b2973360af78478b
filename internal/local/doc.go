// Package local runs a Kubernetes control plane on one machine, without root
// and without containers: etcd, kube-apiserver, and the controllers of
// kube-controller-manager that deletion and RBAC need. They are child processes
// on loopback, with TLS and their own certificate authorities. All state is in
// one data directory, and the next start continues with it.
//
// The package installs everleaf's CRDs, roles and admission policies and then
// runs the given controllers. Tests, the quickstart and users without a cluster
// use it. Pods do not run, because there are no nodes.
package local
