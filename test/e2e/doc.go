// Package e2e tests everleaf in a cluster: on a Kubernetes node that package node
// brings up.
package e2e
