// Package acme is a client of RFC 8555 (Automatic Certificate Management
// Environment). Each method of Client is one request to the server, and what
// the server says comes back at once: nothing here polls, sleeps or repeats,
// with one exception. A request that the server refused unprocessed for its
// nonce (badNonce) is signed anew and sent again, at most 5 times.
//
// Errors are of these types: *Problem, a problem document or a bare status
// code; *ServerError, an answer that is no ACME; *NetworkError, no answer;
// *fault.Error, a mistake that was found before anything was sent. Classify
// says for each what to do about it. No text of an error holds a response
// body, a URL with a resource's name in it, or a time.
package acme
