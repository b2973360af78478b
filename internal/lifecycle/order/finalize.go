package order

import (
	"encoding/pem"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	// slowPolls is how many polls take two minutes, rarePolls how many an hour.
	slowPolls = 28
	rarePolls = slowPolls + 58
)

// PollDelay is the wait between two looks at something that the server works
// on and for which it gave no Retry-After: 0.25 s, doubled up to 5 s; 1 min after
// two minutes; 10 min after an hour, as CAs with manual approval need hours.
func PollDelay(polls int) time.Duration {
	switch {
	case polls >= rarePolls:
		return 10 * time.Minute
	case polls >= slowPolls:
		return time.Minute
	default:
		return min(250*time.Millisecond<<min(polls, 5), 5*time.Second)
	}
}

// again takes an action, but not at once if the server's last answer was the
// same as before: the server's replicas may not agree on the order's state yet.
// That why is said once it has lasted two minutes.
func (s State) again(action plan.Action, why string, now time.Time) Plan {
	p := s.wait()
	if at := s.FetchedAt.Add(PollDelay(s.Polls)); s.Polls > 0 && at.After(now) {
		p.Until = at
		if s.Polls >= slowPolls {
			p.Status.Reason = "Waiting for the ACME server: " + why
		}
		return p
	}
	p.Do = action
	return p
}

// poll looks at an order that the server works on.
func (s State) poll(now time.Time) Plan {
	p := s.wait()
	at := s.Server.RetryAfter
	if at.IsZero() {
		at = s.FetchedAt.Add(PollDelay(s.Polls))
	} else if earliest := s.FetchedAt.Add(PollDelay(0)); at.Before(earliest) {
		at = earliest
	}
	if at.After(now) {
		p.Until = at
		if s.Polls >= slowPolls || at.Sub(now) > quiet {
			p.Status.Reason = "Waiting for the ACME server to issue the certificate: the order is processing"
		}
		return p
	}
	p.Do = s.fetch()
	return p
}

// download downloads the certificate. If that keeps failing, the default chain
// has to do: it may be an alternate that cannot be had.
func (s State) download(p Plan) Plan {
	action := Download{URL: s.server().Certificate}
	if s.Downloads < recheckDownloads {
		action.PreferredChain = s.Account.Issuer.PreferredChain
	}
	p.Do = action
	return p
}

// finalizeAuthorized finalizes without another look at the order: all its
// authorizations are valid, so it is ready at the server. If the server answers
// orderNotReady, or this process has not seen the order, as after a restart,
// the order is fetched first: it may have been finalized already.
func (s State) finalizeAuthorized(now time.Time) Plan {
	server := s.server()
	if server == nil || (server.Status == acme.StatusPending && s.Polls > 0) {
		return s.again(s.fetch(), "all authorizations are valid, and the order is still pending", now)
	}
	p := s.wait()
	p.Do = s.finalize()
	return p
}

func (s State) finalize() Finalize {
	return Finalize{URL: s.Object.Status.FinalizeURL, CSR: requestDER(s.Object.Spec.Request)}
}

// requestDER is the signing request in DER; old Orders hold it so.
func requestDER(request []byte) []byte {
	if block, _ := pem.Decode(request); block != nil {
		return block.Bytes
	}
	return request
}

// complete ends the order with the downloaded chain. A chain for another key
// means that the server answered another request's order to ours: this order is
// given up and replaced.
func (s State) complete(now time.Time) Plan {
	p := s.wait()
	ours, problem := s.chainIsOurs()
	switch {
	case problem != nil:
		return fail(p, acmev1.Errored, reasonPrefix(Download{})+problem.Message, now)
	case !ours:
		return fail(p, acmev1.Expired, "The ACME server returned a certificate for another key: the order was shared with another request and is replaced", now)
	}
	p.Status.State, p.Status.Reason, p.Status.Certificate = acmev1.Valid, "", s.Chain
	p.Events = []plan.Event{{Reason: acmev1.EventReasonComplete, Message: "Order completed successfully", Component: Manager}}
	return p
}

// chainIsOurs reports whether the downloaded chain is for the key of the
// signing request.
func (s State) chainIsOurs() (bool, *fault.Error) {
	csr, err := pki.ParseRequest(s.Object.Spec.Request, s.Limits)
	if err != nil {
		return false, fault.New(fault.Permanent, cmv1.EventReasonRequestParsingError, "%v", err)
	}
	chain, err := pki.ParseChain(s.Chain, s.Limits)
	if err != nil {
		return false, fault.New(fault.Permanent, cmv1.CertificateReasonInvalidCertificate, "Invalid certificate retrieved from ACME server: %v", err)
	}
	return pki.PublicKeysEqual(chain[0].PublicKey, csr.PublicKey), nil
}
