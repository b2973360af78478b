package propagation

// Failure says why a server gave no answer.
type Failure string

// Failures of a question.
const (
	// NoFailure: the server answered.
	NoFailure Failure = ""
	// NoRoute: this machine cannot send to that address at all, for example to
	// IPv6 from a network without it.
	NoRoute Failure = "NoRoute"
	// Unreachable: the network refuses to carry packets to that address: a
	// router, a firewall or an egress policy.
	Unreachable Failure = "Unreachable"
	// Timeout: no answer over UDP or TCP.
	Timeout Failure = "Timeout"
	// ConnectionRefused: nothing listens at the address.
	ConnectionRefused Failure = "ConnectionRefused"
	// Malformed: what arrived is not an answer to the question.
	Malformed Failure = "Malformed"
	// NoAddress: the server's name has no address.
	NoAddress Failure = "NoAddress"
	// Unresolved: the lookup of the server's address failed.
	Unresolved Failure = "Unresolved"
	// Untrusted: the server's certificate cannot be verified, or is for another name.
	Untrusted Failure = "Untrusted"
	// HTTPFailure: a DNS over HTTPS server answered with another status code than 200,
	// or with something else than a DNS message.
	HTTPFailure Failure = "HTTP"
	// OtherFailure is any other.
	OtherFailure Failure = "Other"
)
