// Package acme is a client for RFC 8555 (Automatic Certificate Management
// Environment). Each method of Client is one request and returns the server's
// response at once: the package does not poll or sleep. It repeats a request in
// one case only: if the server rejects the nonce (badNonce, which means that it
// has processed nothing), the client signs and sends the request again, at most
// 5 times.
//
// Errors have these types: *Problem is a problem document or an error status
// without one; *ServerError is a response that is not ACME; *NetworkError means
// that no response arrived; *fault.Error is a mistake found before anything was
// sent. Classify returns what to do about each of them. No error text contains
// a response body, a URL with the name of a resource, or a time.
package acme
