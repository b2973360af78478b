// Package local runs a Kubernetes control plane on one machine, without root
// and without containers: etcd, kube-apiserver and the controllers of
// kube-controller-manager that deletion and RBAC need, as child processes on
// loopback, with TLS and certificate authorities of their own. Everything lives
// in one data directory, so that starting again finds everything as it was.
//
// It installs everleaf's CRDs, roles and admission policies and then runs the
// controllers that it is given. Tests, the quickstart and people without a
// cluster use it. It schedules no pods: there are no nodes.
package local
