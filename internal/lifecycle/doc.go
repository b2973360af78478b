// Package lifecycle holds no code. The packages below it decide what a
// Certificate, a CertificateRequest, an Order and a Challenge need next, one
// package for each kind. Their functions are pure: values and the time in, a
// plan out. They read no cluster, ask no server, never sleep and log nothing.
// Package controller loads what they need and carries their plans out.
//
// A plan names one step. When the step is done, the same function is asked
// again with what the step has changed, until there is nothing left to do but
// wait: for an event, or until a time.
package lifecycle
