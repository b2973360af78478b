// Package component has what every program of everleaf that runs in a cluster
// has: flags that are checked by name, TLS with a certificate from files or from a
// CA of its own, leader election, profiles and health.
package component
